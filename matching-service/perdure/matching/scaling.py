"""Advice to workers on how many polls to keep open."""

from __future__ import annotations

from temporalio.api.taskqueue.v1 import PollerScalingDecision

from perdure.kernel.clock import MILLISECOND_NS, SECOND_NS
from perdure.matching.partition import Partition

_IDLE_NS = SECOND_NS
_BACKLOG_AGE_NS = 200 * MILLISECOND_NS


def poller_scaling(partition: Partition, waited_ns: int) -> PollerScalingDecision | None:
    """What a worker should do whose poll waited this long for the task that it gets now; None: nothing.

    A poll that waited for a second was one too many. Tasks that wait although workers poll need more polls, unless it
    is the rate limit that holds them back.
    """
    if waited_ns >= _IDLE_NS:
        return PollerScalingDecision(poll_request_delta_suggestion=-1)
    if partition.backlog_count and not partition.rate_limited and partition.backlog_age_ns > _BACKLOG_AGE_NS:
        return PollerScalingDecision(poll_request_delta_suggestion=1)
    return None
