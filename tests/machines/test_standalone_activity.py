"""Standalone activities under any sequence of events: what is written folds to the state, and all come to an end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from temporalio.api.activity.v1 import ActivityOptions
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.workflowservice.v1 import DescribeActivityExecutionRequest, StartActivityExecutionRequest

from perdure.history.activity_info import execution_info
from perdure.history.effects import OfferActivityTask
from perdure.history.fold import replay
from perdure.history.loaded_activity import ActivityAgenda
from perdure.history.machines import activity as activities
from perdure.history.machines import standalone_activity, standalone_control
from perdure.history.machines.standalone_activity import Standalone
from perdure.history.state.activity_execution import ACTIVITY_KEY, ActivityExecution
from perdure.history.state.changes import AnyChange
from perdure.history.state.codec import decode_changes, decode_state, encode_changes, encode_state
from perdure.kernel.clock import SECOND_NS, VirtualClock
from perdure.kernel.entropy import Entropy
from perdure.kernel.errors import ServiceError
from perdure.kernel.ids import NamespaceId, NamespaceName, RunId, WorkflowId
from perdure.kernel.limits import Limits
from perdure.kernel.namespace import Namespace
from perdure.kernel.rpc import TaskObsolete

NAMESPACE = Namespace(NamespaceId("namespace-1"), NamespaceName("default"))
RETENTION_NS = 3600 * SECOND_NS
LONG_AFTER_NS = 10_000 * SECOND_NS

START = StartActivityExecutionRequest(
    activity_id="a",
    request_id="start",
    schedule_to_close_timeout=timedelta(seconds=60),  # type: ignore[arg-type]
    schedule_to_start_timeout=timedelta(seconds=20),  # type: ignore[arg-type]
    start_to_close_timeout=timedelta(seconds=10),  # type: ignore[arg-type]
    heartbeat_timeout=timedelta(seconds=4),  # type: ignore[arg-type]
    start_delay=timedelta(seconds=2),  # type: ignore[arg-type]
    retry_policy={"initial_interval": timedelta(seconds=1), "backoff_coefficient": 2.0, "maximum_attempts": 4},  # type: ignore[arg-type]
)
CHANGED = ActivityOptions(heartbeat_timeout=timedelta(seconds=2))  # type: ignore[arg-type]
DETAILS = Payloads(payloads=[Payload(data=b"1")])


class Standing:
    """One activity on a clock of its own. A decision that is refused must have changed nothing."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.state = self._empty()
        self.agenda = ActivityAgenda(self.state)
        self.journal: list[bytes] = []
        #: The tasks that matching was told of and has not given out.
        self.offered: set[int] = set()
        self.requests = 0
        self.decide(lambda tx: standalone_activity.begin(tx, START))

    def _empty(self) -> ActivityExecution:
        return ActivityExecution(NAMESPACE.id, WorkflowId("a"), RunId("run-1"))

    def decide(self, decision: Callable[[Standalone], None]) -> None:
        tx = Standalone(self.state, self.clock.now_ns(), Entropy(1), Limits(), NAMESPACE)
        try:
            decision(tx)
        except (ServiceError, TaskObsolete):
            assert not tx.changes, "refused, and yet something changed"
            return
        if tx.changes:
            self.journal.append(encode_changes(tx.changes))
            self.state.state_transitions += 1
        if OfferActivityTask(ACTIVITY_KEY) in tx.effects and self.state.activity.waiting:
            self.offered.add(self.state.activity.stamp)
        self.check(tx.changes)

    def check(self, changes: list[AnyChange]) -> None:
        state, now = self.state, self.clock.now_ns()
        folded = self._empty()
        for record in self.journal:
            replay(folded, [], decode_changes(record))
        assert folded == state
        assert decode_state(ActivityExecution, encode_state(state)) == state
        execution_info(state, DescribeActivityExecutionRequest(), now)
        assert state.running == (state.outcome is None) == (state.closed_at == 0)
        if self.agenda.outstanding(now):
            assert state.activity.stamp in self.offered, "it waits for a worker, and nobody was told"
        at = self.agenda.next_deadline(now, RETENTION_NS)
        assert at or not state.running, "it would wait for ever"

    def wake(self) -> None:
        """Let time pass until it wants attention, and give it that."""
        at = self.agenda.next_deadline(self.clock.now_ns(), RETENTION_NS)
        if self.state.running and at:
            self.clock.advance_to(max(at, self.clock.now_ns()))
            self.decide(self.agenda.expire)

    def take(self) -> None:
        """A worker comes for each task that is offered."""
        offered, self.offered = self.offered, set()
        for stamp in sorted(offered):
            self.decide(lambda tx, stamp=stamp: _ignore(activities.start(tx, ACTIVITY_KEY, stamp, "worker")))

    def report(self, decision: Callable[[Standalone], activities.Outcome | None]) -> None:
        """What the worker says about the attempt that it has."""

        def decide(tx: Standalone) -> None:
            found = standalone_activity.attempt(tx.state)
            outcome = decision(tx)
            if outcome is not None:
                standalone_activity.close(tx, found, outcome)

        self.decide(decide)

    def request(self) -> str:
        self.requests += 1
        return f"request-{self.requests}"


