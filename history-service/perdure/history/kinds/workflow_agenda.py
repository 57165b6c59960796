"""PURE: what a run owes the world, and when it wants attention next.

Derived from the state and kept up to date from each transition's events and changes, so that neither question costs
more for a run with thousands of pending activities. An entry that has become obsolete stays until it is looked at:
the state is the truth, the agenda a hint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import heapify, heappop, heappush

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from perdure.history.effects import (
    ApplyParentClosePolicy,
    CancelNexusOperation,
    DeliverCallback,
    Effect,
    NotifyParent,
    NotifySchedule,
    OfferActivityTask,
    OfferWorkflowTask,
    SendCancel,
    SendSignal,
    StartChild,
    StartNexusOperation,
)
from perdure.history.machines import activity as activities
from perdure.history.machines import (
    activity_events,
    nexus_events,
    nexus_operation,
    time_skipping,
    workflow,
    workflow_task,
)
from perdure.history.machines import timer as timers
from perdure.history.state.changes import (
    ActivityHeld,
    ActivityOptionsChanged,
    ActivityPaused,
    ActivityRescheduled,
    ActivityRetried,
    ActivityStarted,
    ActivityUnpaused,
    AnyChange,
    EventBuffered,
    NexusAttemptFailed,
    NexusCancelAttemptFailed,
)
from perdure.history.state.execution import Execution
from perdure.history.state.nexus import CallbackState
from perdure.history.transition import Transition

#: (instant, scheduled event id or 0, timer id or "")
_Deadline = tuple[int, int, str]

#: Changes after which an activity waits for a worker, or no longer, or has other deadlines than before.
_ACTIVITY_CHANGES = frozenset(
    {
        ActivityStarted,
        ActivityRetried,
        ActivityHeld,
        ActivityPaused,
        ActivityUnpaused,
        ActivityRescheduled,
        ActivityOptionsChanged,
    }
)

#: Obsolete deadlines are swept out when they outnumber the live ones by this factor, plus some.
_SWEEP_FACTOR = 2
_SWEEP_SLACK = 64


#: Events by which an activity or a child ceases to wait, and whose it is. (That an activity starts is no event.)
_NO_LONGER_UNSTARTED: dict[int, Callable[[HistoryEvent], int]] = {
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT: (
        lambda event: event.activity_task_timed_out_event_attributes.scheduled_event_id
    ),
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED: (  # By a reset, without having started again.
        lambda event: event.activity_task_failed_event_attributes.scheduled_event_id
    ),
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED: (
        lambda event: event.activity_task_canceled_event_attributes.scheduled_event_id
    ),
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED: (
        lambda event: event.child_workflow_execution_started_event_attributes.initiated_event_id
    ),
    EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED: (
        lambda event: event.start_child_workflow_execution_failed_event_attributes.initiated_event_id
    ),
}


class Agenda:
    """The open ends of one run."""

    __slots__ = ("_deadlines", "_unstarted", "state")

    def __init__(self, state: Execution) -> None:
        self.state = state
        #: Activities that wait for a worker, and children whose start is still to be sent.
        self._unstarted = {key for key, activity in state.activities.items() if activity.waiting}
        self._unstarted |= {key for key, child in state.children.items() if not child.started}
        self._deadlines: list[_Deadline] = []
        self._rebuild(now=0)

    def note(self, events: Iterable[HistoryEvent], changes: Iterable[AnyChange], now: int) -> None:
        """Take in what a transition did."""
        for event in events:
            self._note_event(event, now)
        for change in changes:
            if type(change) in _ACTIVITY_CHANGES:
                self._touch_activity(change.scheduled_event_id, now)  # type: ignore[union-attr]
            elif type(change) in (NexusAttemptFailed, NexusCancelAttemptFailed):
                self._touch_operation(change.scheduled_event_id, now)  # type: ignore[union-attr]
            elif type(change) is EventBuffered:
                self._note_event(change.event, now)
        state = self.state
        pending = len(state.activities) + len(state.timers) + len(state.operations)
        if len(self._deadlines) > _SWEEP_FACTOR * pending + _SWEEP_SLACK:
            self._rebuild(now)

    def _note_event(self, event: HistoryEvent, now: int) -> None:
        kind = event.event_type
        if kind == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            self._touch_activity(event.event_id, now)
        elif kind == EventType.EVENT_TYPE_TIMER_STARTED:
            timer = self.state.timers.get(event.timer_started_event_attributes.timer_id)
            if timer is not None:
                heappush(self._deadlines, (timer.fires_at, 0, timer.timer_id))
        elif kind == EventType.EVENT_TYPE_NEXUS_OPERATION_SCHEDULED:
            self._touch_operation(event.event_id, now)
        elif kind == EventType.EVENT_TYPE_NEXUS_OPERATION_STARTED:
            self._touch_operation(event.nexus_operation_started_event_attributes.scheduled_event_id, now)
        elif kind == EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED:
            self._unstarted.add(event.event_id)
        elif (started := _NO_LONGER_UNSTARTED.get(kind)) is not None:
            self._unstarted.discard(started(event))

    def _touch_activity(self, scheduled_event_id: int, now: int) -> None:
        activity = self.state.activities.get(scheduled_event_id)
        if activity is None:
            return
        if activity.waiting:
            self._unstarted.add(scheduled_event_id)
        else:
            self._unstarted.discard(scheduled_event_id)
        if at := activities.deadline(activity, now):
            heappush(self._deadlines, (at, scheduled_event_id, ""))

    def _touch_operation(self, scheduled_event_id: int, now: int) -> None:
        operation = self.state.operations.get(scheduled_event_id)
        if operation is not None and (at := nexus_operation.deadline(operation, now)):
            heappush(self._deadlines, (at, scheduled_event_id, ""))

    def _rebuild(self, now: int) -> None:
        self._deadlines = [(timer.fires_at, 0, timer.timer_id) for timer in self.state.timers.values()]
        for key, activity in self.state.activities.items():
            if at := activities.deadline(activity, now):
                self._deadlines.append((at, key, ""))
        for key, operation in self.state.operations.items():
            if at := nexus_operation.deadline(operation, now):
                self._deadlines.append((at, key, ""))
        heapify(self._deadlines)

    def next_deadline(self, now: int, retention: int) -> int:
        """The earliest instant at which the run wants attention; 0 if it wants none."""
        state = self.state
        if not state.running:
            return state.closed_at + retention
        instants = []
        if at := self._earliest(now):
            instants.append(at)
        if at := workflow_task.deadline(state):
            instants.append(at)
        if state.run_expires_at:
            instants.append(state.run_expires_at)
        if state.first_task_at and not (state.completed_task_event_id or state.workflow_task or state.holds_tasks):
            instants.append(state.first_task_at)
        if state.time_skipping is not None and state.time_skipping.forwarding:
            instants.append(state.time_skipping.target)
        return min(instants, default=0)

    def _earliest(self, now: int) -> int:
        """The earliest deadline that still stands."""
        deadlines = self._deadlines
        while deadlines:
            at, scheduled_event_id, timer_id = deadlines[0]
            if timer_id:
                timer = self.state.timers.get(timer_id)
                if timer is not None and timer.fires_at == at:
                    return at
                heappop(deadlines)
                continue
            actual = self._deadline_of(scheduled_event_id, min(now, at - 1))
            if actual == at:
                return at
            heappop(deadlines)
            if actual > at:
                heappush(deadlines, (actual, scheduled_event_id, ""))
        return 0

    def _deadline_of(self, scheduled_event_id: int, now: int) -> int:
        """Of an activity or a Nexus operation; 0 if it has none, or is gone."""
        if (activity := self.state.activities.get(scheduled_event_id)) is not None:
            return activities.deadline(activity, now)
        operation = self.state.operations.get(scheduled_event_id)
        return nexus_operation.deadline(operation, now) if operation is not None else 0

    def expire(self, tx: Transition) -> None:
        """Let everything happen whose instant has come, in the order of the instants."""
        state, now = self.state, tx.now
        if state.run_expires_at and state.run_expires_at <= now and state.running:
            workflow.time_out(tx)
            return
        while (at := self._earliest(now)) and at <= now and state.running:
            entry = heappop(self._deadlines)
            while self._deadlines and self._deadlines[0] == entry:  # several changes of one transition note the same
                heappop(self._deadlines)
            _, scheduled_event_id, timer_id = entry
            if timer_id:
                timers.fire(tx, state.timers[timer_id])
            elif (operation := state.operations.get(scheduled_event_id)) is not None:
                for news in nexus_operation.expire(tx, operation):
                    nexus_events.record(tx, operation, news)
                self._touch_operation(scheduled_event_id, now)
            else:
                activity = state.activities[scheduled_event_id]
                outcome = activities.expire(tx, activity)
                if outcome is not None:
                    activity_events.close(tx, activity, outcome)
                self._touch_activity(scheduled_event_id, now)
        task_deadline = workflow_task.deadline(state)
        if task_deadline and task_deadline <= now:
            workflow_task.expire(tx)
        if state.first_task_at and state.first_task_at <= now and not state.completed_task_event_id:
            workflow_task.schedule(tx)
        time_skipping.arrive(tx)

    @property
    def owes(self) -> bool:
        """Whether anything waits for somebody else: if the process dies now, it has to be brought up again."""
        state = self.state
        if not state.running:
            return bool(state.owes_parent or state.owes_schedule or state.orphans or self._undelivered)
        task = state.workflow_task
        return bool(
            (task is not None and not task.started_event_id)
            or self._wanted
            or state.signals_out
            or state.cancels_out
            or any(operation.wants_start or operation.wants_cancel for operation in state.operations.values())
        )

    @property
    def _undelivered(self) -> list[int]:
        """Callbacks that nobody was told of the run's end by."""
        return [
            index for index, callback in enumerate(self.state.callbacks) if callback.state is CallbackState.SCHEDULED
        ]

    @property
    def _wanted(self) -> set[int]:
        """What of the unstarted is to be started: of a paused run only its children."""
        if not self.state.holds_tasks:
            return self._unstarted
        return self._unstarted - self.state.activities.keys()

    def outstanding(self, now: int) -> list[Effect]:
        """All effects that are owed, for a run that was just loaded: earlier ones may have been lost."""
        state = self.state
        effects: list[Effect] = []
        if not state.running:
            effects += [ApplyParentClosePolicy(key) for key in state.orphans]
            if state.owes_parent:
                effects.append(NotifyParent())
            if state.owes_schedule:
                effects.append(NotifySchedule())
            return effects + [DeliverCallback(index) for index in self._undelivered]
        task = state.workflow_task
        if task is not None and not task.started_event_id:
            effects.append(OfferWorkflowTask())
        for key in sorted(self._wanted):
            activity = state.activities.get(key)
            if activity is None:
                effects.append(StartChild(key))
            elif activity.attempt_scheduled_at <= now:
                effects.append(OfferActivityTask(key))
        effects += [SendSignal(key) for key in state.signals_out]
        effects += [SendCancel(key) for key in state.cancels_out]
        for key, operation in state.operations.items():
            if nexus_operation.next_attempt_at(operation) > now:
                continue
            if operation.wants_start:
                effects.append(StartNexusOperation(key))
            elif operation.wants_cancel:
                effects.append(CancelNexusOperation(key))
        return effects
