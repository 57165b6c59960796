"""PURE: commands about timers."""

from __future__ import annotations

from temporalio.api.command.v1 import CancelTimerCommandAttributes, StartTimerCommandAttributes
from temporalio.api.enums.v1 import EventType

from perdure.history.commands import checks
from perdure.history.commands.batch import Batch, Cause, CommandFailure
from perdure.history.state.changes import BufferedTimerDropped
from perdure.history.transition import Transition


def start_timer(tx: Transition, command: StartTimerCommandAttributes, batch: Batch) -> None:
    cause = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_START_TIMER_ATTRIBUTES
    checks.check_id(cause, "TimerId", "StartTimerCommand", command.timer_id, tx)
    checks.check_durations(
        cause,
        command,
        ("start_to_fire_timeout",),
        "An invalid {} is set on StartTimerCommand: ",
        f". TimerId={command.timer_id}",
    )
    if command.timer_id in tx.state.timers:
        raise CommandFailure(
            Cause.WORKFLOW_TASK_FAILED_CAUSE_START_TIMER_DUPLICATE_ID,
            f"invalid history builder state for action: add-timer-started-event, TimerID: {command.timer_id}",
        )
    tx.record(
        EventType.EVENT_TYPE_TIMER_STARTED,
        timer_id=command.timer_id,
        start_to_fire_timeout=command.start_to_fire_timeout if command.HasField("start_to_fire_timeout") else None,
        workflow_task_completed_event_id=batch.completed_event_id,
    )


def cancel_timer(tx: Transition, command: CancelTimerCommandAttributes, batch: Batch) -> None:
    cause = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_CANCEL_TIMER_ATTRIBUTES
    checks.check_id(cause, "TimerId", "CancelTimerCommand", command.timer_id, tx)
    timer = tx.state.timers.get(command.timer_id)
    if timer is not None:
        started_event_id = timer.started_event_id
    else:
        started_event_id = _take_back_fired(tx, command.timer_id)
        if not started_event_id:
            raise CommandFailure(
                cause,
                f"invalid history builder state for action: add-timer-canceled-event, TimerID: {command.timer_id}",
            )
    tx.record(
        EventType.EVENT_TYPE_TIMER_CANCELED,
        timer_id=command.timer_id,
        started_event_id=started_event_id,
        workflow_task_completed_event_id=batch.completed_event_id,
        identity=batch.identity,
    )


def _take_back_fired(tx: Transition, timer_id: str) -> int:
    """The workflow cancels a timer that has fired behind its back: for the workflow it never fired."""
    for event in tx.state.buffered:
        fired = event.timer_fired_event_attributes
        if event.event_type == EventType.EVENT_TYPE_TIMER_FIRED and fired.timer_id == timer_id:
            tx.change(BufferedTimerDropped(timer_id))
            return fired.started_event_id
    return 0
