"""PURE: what clients see of Nexus operations and of callbacks."""

from __future__ import annotations

from temporalio.api.enums.v1 import CallbackState as ShownState
from temporalio.api.enums.v1 import (
    NexusOperationCancellationState,
    NexusOperationExecutionStatus,
    PendingNexusOperationState,
)
from temporalio.api.nexus.v1 import NexusOperationExecutionCancellationInfo, NexusOperationExecutionInfo
from temporalio.api.workflow.v1 import CallbackInfo, NexusOperationCancellationInfo, PendingNexusOperationInfo

from perdure.history.state.codec import encode_state
from perdure.history.state.nexus import CallbackState, CompletionCallback, NexusCancel, NexusOperation
from perdure.history.state.operation_execution import OperationExecution
from perdure.kernel.prototime import duration, length_ns, timestamp

_Pending = PendingNexusOperationState
_Cancellation = NexusOperationCancellationState

_SHOWN = {
    CallbackState.STANDBY: ShownState.CALLBACK_STATE_STANDBY,
    CallbackState.SCHEDULED: ShownState.CALLBACK_STATE_SCHEDULED,
    CallbackState.SUCCEEDED: ShownState.CALLBACK_STATE_SUCCEEDED,
    CallbackState.FAILED: ShownState.CALLBACK_STATE_FAILED,
}


def pending_operation(operation: NexusOperation, now: int) -> PendingNexusOperationInfo:
    scheduled = operation.scheduled
    info = PendingNexusOperationInfo(
        endpoint=scheduled.endpoint,
        service=scheduled.service,
        operation=scheduled.operation,
        operation_id=operation.token,
        operation_token=operation.token,
        scheduled_time=timestamp(operation.scheduled_at),
        state=_state(operation, now),
        attempt=operation.attempts,
        last_attempt_failure=operation.last_failure,
        scheduled_event_id=operation.scheduled_event_id,
    )
    for name in ("schedule_to_close_timeout", "schedule_to_start_timeout", "start_to_close_timeout"):
        if scheduled.HasField(name):
            getattr(info, name).CopyFrom(getattr(scheduled, name))
    if operation.last_attempt_at:
        info.last_attempt_complete_time.CopyFrom(timestamp(operation.last_attempt_at))
    if not operation.started and operation.next_attempt_at > now:
        info.next_attempt_schedule_time.CopyFrom(timestamp(operation.next_attempt_at))
    if operation.cancel is not None:
        info.cancellation_info.CopyFrom(_cancellation(operation, operation.cancel, now))
    return info


def _state(operation: NexusOperation, now: int) -> PendingNexusOperationState.ValueType:
    if operation.started:
        return _Pending.PENDING_NEXUS_OPERATION_STATE_STARTED
    if operation.next_attempt_at > now:
        return _Pending.PENDING_NEXUS_OPERATION_STATE_BACKING_OFF
    return _Pending.PENDING_NEXUS_OPERATION_STATE_SCHEDULED


def _cancellation(operation: NexusOperation, cancel: NexusCancel, now: int) -> NexusOperationCancellationInfo:
    if cancel.told:
        state = (
            _Cancellation.NEXUS_OPERATION_CANCELLATION_STATE_FAILED
            if cancel.refused
            else _Cancellation.NEXUS_OPERATION_CANCELLATION_STATE_SUCCEEDED
        )
    elif not operation.started:
        state = _Cancellation.NEXUS_OPERATION_CANCELLATION_STATE_UNSPECIFIED
    elif cancel.next_attempt_at > now:
        state = _Cancellation.NEXUS_OPERATION_CANCELLATION_STATE_BACKING_OFF
    else:
        state = _Cancellation.NEXUS_OPERATION_CANCELLATION_STATE_SCHEDULED
    info = NexusOperationCancellationInfo(
        requested_time=timestamp(cancel.requested_at),
        state=state,
        attempt=cancel.attempts,
        last_attempt_failure=cancel.last_failure,
    )
    if cancel.last_attempt_at:
        info.last_attempt_complete_time.CopyFrom(timestamp(cancel.last_attempt_at))
    if cancel.next_attempt_at > now:
        info.next_attempt_schedule_time.CopyFrom(timestamp(cancel.next_attempt_at))
    return info


