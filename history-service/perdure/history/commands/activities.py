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
from perdure.history.machines import activity_events
from perdure.history.machines.activity import Canceled
from perdure.history.transition import Transition
from perdure.kernel import activity_options, options
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.prototime import length_ns


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
    checks.check_durations(cause, command, activity_options.TIMEOUTS, "invalid {}: ")
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
        **_timeouts(tx, command),
    )
    if command.request_eager_execution and not tx.state.holds_tasks:
        batch.eager.append(event.event_id)
    else:
        tx.effect(OfferActivityTask(event.event_id))


def _timeouts(tx: Transition, command: ScheduleActivityTaskCommandAttributes) -> dict[str, Any]:
    try:
        return activity_options.complete_timeouts(
            command, command.activity_id, command.activity_type.name, length_ns(tx.state.started.workflow_run_timeout)
        )
    except InvalidArgument as error:
        raise CommandFailure(
            Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SCHEDULE_ACTIVITY_ATTRIBUTES, error.message
        ) from error


def _check_queue(name: str, tx: Transition) -> None:
    options.check_task_queue_name(name, tx.limits, partition=False)


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
        activity_events.record(tx, pending, Canceled(details, batch.identity))
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
