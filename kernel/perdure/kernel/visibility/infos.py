"""PURE: a workflow as lists show it to clients."""

from __future__ import annotations

from temporalio.api.common.v1 import Memo, SearchAttributes, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflow.v1 import WorkflowExecutionInfo

from perdure.kernel.persistence.visibility import VisibilityRecord


def execution_info(record: VisibilityRecord) -> WorkflowExecutionInfo:
    """A record as clients see it."""
    info = WorkflowExecutionInfo(
        execution=WorkflowExecution(workflow_id=record.workflow_id, run_id=record.run_id),
        type=WorkflowType(name=record.workflow_type),
        status=WorkflowExecutionStatus.ValueType(record.status),
        task_queue=record.task_queue,
        memo=Memo.FromString(record.memo),
        search_attributes=SearchAttributes.FromString(record.indexed_fields),
    )
    info.start_time.FromNanoseconds(record.start_time_ns)
    info.execution_time.FromNanoseconds(record.execution_time_ns)
    if record.close_time_ns is not None:
        info.close_time.FromNanoseconds(record.close_time_ns)
        info.execution_duration.FromNanoseconds(record.close_time_ns - record.execution_time_ns)
        # While a run is open these would be those of some earlier moment.
        info.history_length = record.history_length
        info.history_size_bytes = record.history_size_bytes
        info.state_transition_count = record.state_transition_count
    if record.parent_workflow_id is not None:
        info.parent_execution.workflow_id = record.parent_workflow_id
        info.parent_execution.run_id = record.parent_run_id or ""
    if record.root_workflow_id is not None:
        info.root_execution.workflow_id = record.root_workflow_id
        info.root_execution.run_id = record.root_run_id or ""
    return info
