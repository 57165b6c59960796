"""A standalone activity in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from temporalio.api.enums.v1 import ActivityExecutionStatus, WorkflowExecutionStatus
from temporalio.api.history.v1 import HistoryEvent

from perdure.history.effects import Effect, OfferActivityTask
from perdure.history.kinds.kind import Loaded
from perdure.history.machines import activity as activities
from perdure.history.machines import standalone_activity
from perdure.history.machines.standalone_activity import Standalone
from perdure.history.state.activity_execution import ACTIVITY_KEY, ActivityExecution
from perdure.history.state.changes import (
    ActivityBegunAnew,
    ActivityExecutionClosed,
    ActivityExecutionScheduled,
    ActivityHeld,
    ActivityOptionsChanged,
    ActivityPaused,
    ActivityUnpaused,
    AnyChange,
)
from perdure.kernel.errors import NotFound
from perdure.kernel.ids import ExecutionKind
from perdure.kernel.metering.actions import STANDALONE_ACTIVITY_TYPE
from perdure.kernel.namespace import Namespace
from perdure.kernel.persistence.visibility import VisibilityRecord
from perdure.kernel.visibility import attributes

#: Changes after which a list shows something else.
_SHOWN = (
    ActivityBegunAnew,
    ActivityExecutionScheduled,
    ActivityExecutionClosed,
    ActivityHeld,
    ActivityPaused,
    ActivityUnpaused,
    ActivityOptionsChanged,
)


class ActivityAgenda:
    """What a standalone activity owes, and when it wants attention: as little as it is, it is looked up each time."""

    __slots__ = ("state",)

    def __init__(self, state: ActivityExecution) -> None:
        self.state = state

    def note(self, events: Iterable[HistoryEvent], changes: Iterable[AnyChange], now: int) -> None:
        """Nothing is kept up to date here."""

    def next_deadline(self, now: int, retention: int) -> int:
        state = self.state
        return activities.deadline(state.activity, now) if state.running else state.closed_at + retention

    def expire(self, tx: Standalone) -> None:
        outcome = activities.expire(tx, tx.state.activity)
        if outcome is not None:
            standalone_activity.close(tx, tx.state.activity, outcome)

    @property
    def owes(self) -> bool:
        return self.state.running and self.state.activity.waiting

    def outstanding(self, now: int) -> list[Effect]:
        due = self.owes and self.state.activity.attempt_scheduled_at <= now
        return [OfferActivityTask(ACTIVITY_KEY)] if due else []


class LoadedActivity(Loaded[Standalone]):
    """One run of a standalone activity that a shard holds in memory."""

    __slots__ = ()

    kind = ExecutionKind.ACTIVITY
    state_type = ActivityExecution
    new_agenda = ActivityAgenda
    new_transition = Standalone

    state: ActivityExecution

    @staticmethod
    def not_found(workflow_id: str, run_id: str) -> NotFound:
        return standalone_activity.not_found(workflow_id)

    @property
    def metered_type(self) -> str:
        return STANDALONE_ACTIVITY_TYPE

    def changes_visibility(self, events: Sequence[HistoryEvent], changes: Sequence[AnyChange]) -> bool:
        return any(isinstance(change, _SHOWN) for change in changes)

    def visibility_record(self, namespace: Namespace) -> VisibilityRecord:
        state, fields = self.state, self.state.search_attributes
        activity = state.activity
        return VisibilityRecord(
            namespace_id=state.namespace_id,
            workflow_id=state.workflow_id,
            run_id=state.run_id,
            kind=ExecutionKind.ACTIVITY,
            workflow_type=activity.scheduled.activity_type.name,
            task_queue=activity.scheduled.task_queue.name,
            status=_listed_status(state),
            start_time_ns=activity.scheduled_at,
            execution_time_ns=activity.scheduled_at + activity.delay,
            close_time_ns=state.closed_at or None,
            state_transition_count=state.state_transitions if state.closed_at else 0,
            indexed_fields=fields.SerializeToString(),
            search_attributes=attributes.decode_stored(fields, namespace.search_attributes)
            if fields.indexed_fields
            else {},
        )


def status(state: ActivityExecution) -> ActivityExecutionStatus.ValueType:
    """The status as clients see it."""
    if state.running and state.activity.pause is not None and not state.activity.started:
        return ActivityExecutionStatus.ACTIVITY_EXECUTION_STATUS_PAUSED
    return ActivityExecutionStatus.ValueType(state.status)


def _listed_status(state: ActivityExecution) -> int:
    """Its number among those of workflows, which lists have for executions of all kinds."""
    name = ActivityExecutionStatus.Name(status(state)).removeprefix("ACTIVITY_EXECUTION_STATUS_")
    return WorkflowExecutionStatus.Value(f"WORKFLOW_EXECUTION_STATUS_{name}")
