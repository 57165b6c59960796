"""PURE: the overlap policies: which of the starts that are due are made now, later, or never."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from temporalio.api.enums.v1 import ScheduleOverlapPolicy

from perdure.history.state.schedule import BufferedStart, Stop

_Policy = ScheduleOverlapPolicy


class Verdict(NamedTuple):
    """What becomes of the buffer. Starts that are not mentioned stay in it.

    `starts` are to be made now; the flag says whether they may overlap others. `skipped` ones overlap and are counted,
    `dropped` ones gave way to others. `stop` says whether those that run already are to make room.
    """

    starts: list[tuple[BufferedStart, bool]]
    skipped: list[BufferedStart]
    dropped: list[BufferedStart]
    stop: Stop


def sort_out(buffer: Sequence[BufferedStart], occupied: bool, default_policy: int) -> Verdict:
    """Go through the buffer, in its order. `occupied`: a workflow is running that may not be overlapped."""
    overlapping: list[BufferedStart] = []
    skipped: list[BufferedStart] = []
    dropped: list[BufferedStart] = []
    chosen: BufferedStart | None = None
    kept = 0
    stop = Stop.NONE
    for start in buffer:
        policy = start.overlap_policy or default_policy
        if policy == _Policy.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL:
            overlapping.append(start)
        elif chosen is None and not occupied:
            chosen = start
        elif policy == _Policy.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL or (
            policy == _Policy.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE and not kept
        ):
            kept += 1
        elif policy in (
            _Policy.SCHEDULE_OVERLAP_POLICY_CANCEL_OTHER,
            _Policy.SCHEDULE_OVERLAP_POLICY_TERMINATE_OTHER,
        ):
            if occupied:
                wanted = Stop.TERMINATE if policy == _Policy.SCHEDULE_OVERLAP_POLICY_TERMINATE_OTHER else Stop.CANCEL
                stop = max(stop, wanted)
                kept += 1
            else:
                # Instead of the one that would have been started, and is worth no more than one that runs.
                assert chosen is not None
                dropped.append(chosen)
                chosen = start
        else:
            skipped.append(start)
    starts = [(start, True) for start in overlapping]
    if stop is not Stop.NONE:
        # They would be stopped together with the others at once.
        dropped += overlapping
        starts = []
    if chosen is not None:
        starts.append((chosen, False))
    return Verdict(starts, skipped, dropped, stop)
