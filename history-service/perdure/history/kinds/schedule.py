"""A schedule in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from temporalio.api.history.v1 import HistoryEvent

from perdure.history.effects import Effect, StartAction, StopAction
from perdure.history.kinds.kind import Loaded
from perdure.history.machines import schedule
from perdure.history.machines.schedule import ScheduleTransition
from perdure.history.schedules import views
from perdure.history.state.changes import AnyChange
from perdure.history.state.schedule import Schedule
from perdure.history.state.schedule_changes import (
    ActionDecided,
    ActionStopRequested,
    ActionStopSent,
    ScheduleRequestSeen,
    StartBuffered,
    TimePassed,
)
from perdure.history.transition import BaseTransition
from perdure.kernel.entropy import Entropy
from perdure.kernel.errors import NotFound
from perdure.kernel.ids import ExecutionKind
from perdure.kernel.limits import Limits
from perdure.kernel.namespace import Namespace
from perdure.kernel.persistence.visibility import VisibilityRecord

#: Changes on the way to an action, whose outcome is shown soon.
_UNSHOWN = (ActionDecided, ActionStopRequested, ActionStopSent, ScheduleRequestSeen, StartBuffered, TimePassed)


class ScheduleAgenda:
    """The open ends of one schedule, read from its state."""

    __slots__ = ("state",)

    def __init__(self, state: Schedule) -> None:
        self.state = state

    def note(self, events: Iterable[HistoryEvent], changes: Iterable[AnyChange], now: int) -> None:
        """Nothing is kept beside the state."""

    def next_deadline(self, now: int, retention: int) -> int:
        state = self.state
        return schedule.next_deadline(state) if state.running else state.closed_at + retention

    def expire(self, tx: schedule.ScheduleTransition) -> None:
        schedule.advance(tx)

    @property
    def owes(self) -> bool:
        state = self.state
        return bool(state.starting) or any(action.owes_stop for action in state.started.values())

    def outstanding(self, now: int) -> list[Effect]:
        state = self.state
        effects: list[Effect] = [StartAction(action_id) for action_id in state.starting]
        effects += [StopAction(action_id) for action_id, action in state.started.items() if action.owes_stop]
        return effects


class LoadedSchedule(Loaded[ScheduleTransition]):
    """One schedule that a shard holds in memory."""

    __slots__ = ()

    kind = ExecutionKind.SCHEDULE
    state_type = Schedule
    new_agenda = ScheduleAgenda

    state: Schedule
    agenda: ScheduleAgenda

    @staticmethod
    def not_found(workflow_id: str, run_id: str) -> NotFound:
        return NotFound("schedule not found")

    @staticmethod
    def new_transition(
        state: Any, now: int, entropy: Entropy, limits: Limits, namespace: Namespace
    ) -> ScheduleTransition:
        return BaseTransition(state, now, entropy, limits, namespace)

    @property
    def metered_type(self) -> str:
        return self.state.definition.action.start_workflow.workflow_type.name

    def changes_visibility(self, events: Sequence[HistoryEvent], changes: Sequence[AnyChange]) -> bool:
        return not self.state.starting or any(not isinstance(change, _UNSHOWN) for change in changes)

    def visibility_record(self, namespace: Namespace) -> VisibilityRecord:
        return views.visibility_record(self.state, namespace, self.shard.runtime.clock.now_ns())
