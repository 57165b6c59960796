"""Playbooks of standalone activities: one without shard, store or loop. Decision in; changes and effects out.

Refusals must change nothing, and what is written must fold to the state: that is checked after each decision.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from temporalio.api.workflowservice.v1 import DescribeActivityExecutionRequest, StartActivityExecutionRequest

from perdure.history.activity_info import execution_info
from perdure.history.effects import OfferActivityTask
from perdure.history.fold import replay
from perdure.history.kinds.activity import ActivityAgenda
from perdure.history.machines import activity, standalone_activity
from perdure.history.machines.standalone_activity import Standalone
from perdure.history.state.activity_execution import ACTIVITY_KEY, ActivityExecution
from perdure.history.state.codec import decode_changes, decode_state, encode_changes, encode_state
from perdure.history.state.execution import Activity
from perdure.kernel.clock import SECOND_NS, VirtualClock
from perdure.kernel.entropy import Entropy
from perdure.kernel.errors import ServiceError
from perdure.kernel.ids import RunId, WorkflowId
from perdure.kernel.limits import Limits
from perdure.kernel.rpc import TaskObsolete
from tests.support.playbook import NAMESPACE, WORKER, Play

RETENTION_NS = 3600 * SECOND_NS


class StandaloneRun:
    """One standalone activity on a clock of its own, with a worker that does as it is told. It has just begun."""

    def __init__(self, **fields: Any) -> None:
        self.clock = VirtualClock()
        self.state = _empty()
        self.agenda = ActivityAgenda(self.state)
        self._journal: list[bytes] = []
        #: The tasks, by stamp, that matching was told of and has not given out.
        self.offered: set[int] = set()
        usual: dict[str, Any] = {
            "activity_id": "pay",
            "request_id": "start",
            "activity_type": {"name": "Pay"},
            "task_queue": {"name": "payments"},
            "start_to_close_timeout": timedelta(seconds=10),
            "retry_policy": {"initial_interval": timedelta(seconds=1), "backoff_coefficient": 2.0},
        }
        request = StartActivityExecutionRequest(**(usual | fields))
        self.beginning = self.decide(standalone_activity.begin, request)

    @property
    def activity(self) -> Activity:
        return self.state.activity

    # Deciding

    def decide(self, decision: Callable[..., Any], *arguments: Any, **options: Any) -> Play:
        """Make a decision at this instant. One that is refused has changed nothing."""
        tx = Standalone(self.state, self.clock.now_ns(), Entropy(1), Limits(), NAMESPACE)
        try:
            result = decision(tx, *arguments, **options)
        except (ServiceError, TaskObsolete):
            assert not tx.changes, "refused, and yet something changed"
            raise
        if tx.changes:
            self._journal.append(encode_changes(tx.changes))
            self.state.state_transitions += 1
        if OfferActivityTask(ACTIVITY_KEY) in tx.effects and self.activity.waiting:
            self.offered.add(self.activity.stamp)
        self._check()
        return Play([*tx.changes, *tx.effects], result)

    def _check(self) -> None:
        state, now = self.state, self.clock.now_ns()
        folded = _empty()
        for record in self._journal:
            replay(folded, [], decode_changes(record))
        assert folded == state, "the journal does not fold to the state"
        assert decode_state(ActivityExecution, encode_state(state)) == state
        execution_info(state, DescribeActivityExecutionRequest(), now)
        assert state.running == (state.outcome is None) == (state.closed_at == 0)
        if self.agenda.outstanding(now):
            assert self.activity.stamp in self.offered, "it waits for a worker, and nobody was told"

    # Time

    @property
    def wakes_after(self) -> float | None:
        """In how many seconds it wants attention, if at all."""
        at = self.agenda.next_deadline(self.clock.now_ns(), RETENTION_NS)
        return (at - self.clock.now_ns()) / SECOND_NS if at else None

    def wake(self) -> Play:
        """Let time pass until it wants attention, and give it that."""
        at = self.agenda.next_deadline(self.clock.now_ns(), RETENTION_NS)
        assert at, "it waits for nothing"
        self.clock.advance_to(max(at, self.clock.now_ns()))
        return self.decide(self.agenda.expire)

    # The worker

    def take(self) -> Play:
        """A worker comes for the attempt that waits."""
        return self.decide(activity.start, ACTIVITY_KEY, self.activity.stamp, WORKER)

    def report(self, decision: Callable[[Standalone, Activity], activity.Outcome | None]) -> Play:
        """What the worker says about the attempt that it has."""

        def decide(tx: Standalone) -> None:
            found = standalone_activity.attempt(tx.state)
            outcome = decision(tx, found)
            if outcome is not None:
                standalone_activity.close(tx, found, outcome)

        return self.decide(decide)


def _empty() -> ActivityExecution:
    return ActivityExecution(NAMESPACE.id, WorkflowId("pay"), RunId("run-1"))
