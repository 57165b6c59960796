"""PURE: commands about activities."""

from __future__ import annotations

from typing import Any

from temporalio.api.command.v1 import (
    RequestCancelActivityTaskCommandAttributes,
    ScheduleActivityTaskCommandAttributes,
)
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.enums.v1 import EventType, TaskQueueKind

from perdure.history.commands import checks
from perdure.history.commands.batch import Batch, Cause, CommandFailure
from perdure.history.effects import OfferActivityTask
from perdure.history.machines import activity
from perdure.history.transition import Transition
from perdure.kernel import options
from perdure.kernel.prototime import duration, length_ns


def schedule_activity(tx: Transition, command: ScheduleActivityTaskCommandAttributes, batch: Batch) -> None:
    cause = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SCHEDULE_ACTIVITY_ATTRIBUTES
    for what, value in (("activityId", command.activity_id), ("activityType", command.activity_type.name)):
        if not value:
            raise CommandFailure(cause, f"{what} is not set")
        if (length := len(value.encode())) > tx.limits.id_length_max:
            raise CommandFailure(cause, f"{what} exceeds length limit. Length={length} Limit={tx.limits.id_length_max}")
    queue = command.task_queue.name
    if not queue:
        raise CommandFailure(cause, "missing task queue name")
    checks.check_option(cause, _check_queue, queue, tx)
    checks.check_durations(
        cause,
        command,
        (
            "schedule_to_close_timeout",
            "schedule_to_start_timeout",
            "start_to_close_timeout",
            "heartbeat_timeout",
        ),
        "invalid {}: ",
    )
    checks.check_option(cause, options.check_retry_policy, command.retry_policy)
    checks.check_option(cause, options.check_priority, command.priority, before="invalid priorities: ")
    checks.check_size(tx, cause, "ScheduleActivityTaskCommandAttributes.Input", command.input.ByteSize())
    limit = tx.limits.pending_activities_max
    if limit and len(tx.state.activities) >= limit:
        raise CommandFailure(
            Cause.WORKFLOW_TASK_FAILED_CAUSE_PENDING_ACTIVITIES_LIMIT_EXCEEDED,
            f"the number of pending activities, {len(tx.state.activities)}, has reached the per-workflow limit of "
            f"{limit}",
        )
    if command.activity_id in tx.state.activity_ids:
        raise CommandFailure(
            Cause.WORKFLOW_TASK_FAILED_CAUSE_SCHEDULE_ACTIVITY_DUPLICATE_ID,
            "invalid history builder state for action: add-activitytask-scheduled-event, ActivityID: "
            f"{command.activity_id}",
        )
    event = tx.record(
        EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
        activity_id=command.activity_id,
        activity_type=command.activity_type,
        task_queue={
            "name": queue,
            "kind": command.task_queue.kind or TaskQueueKind.TASK_QUEUE_KIND_NORMAL,
        },
        header=command.header if command.HasField("header") else None,
        input=command.input if command.HasField("input") else None,
        workflow_task_completed_event_id=batch.completed_event_id,
        retry_policy=command.retry_policy,
        use_workflow_build_id=command.use_workflow_build_id,
        priority=command.priority if command.HasField("priority") else None,
        **_activity_timeouts(tx, command),
    )
    if command.request_eager_execution:
        batch.eager.append(event.event_id)
    else:
        tx.effect(OfferActivityTask(event.event_id))


def _check_queue(name: str, tx: Transition) -> None:
    options.check_task_queue_name(name, tx.limits, partition=False)


def _activity_timeouts(tx: Transition, command: ScheduleActivityTaskCommandAttributes) -> dict[str, Any]:
    """The four time-outs, completed from each other and capped by the run's, as the history shows them."""
    to_close = length_ns(command.schedule_to_close_timeout)
    to_start = length_ns(command.schedule_to_start_timeout)
    start_to_close = length_ns(command.start_to_close_timeout)
    heartbeat = length_ns(command.heartbeat_timeout)
    run_timeout = length_ns(tx.state.started.workflow_run_timeout)
    if to_close:
        to_start = min(to_start or to_close, to_close)
        start_to_close = min(start_to_close or to_close, to_close)
    elif start_to_close:
        # No schedule-to-close given: as long as the run itself, for ever if that has no limit.
        to_close = run_timeout
        to_start = to_start or run_timeout
    else:
        raise CommandFailure(
            Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SCHEDULE_ACTIVITY_ATTRIBUTES,
            "a valid StartToCloseTimeout or ScheduleToCloseTimeout must be set on the activity. "
            f"ActivityId={command.activity_id} ActivityType={command.activity_type.name}",
        )
    if run_timeout:
        to_close, to_start, start_to_close, heartbeat = (
            min(value, run_timeout) for value in (to_close, to_start, start_to_close, heartbeat)
        )
    heartbeat = min(heartbeat, start_to_close)
    return {
        "schedule_to_close_timeout": duration(to_close),
        "schedule_to_start_timeout": duration(to_start),
        "start_to_close_timeout": duration(start_to_close),
        "heartbeat_timeout": duration(heartbeat),
    }


def cancel_activity(tx: Transition, command: RequestCancelActivityTaskCommandAttributes, batch: Batch) -> None:
    cause = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_REQUEST_CANCEL_ACTIVITY_ATTRIBUTES
    scheduled_event_id = command.scheduled_event_id
    if scheduled_event_id <= 0:
        raise CommandFailure(cause, "ScheduledEventId is not set on RequestCancelActivityTaskCommand.")
    pending = tx.state.activities.get(scheduled_event_id)
    if pending is None and not _outcome_is_buffered(tx, scheduled_event_id):
        raise _bad_cancellation(scheduled_event_id)
    if pending is not None and pending.cancel_requested:
        raise _bad_cancellation(scheduled_event_id)
    tx.record(
        EventType.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED,
        scheduled_event_id=scheduled_event_id,
        workflow_task_completed_event_id=batch.completed_event_id,
    )
    if pending is not None and not pending.started:
        details = Payloads(payloads=[Payload(metadata={"encoding": b"json/plain"}, data=b'"ACTIVITY_ID_NOT_STARTED"')])
        activity.cancel_now(tx, pending, details, batch.identity)
        batch.wants_task = True


def _bad_cancellation(scheduled_event_id: int) -> CommandFailure:
    return CommandFailure(
        Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_REQUEST_CANCEL_ACTIVITY_ATTRIBUTES,
        "invalid history builder state for action: add-activitytask-cancel-requested-event, ScheduledEventID: "
        f"{scheduled_event_id}",
    )


def _outcome_is_buffered(tx: Transition, scheduled_event_id: int) -> bool:
    return any(
        event.event_type in _ACTIVITY_OUTCOMES
        and getattr(event, _ACTIVITY_OUTCOMES[event.event_type]).scheduled_event_id == scheduled_event_id
        for event in tx.state.buffered
    )


_ACTIVITY_OUTCOMES = {
    EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED: "activity_task_completed_event_attributes",
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED: "activity_task_failed_event_attributes",
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT: "activity_task_timed_out_event_attributes",
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED: "activity_task_canceled_event_attributes",
}
