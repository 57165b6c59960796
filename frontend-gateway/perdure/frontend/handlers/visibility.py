"""Lists and counts of workflow executions, over the visibility store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.filter.v1 import StartTimeFilter, WorkflowExecutionFilter, WorkflowTypeFilter
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    CountWorkflowExecutionsRequest,
    CountWorkflowExecutionsResponse,
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
from perdure.kernel.persistence.visibility import VisibilityStore
from perdure.kernel.visibility.infos import execution_info

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
