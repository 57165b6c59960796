"""A playbook of one schedule: time passes, workflows start and end, and the schedule says what it wants."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Memo, Payload, Payloads, SearchAttributes
from temporalio.api.enums.v1 import ScheduleOverlapPolicy, WorkflowExecutionStatus
from temporalio.api.failure.v1 import Failure
from temporalio.api.schedule.v1 import (
    IntervalSpec,
    Schedule,
    ScheduleAction,
    SchedulePatch,
    SchedulePolicies,
    ScheduleSpec,
)
from temporalio.api.workflow.v1 import NewWorkflowExecutionInfo

from perdure.history.effects import Effect, StartAction, StopAction
from perdure.history.fold import replay
from perdure.history.kinds.schedule import ScheduleAgenda
from perdure.history.machines import schedule
from perdure.history.state import schedule as states
from perdure.history.state.changes import AnyChange
from perdure.history.state.codec import decode_changes, decode_state, encode_changes, encode_state
from perdure.history.state.schedule import Stop
from perdure.history.transition import BaseTransition
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.entropy import Entropy
from perdure.kernel.ids import RunId, WorkflowId
from perdure.kernel.limits import Limits
from tests.simulation.cluster import NAMESPACE

MINUTE = 60
HOUR = 3600
SKIP = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_SKIP
BUFFER_ONE = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE
BUFFER_ALL = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL
CANCEL_OTHER = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_CANCEL_OTHER
TERMINATE_OTHER = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_TERMINATE_OTHER
ALLOW_ALL = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL

COMPLETED = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED
FAILED = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_FAILED
TIMED_OUT = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TIMED_OUT
CANCELED = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CANCELED

#: Midnight, so that a time of day is a number of seconds since then.
DAWN = int(datetime(2026, 11, 22, tzinfo=UTC).timestamp())


class Playbook:
    """A schedule that fires each minute, unless said otherwise, and the world around it in which nothing goes wrong.

    Instants are seconds since the schedule was made, at midnight.
    """

    def __init__(
        self,
        policy: ScheduleOverlapPolicy.ValueType = SKIP,
        *,
        patch: SchedulePatch | None = None,
        **definition: object,
    ) -> None:
        self.state = states.Schedule(NAMESPACE.id, WorkflowId("s"), RunId("5e55107e-0000-4000-8000-000000000001"))
        self.now = 0
        self.effects: list[Effect] = []
        self._wanted: list[str] = []
        self._journal: list[AnyChange] = []
        wanted = self.definition(policy, **definition)
        self.do(lambda tx: schedule.create(tx, wanted, Memo(), SearchAttributes(), "create", patch or SchedulePatch()))

    @staticmethod
    def definition(policy: ScheduleOverlapPolicy.ValueType = SKIP, every: int = MINUTE, **fields: object) -> Schedule:
        policies = {name: fields.pop(name) for name in ("catchup_window", "pause_on_failure") if name in fields}
        definition = Schedule(
            spec=ScheduleSpec(interval=[IntervalSpec(interval=Duration(seconds=every))] if every else []),
            action=ScheduleAction(start_workflow=NewWorkflowExecutionInfo(workflow_id="w")),
            policies=SchedulePolicies(overlap_policy=policy, **policies),  # type: ignore[arg-type]
        )
        for name, value in fields.items():
            getattr(definition, name).CopyFrom(value)
        return definition

    def do(self, decision: Callable[[schedule.ScheduleTransition], None]) -> None:
        """Decide, as the shard does."""
        now = (DAWN + self.now) * SECOND_NS
        tx: schedule.ScheduleTransition = BaseTransition(self.state, now, Entropy(1), Limits(), NAMESPACE)
        decision(tx)
        self._journal += tx.changes
        starts = [effect for effect in tx.effects if isinstance(effect, StartAction)]
        self._wanted += [self.state.starting[start.action_id].workflow_id[-9:-1] for start in starts]
        self.effects += [effect for effect in tx.effects if effect not in starts]

    def at(self, second: int) -> list[str]:
        """Let time pass, with an alarm whenever the schedule wants one; returns what it then wants started."""
        agenda = ScheduleAgenda(self.state)
        while self.state.running and (alarm := agenda.next_deadline(0, 0)) and alarm <= (DAWN + second) * SECOND_NS:
            before = self.state.processed_until, self.state.next_backfill_at, self.state.status
            self.now = max(self.now, -(-alarm // SECOND_NS) - DAWN)
            self.do(agenda.expire)
            assert before != (self.state.processed_until, self.state.next_backfill_at, self.state.status), "no progress"
        self.now = second
        return self.wanted()

    def wake_late(self, second: int) -> list[str]:
        """No alarm rang until now."""
        self.now = second
        self.do(ScheduleAgenda(self.state).expire)
        return self.wanted()

    def wanted(self) -> list[str]:
        """The workflows that were to be started since the last question."""
        wanted, self._wanted = self._wanted, []
        return wanted

    def stops(self) -> list[Stop]:
        """How running workflows were to be stopped since the last question."""
        ids = [effect.action_id for effect in self.effects if isinstance(effect, StopAction)]
        self.effects = [effect for effect in self.effects if not isinstance(effect, StopAction)]
        return [self.state.started[action_id].stop for action_id in ids]

    def start(self) -> None:
        """All starts that are wanted are made, and those that are wanted after them."""
        while self.state.starting:
            action_id = next(iter(self.state.starting))
            self.do(lambda tx, action_id=action_id: schedule.action_started(tx, action_id, f"run-{action_id}"))  # type: ignore[misc]

    def close(
        self,
        status: WorkflowExecutionStatus.ValueType = COMPLETED,
        result: str = "",
        failure: Failure | None = None,
    ) -> list[str]:
        """The oldest workflow that runs ends; returns what is wanted next."""
        action_id = next(each.action_id for each in self.state.recent if each.status == states.RUNNING)
        workflow_id = next(each.workflow_id for each in self.state.recent if each.action_id == action_id)
        payloads = Payloads(payloads=[Payload(data=result.encode())]) if result else None
        self.do(
            lambda tx: schedule.action_closed(tx, action_id, workflow_id, f"run-{action_id}", status, payloads, failure)
        )
        return self.wanted()

    def patch(self, request_id: str = "", **fields: object) -> list[str]:
        self.do(lambda tx: schedule.patch(tx, SchedulePatch(**fields), request_id))  # type: ignore[arg-type]
        return self.wanted()

    def check_journal(self) -> None:
        """The state is a fold over what was written."""
        again = states.Schedule(*self.state.key[:3])
        replay(again, [], decode_changes(encode_changes(self._journal)))
        again.state_transitions = self.state.state_transitions
        assert again == self.state
        assert decode_state(states.Schedule, encode_state(self.state)) == self.state


def seconds(at: int) -> Timestamp:
    return Timestamp(seconds=DAWN + at)