def _ignore(result: object) -> None:
    """The result does not matter."""


def _fail(standing: Standing, **info: object) -> None:
    failure = Failure(message="boom", application_failure_info=ApplicationFailureInfo(**info))  # type: ignore[arg-type]
    standing.report(lambda tx: activities.fail(tx, tx.state.activity, failure, "worker"))


def _reset(standing: Standing, *, keep_paused: bool, restore: bool) -> None:
    standing.decide(
        lambda tx: standalone_control.reset(
            tx,
            reset_heartbeat=True,
            keep_paused=keep_paused,
            restore_options=restore,
            jitter=0,
            request_id=standing.request(),
        )
    )


def _beat(standing: Standing) -> None:
    standing.report(lambda tx: activities.heartbeat(tx, tx.state.activity, DETAILS, "worker"))


def _update(standing: Standing, given: ActivityOptions | None) -> None:
    mask = ["heartbeat_timeout"] if given is not None else []
    standing.decide(lambda tx: _ignore(standalone_control.update_options(tx, given, mask, standing.request())))


STEPS: dict[str, Callable[[Standing], None]] = {
    "wake": Standing.wake,
    "wait": lambda s: s.clock.advance(SECOND_NS),
    "take": Standing.take,
    "heartbeat": _beat,
    "complete": lambda s: s.report(lambda tx: activities.Completed(DETAILS, "worker")),
    "fail": _fail,
    "fail for good": lambda s: _fail(s, non_retryable=True),
    "give up": lambda s: s.report(lambda tx: activities.cancel(tx.state.activity, None, "worker")),
    "cancel": lambda s: s.decide(lambda tx: standalone_activity.request_cancel(tx, "me", "why", s.request())),
    "terminate": lambda s: s.decide(lambda tx: standalone_activity.terminate(tx, "me", "why", s.request())),
    "pause": lambda s: s.decide(lambda tx: standalone_control.pause(tx, "me", "why", s.request())),
    "unpause": lambda s: s.decide(lambda tx: standalone_control.unpause(tx, SECOND_NS, s.request())),
    "reset": lambda s: _reset(s, keep_paused=False, restore=False),
    "reset, kept paused": lambda s: _reset(s, keep_paused=True, restore=True),
    "update options": lambda s: _update(s, CHANGED),
    "restore options": lambda s: _update(s, None),
}
#: Steps after which it may have ended are rarer, so that more happens before.
_USUAL = [name for name in STEPS if name not in ("complete", "fail for good", "terminate", "cancel")]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(*[st.sampled_from(_USUAL)] * 4, st.sampled_from(list(STEPS))), max_size=30))
def test_any_sequence(steps: list[str]) -> None:
    standing = Standing()
    for name in steps:
        STEPS[name](standing)
    # Left alone, its time runs out.
    while standing.state.running:
        before = standing.clock.now_ns()
        standing.wake()
        assert standing.clock.now_ns() - before < LONG_AFTER_NS
    assert standing.state.outcome is not None
