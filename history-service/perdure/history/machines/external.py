"""Signals and cancel requests to other executions: what became of them."""

from __future__ import annotations

from temporalio.api.enums.v1 import (
    CancelExternalWorkflowExecutionFailedCause,
    EventType,
    SignalExternalWorkflowExecutionFailedCause,
)

from perdure.history.machines import workflow_task
from perdure.history.state.execution import CancelOut, SignalOut
from perdure.history.transition import Transition


def signal_delivered(tx: Transition, signal: SignalOut) -> None:
    initiated = signal.initiated
    tx.arrive(
        EventType.EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_SIGNALED,
        initiated_event_id=signal.initiated_event_id,
        namespace=initiated.namespace or tx.namespace.name,
        namespace_id=initiated.namespace_id,
        workflow_execution=initiated.workflow_execution,
        control=initiated.control,
    )
    workflow_task.schedule(tx)


def signal_failed(
    tx: Transition, signal: SignalOut, cause: SignalExternalWorkflowExecutionFailedCause.ValueType
) -> None:
    initiated = signal.initiated
    tx.arrive(
        EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED,
        cause=cause,
        namespace=initiated.namespace or tx.namespace.name,
        namespace_id=initiated.namespace_id,
        workflow_execution=initiated.workflow_execution,
        initiated_event_id=signal.initiated_event_id,
        control=initiated.control,
    )
    workflow_task.schedule(tx)


def cancel_delivered(tx: Transition, cancel: CancelOut) -> None:
    initiated = cancel.initiated
    tx.arrive(
        EventType.EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED,
        initiated_event_id=cancel.initiated_event_id,
        namespace=initiated.namespace or tx.namespace.name,
        namespace_id=initiated.namespace_id,
        workflow_execution=initiated.workflow_execution,
    )
    workflow_task.schedule(tx)


def cancel_failed(
    tx: Transition, cancel: CancelOut, cause: CancelExternalWorkflowExecutionFailedCause.ValueType
) -> None:
    initiated = cancel.initiated
    tx.arrive(
        EventType.EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED,
        cause=cause,
        namespace=initiated.namespace or tx.namespace.name,
        namespace_id=initiated.namespace_id,
        workflow_execution=initiated.workflow_execution,
        initiated_event_id=cancel.initiated_event_id,
        control=initiated.control,
    )
    workflow_task.schedule(tx)