def callback_info(callback: CompletionCallback) -> CallbackInfo:
    info = CallbackInfo(
        callback=callback.callback,
        registration_time=timestamp(callback.registered_at),
        state=_SHOWN[callback.state],
        last_attempt_failure=callback.last_failure,
        request_id=callback.request_id,
    )
    info.trigger.workflow_closed.SetInParent()
    if callback.attempted_at:
        info.attempt = 1
        info.last_attempt_complete_time.CopyFrom(timestamp(callback.attempted_at))
    return info


def operation_info(state: OperationExecution, now: int) -> NexusOperationExecutionInfo:
    """A standalone operation as it is now. Unlike those of workflows it counts an attempt from its beginning."""
    operation = state.operation
    scheduled = operation.scheduled
    info = NexusOperationExecutionInfo(
        operation_id=state.workflow_id,
        run_id=state.run_id,
        endpoint=scheduled.endpoint,
        service=scheduled.service,
        operation=scheduled.operation,
        status=NexusOperationExecutionStatus.ValueType(state.status),
        state=_state(operation, now) if state.running else _Pending.PENDING_NEXUS_OPERATION_STATE_UNSPECIFIED,
        attempt=operation.attempts + (state.running and not operation.started and operation.next_attempt_at <= now),
        schedule_time=timestamp(operation.scheduled_at),
        last_attempt_failure=operation.last_failure,
        request_id=scheduled.request_id,
        operation_token=operation.token,
        state_transition_count=state.state_transitions,
        state_size_bytes=len(encode_state(state)),
        search_attributes=state.search_attributes,
        nexus_header=scheduled.nexus_header,
        user_metadata=state.user_metadata,
        links=state.links,
        identity=state.identity,
        execution_duration=duration(max((state.closed_at or now) - operation.scheduled_at, 0)),
    )
    for name in ("schedule_to_close_timeout", "schedule_to_start_timeout", "start_to_close_timeout"):
        if scheduled.HasField(name):
            getattr(info, name).CopyFrom(getattr(scheduled, name))
    if scheduled.HasField("schedule_to_close_timeout"):
        expires_at = operation.scheduled_at + length_ns(scheduled.schedule_to_close_timeout)
        info.expiration_time.CopyFrom(timestamp(expires_at))
    if operation.last_attempt_at:
        info.last_attempt_complete_time.CopyFrom(timestamp(operation.last_attempt_at))
    if state.closed_at:
        info.close_time.CopyFrom(timestamp(state.closed_at))
    elif not operation.started and operation.next_attempt_at > now:
        info.next_attempt_schedule_time.CopyFrom(timestamp(operation.next_attempt_at))
    if operation.cancel is not None and state.cancellation is not None:
        info.cancellation_info.CopyFrom(_cancellation_of(operation, operation.cancel, state.cancellation.reason, now))
    return info


def _cancellation_of(
    operation: NexusOperation, cancel: NexusCancel, reason: str, now: int
) -> NexusOperationExecutionCancellationInfo:
    shown = _cancellation(operation, cancel, now)
    under_way = shown.state == _Cancellation.NEXUS_OPERATION_CANCELLATION_STATE_SCHEDULED
    return NexusOperationExecutionCancellationInfo(
        requested_time=shown.requested_time,
        state=shown.state,
        attempt=shown.attempt + under_way,
        last_attempt_complete_time=shown.last_attempt_complete_time if cancel.last_attempt_at else None,
        last_attempt_failure=cancel.last_failure,
        next_attempt_schedule_time=shown.next_attempt_schedule_time if cancel.next_attempt_at > now else None,
        reason=reason,
    )
