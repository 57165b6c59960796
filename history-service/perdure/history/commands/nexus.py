"""PURE: commands about Nexus operations."""

from __future__ import annotations

from temporalio.api.command.v1 import (
    RequestCancelNexusOperationCommandAttributes,
    ScheduleNexusOperationCommandAttributes,
)
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from perdure.history.commands import checks
from perdure.history.commands.batch import Batch, Cause, CommandFailure
from perdure.history.effects import CancelNexusOperation, StartNexusOperation
from perdure.history.transition import Transition
from perdure.kernel.nexus import DISALLOWED_HEADERS
from perdure.kernel.prototime import duration, length_ns

_BAD = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SCHEDULE_NEXUS_OPERATION_ATTRIBUTES
_BAD_CANCEL = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_REQUEST_CANCEL_NEXUS_OPERATION_ATTRIBUTES
_NAME = "ScheduleNexusOperationCommandAttributes"

_ENDS = {
    EventType.EVENT_TYPE_NEXUS_OPERATION_COMPLETED: "nexus_operation_completed_event_attributes",
    EventType.EVENT_TYPE_NEXUS_OPERATION_FAILED: "nexus_operation_failed_event_attributes",
    EventType.EVENT_TYPE_NEXUS_OPERATION_CANCELED: "nexus_operation_canceled_event_attributes",
    EventType.EVENT_TYPE_NEXUS_OPERATION_TIMED_OUT: "nexus_operation_timed_out_event_attributes",
}


def schedule_operation(tx: Transition, command: ScheduleNexusOperationCommandAttributes, batch: Batch) -> None:
    endpoint = batch.endpoints.get(command.endpoint)
    if endpoint is None:
        raise CommandFailure(_BAD, f'endpoint "{command.endpoint}" not found')
    if not endpoint.may_be_called_by(tx.namespace):
        raise CommandFailure(_BAD, f'caller namespace "{tx.namespace.name}" unauthorized for "{command.endpoint}"')
    header = _check(tx, command)
    to_close, to_start, start_to_close = _timeouts(tx, command)
    event = tx.record(
        EventType.EVENT_TYPE_NEXUS_OPERATION_SCHEDULED,
        endpoint=command.endpoint,
        endpoint_id=endpoint.id,
        service=command.service,
        operation=command.operation,
        input=command.input if command.HasField("input") else None,
        schedule_to_close_timeout=duration(to_close) if to_close else None,
        schedule_to_start_timeout=duration(to_start) if to_start else None,
        start_to_close_timeout=duration(start_to_close) if start_to_close else None,
        nexus_header=header,
        request_id=tx.entropy.uuid(),
        workflow_task_completed_event_id=batch.completed_event_id,
    )
    tx.effect(StartNexusOperation(event.event_id))


def _check(tx: Transition, command: ScheduleNexusOperationCommandAttributes) -> dict[str, str]:
    """What is wrong with the command is told. Returns its header with the names in lower case."""
    limits = tx.limits
    for what, value, limit in (
        ("Service", command.service, limits.nexus_service_name_max),
        ("Operation", command.operation, limits.nexus_operation_name_max),
    ):
        if len(value.encode()) > limit:
            raise CommandFailure(_BAD, f"{_NAME}.{what} exceeds length limit of {limit}")
    checks.check_durations(
        _BAD,
        command,
        ("schedule_to_close_timeout", "schedule_to_start_timeout", "start_to_close_timeout"),
        f"{_NAME}.{{}} is invalid: ",
    )
    if command.input.ByteSize() > limits.blob_size_max:
        raise CommandFailure(_BAD, f"{_NAME}.Input exceeds size limit", terminate=True)
    header, size = {}, 0
    for name, value in command.nexus_header.items():
        lower = name.lower()
        header[lower] = value
        size += len(lower.encode()) + len(value.encode())
        if lower in DISALLOWED_HEADERS:
            raise CommandFailure(_BAD, f'{_NAME}.NexusHeader contains a disallowed header key: "{name}"')
    if size > limits.nexus_header_size_max:
        raise CommandFailure(_BAD, f"{_NAME}.NexusHeader exceeds size limit")
    if len(tx.state.operations) >= limits.nexus_operations_max:
        raise CommandFailure(
            Cause.WORKFLOW_TASK_FAILED_CAUSE_PENDING_NEXUS_OPERATIONS_LIMIT_EXCEEDED,
            f"workflow has reached the pending nexus operation limit of {limits.nexus_operations_max} for this "
            "namespace",
        )
    return header


def _timeouts(tx: Transition, command: ScheduleNexusOperationCommandAttributes) -> tuple[int, int, int]:
    """An operation ends with the run that wants it, and its parts with the whole."""
    to_close = length_ns(command.schedule_to_close_timeout)
    run_timeout = length_ns(tx.state.started.workflow_run_timeout)
    if run_timeout:
        to_close = min(to_close or run_timeout, run_timeout)
    to_start, start_to_close = length_ns(command.schedule_to_start_timeout), length_ns(command.start_to_close_timeout)
    if to_close:
        to_start, start_to_close = min(to_start, to_close), min(start_to_close, to_close)
    return to_close, to_start, start_to_close


def cancel_operation(tx: Transition, command: RequestCancelNexusOperationCommandAttributes, batch: Batch) -> None:
    """Also of an operation that has ended meanwhile: the worker does not know yet, and its history has to fit."""
    key = command.scheduled_event_id
    operation = tx.state.operations.get(key)
    if operation is None and not any(_ends(event, key) for event in tx.state.buffered):
        raise CommandFailure(
            _BAD_CANCEL,
            f"requested cancelation for a non-existing or already completed operation with scheduled event ID of {key}",
        )
    if operation is not None and operation.cancel is not None:
        raise CommandFailure(
            _BAD_CANCEL, f"cancelation was already requested for an operation with scheduled event ID {key}"
        )
    tx.record(
        EventType.EVENT_TYPE_NEXUS_OPERATION_CANCEL_REQUESTED,
        scheduled_event_id=key,
        workflow_task_completed_event_id=batch.completed_event_id,
    )
    # Of one that has not started its handler is told as soon as it has.
    if operation is not None and operation.started:
        tx.effect(CancelNexusOperation(key))


def _ends(event: HistoryEvent, scheduled_event_id: int) -> bool:
    name = _ENDS.get(event.event_type)
    return name is not None and getattr(event, name).scheduled_event_id == scheduled_event_id
