"""Lists and counts of workflow executions, over the visibility store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Memo, SearchAttributes, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.filter.v1 import StartTimeFilter, WorkflowExecutionFilter, WorkflowTypeFilter
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    CountWorkflowExecutionsRequest,
    CountWorkflowExecutionsResponse,
    ListArchivedWorkflowExecutionsRequest,
    ListArchivedWorkflowExecutionsResponse,
    ListClosedWorkflowExecutionsRequest,
    ListClosedWorkflowExecutionsResponse,
    ListOpenWorkflowExecutionsRequest,
    ListOpenWorkflowExecutionsResponse,
    ListWorkflowExecutionsRequest,
    ListWorkflowExecutionsResponse,
    ScanWorkflowExecutionsRequest,
    ScanWorkflowExecutionsResponse,
)

from perdure.frontend.attribute_names import parse_for
from perdure.frontend.handlers.groups import group_value, status_name
from perdure.frontend.pipeline import NamespacedHandler
from perdure.kernel.call import Call
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.limits import Limits
from perdure.kernel.persistence.visibility import VisibilityRecord, VisibilityStore

_Page = tuple[list[WorkflowExecutionInfo], bytes]


class VisibilityHandlers:
    def __init__(self, store: VisibilityStore, limits: Limits) -> None:
        self._store = store
        self._page_size_max = limits.visibility_page_size_max
        self.handlers: Mapping[str, NamespacedHandler] = {
            "ListWorkflowExecutions": self.list,
            "ScanWorkflowExecutions": self.scan,
            "ListOpenWorkflowExecutions": self.list_open,
            "ListClosedWorkflowExecutions": self.list_closed,
            "ListArchivedWorkflowExecutions": self.list_archived,
            "CountWorkflowExecutions": self.count,
        }

    async def list(
        self, rpc: str, call: Call, request: ListWorkflowExecutionsRequest
    ) -> ListWorkflowExecutionsResponse:
        executions, token = await self._page(call, request.query, request.page_size, request.next_page_token)
        return ListWorkflowExecutionsResponse(executions=executions, next_page_token=token)

    async def scan(
        self, rpc: str, call: Call, request: ScanWorkflowExecutionsRequest
    ) -> ScanWorkflowExecutionsResponse:
        executions, token = await self._page(call, request.query, request.page_size, request.next_page_token)
        return ScanWorkflowExecutionsResponse(executions=executions, next_page_token=token)

    async def list_open(
        self, rpc: str, call: Call, request: ListOpenWorkflowExecutionsRequest
    ) -> ListOpenWorkflowExecutionsResponse:
        conditions = ["ExecutionStatus = 'Running'", *_within("StartTime", request.start_time_filter)]
        if request.HasField("execution_filter"):
            conditions.append(_workflow_id(request.execution_filter))
        elif request.HasField("type_filter"):
            conditions.append(_workflow_type(request.type_filter))
        query = " AND ".join(conditions)
        executions, token = await self._page(call, query, request.maximum_page_size, request.next_page_token)
        return ListOpenWorkflowExecutionsResponse(executions=executions, next_page_token=token)

    async def list_closed(
        self, rpc: str, call: Call, request: ListClosedWorkflowExecutionsRequest
    ) -> ListClosedWorkflowExecutionsResponse:
        conditions = ["ExecutionStatus != 'Running'", *_within("CloseTime", request.start_time_filter)]
        if request.HasField("execution_filter"):
            conditions.append(_workflow_id(request.execution_filter))
        elif request.HasField("type_filter"):
            conditions.append(_workflow_type(request.type_filter))
        elif request.HasField("status_filter"):
            conditions.append(f"ExecutionStatus = '{_closed_status(request.status_filter.status)}'")
        query = " AND ".join(conditions)
        executions, token = await self._page(call, query, request.maximum_page_size, request.next_page_token)
        return ListClosedWorkflowExecutionsResponse(executions=executions, next_page_token=token)

    async def list_archived(
        self, rpc: str, call: Call, request: ListArchivedWorkflowExecutionsRequest
    ) -> ListArchivedWorkflowExecutionsResponse:
        raise InvalidArgument("Cluster is not configured for visibility archival.")

    async def count(
        self, rpc: str, call: Call, request: CountWorkflowExecutionsRequest
    ) -> CountWorkflowExecutionsResponse:
        query = parse_for(request.query, call.namespace)
        total, groups = await self._store.count(call.namespace.id, query)
        response = CountWorkflowExecutionsResponse(count=total)
        for group in groups:
            response.groups.add(
                count=group.count,
                group_values=[group_value(value, by) for value, by in zip(group.values, query.group, strict=True)],
            )
        return response

    async def _page(self, call: Call, text: str, asked_size: int, token: bytes) -> _Page:
        size = asked_size if 0 < asked_size <= self._page_size_max else self._page_size_max
        query = parse_for(text, call.namespace)
        page = await self._store.list(call.namespace.id, query, size, token)
        return [execution_info(record) for record in page.records], page.next_page_token


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


def _within(attribute: str, times: StartTimeFilter) -> list[str]:
    earliest, latest = _instant(times, "earliest_time"), _instant(times, "latest_time")
    if earliest and latest:
        if times.earliest_time.ToNanoseconds() > times.latest_time.ToNanoseconds():
            raise InvalidArgument("EarliestTime in StartTimeFilter should not be larger than LatestTime.")
        return [f"{attribute} BETWEEN '{earliest}' AND '{latest}'"]
    if earliest:
        return [f"{attribute} >= '{earliest}'"]
    if latest:
        return [f"{attribute} <= '{latest}'"]
    return []


def _instant(times: StartTimeFilter, field: Literal["earliest_time", "latest_time"]) -> str | None:
    if not times.HasField(field):
        return None
    instant: Timestamp = getattr(times, field)
    try:
        return instant.ToJsonString()
    except ValueError:
        raise InvalidArgument(f"{field} in StartTimeFilter is out of range.") from None


def _workflow_id(condition: WorkflowExecutionFilter) -> str:
    return f"WorkflowId = {_quoted(condition.workflow_id)}"


def _workflow_type(condition: WorkflowTypeFilter) -> str:
    return f"WorkflowType = {_quoted(condition.name)}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


def _closed_status(status: WorkflowExecutionStatus.ValueType) -> str:
    if status in (
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED,
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING,
    ):
        raise InvalidArgument("StatusFilter must be specified and must be not Running.")
    if status not in WorkflowExecutionStatus.values():
        raise InvalidArgument(f"StatusFilter {status} is unknown.")
    return status_name(status)
