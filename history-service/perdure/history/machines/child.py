"""Child executions, from the parent's side: what became of the start, and how it ended."""

from __future__ import annotations

from typing import Any

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, StartChildWorkflowExecutionFailedCause
from temporalio.api.history.v1 import HistoryEvent

from perdure.history.machines import workflow_task
from perdure.history.state.execution import Child
from perdure.history.transition import Transition


def started(tx: Transition, child: Child, run_id: str) -> None:
    """The child runs."""
    initiated = child.initiated
    tx.arrive(
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED,
        namespace=initiated.namespace,
        namespace_id=initiated.namespace_id,
        initiated_event_id=child.initiated_event_id,
        workflow_execution=WorkflowExecution(workflow_id=initiated.workflow_id, run_id=run_id),
        workflow_type=initiated.workflow_type,
        header=initiated.header if initiated.HasField("header") else None,
    )
    workflow_task.schedule(tx)


def start_failed(tx: Transition, child: Child, cause: StartChildWorkflowExecutionFailedCause.ValueType) -> None:
    """The child cannot be started."""
    initiated = child.initiated
    tx.arrive(
        EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED,
        namespace=initiated.namespace,
        namespace_id=initiated.namespace_id,
        workflow_id=initiated.workflow_id,
        workflow_type=initiated.workflow_type,
        cause=cause,
        control=initiated.control,
        initiated_event_id=child.initiated_event_id,
    )
    workflow_task.schedule(tx)


def closed(tx: Transition, child: Child, execution: WorkflowExecution, close_event: HistoryEvent) -> None:
    """The child's last run has ended with this event. The news of its start may be late: then it is told first."""
    if not child.started:
        started(tx, child, execution.run_id)
        child = tx.state.children[child.initiated_event_id]
    common: dict[str, Any] = {
        "namespace": child.initiated.namespace,
        "namespace_id": child.initiated.namespace_id,
        "workflow_execution": execution,
        "workflow_type": child.initiated.workflow_type,
        "initiated_event_id": child.initiated_event_id,
        "started_event_id": child.started_event_id,
    }
    kind = close_event.event_type
    if kind == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
        done = close_event.workflow_execution_completed_event_attributes
        result = done.result if done.HasField("result") else None
        tx.arrive(EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED, result=result, **common)
    elif kind == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
        failed = close_event.workflow_execution_failed_event_attributes
        tx.arrive(
            EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED,
            failure=failed.failure,
            retry_state=failed.retry_state,
            **common,
        )
    elif kind == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED:
        canceled = close_event.workflow_execution_canceled_event_attributes
        details = canceled.details if canceled.HasField("details") else None
        tx.arrive(EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_CANCELED, details=details, **common)
    elif kind == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT:
        retry_state = close_event.workflow_execution_timed_out_event_attributes.retry_state
        tx.arrive(EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TIMED_OUT, retry_state=retry_state, **common)
    else:
        tx.arrive(EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TERMINATED, **common)
    workflow_task.schedule(tx)
