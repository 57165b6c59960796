"""Lists and counts of standalone activities, over the visibility store."""

from __future__ import annotations

from collections.abc import Mapping

from temporalio.api.activity.v1 import ActivityExecutionListInfo
from temporalio.api.common.v1 import SearchAttributes
from temporalio.api.enums.v1 import ActivityExecutionStatus, WorkflowExecutionStatus
from temporalio.api.workflowservice.v1 import (
    CountActivityExecutionsRequest,
    CountActivityExecutionsResponse,
    ListActivityExecutionsRequest,
    ListActivityExecutionsResponse,
)

from perdure.frontend.attribute_names import parse_for
from perdure.frontend.handlers.groups import group_value
from perdure.frontend.pipeline import NamespacedHandler
from perdure.kernel.call import Call
from perdure.kernel.ids import ExecutionKind
from perdure.kernel.limits import Limits
from perdure.kernel.namespace import Namespace
from perdure.kernel.persistence.visibility import VisibilityRecord, VisibilityStore
from perdure.kernel.visibility.attributes import set_types


class ActivityLists:
    def __init__(self, store: VisibilityStore, limits: Limits) -> None:
        self._store = store
        self._page_size_max = limits.visibility_page_size_max
        self.handlers: Mapping[str, NamespacedHandler] = {
            "ListActivityExecutions": self.list,
            "CountActivityExecutions": self.count,
        }

    async def list(
        self, rpc: str, call: Call, request: ListActivityExecutionsRequest
    ) -> ListActivityExecutionsResponse:
        asked = request.page_size
        size = asked if 0 < asked <= self._page_size_max else self._page_size_max
        query = parse_for(request.query, call.namespace, ExecutionKind.ACTIVITY)
        page = await self._store.list(call.namespace.id, query, size, request.next_page_token)
        return ListActivityExecutionsResponse(
            executions=[_list_info(record, call.namespace) for record in page.records],
            next_page_token=page.next_page_token,
        )

    async def count(
        self, rpc: str, call: Call, request: CountActivityExecutionsRequest
    ) -> CountActivityExecutionsResponse:
        query = parse_for(request.query, call.namespace, ExecutionKind.ACTIVITY)
        total, groups = await self._store.count(call.namespace.id, query)
        response = CountActivityExecutionsResponse(count=total)
        for group in groups:
            response.groups.add(
                count=group.count,
                group_values=[group_value(value, by) for value, by in zip(group.values, query.group, strict=True)],
            )
        # By name: the numbers of statuses are not those of activities.
        response.groups.sort(key=lambda group: [value.data for value in group.group_values])
        return response


def _list_info(record: VisibilityRecord, namespace: Namespace) -> ActivityExecutionListInfo:
    info = ActivityExecutionListInfo(
        activity_id=record.workflow_id,
        run_id=record.run_id,
        status=_status(record.status),
        state_transition_count=record.state_transition_count,
        search_attributes=SearchAttributes.FromString(record.indexed_fields),
        task_queue=record.task_queue,
    )
    set_types(info.search_attributes, namespace.search_attributes)
    info.activity_type.name = record.workflow_type
    info.schedule_time.FromNanoseconds(record.start_time_ns)
    info.execution_time.FromNanoseconds(record.execution_time_ns)
    if record.close_time_ns is not None:
        info.close_time.FromNanoseconds(record.close_time_ns)
        info.execution_duration.FromNanoseconds(record.close_time_ns - record.start_time_ns)
    return info


def _status(listed: int) -> ActivityExecutionStatus.ValueType:
    """Lists have the statuses of workflows for executions of all kinds."""
    name = WorkflowExecutionStatus.Name(WorkflowExecutionStatus.ValueType(listed))
    return ActivityExecutionStatus.Value(name.replace("WORKFLOW_EXECUTION_", "ACTIVITY_EXECUTION_"))
