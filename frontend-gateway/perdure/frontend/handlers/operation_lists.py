"""Lists and counts of standalone Nexus operations, over the visibility store."""

from __future__ import annotations

from collections.abc import Mapping

from temporalio.api.common.v1 import Memo, SearchAttributes
from temporalio.api.enums.v1 import NexusOperationExecutionStatus, WorkflowExecutionStatus
from temporalio.api.nexus.v1 import NexusOperationExecutionListInfo
from temporalio.api.workflowservice.v1 import (
    CountNexusOperationExecutionsRequest,
    CountNexusOperationExecutionsResponse,
    ListNexusOperationExecutionsRequest,
    ListNexusOperationExecutionsResponse,
)

from perdure.frontend.attribute_names import parse_for
from perdure.frontend.handlers.groups import group_value
from perdure.frontend.pipeline import NamespacedHandler
from perdure.kernel.call import Call
from perdure.kernel.ids import ExecutionKind
from perdure.kernel.limits import Limits
from perdure.kernel.namespace import Namespace
from perdure.kernel.persistence.visibility import OPERATION_INFO, VisibilityRecord, VisibilityStore
from perdure.kernel.visibility.attributes import set_types


class OperationLists:
    def __init__(self, store: VisibilityStore, limits: Limits) -> None:
        self._store = store
        self._page_size_max = limits.visibility_page_size_max
        self.handlers: Mapping[str, NamespacedHandler] = {
            "ListNexusOperationExecutions": self.list,
            "CountNexusOperationExecutions": self.count,
        }

    async def list(
        self, rpc: str, call: Call, request: ListNexusOperationExecutionsRequest
    ) -> ListNexusOperationExecutionsResponse:
        asked = request.page_size
        size = asked if 0 < asked <= self._page_size_max else self._page_size_max
        query = parse_for(request.query, call.namespace, ExecutionKind.NEXUS_OPERATION)
        page = await self._store.list(call.namespace.id, query, size, request.next_page_token)
        return ListNexusOperationExecutionsResponse(
            operations=[_list_info(record, call.namespace) for record in page.records],
            next_page_token=page.next_page_token,
        )

    async def count(
        self, rpc: str, call: Call, request: CountNexusOperationExecutionsRequest
    ) -> CountNexusOperationExecutionsResponse:
        query = parse_for(request.query, call.namespace, ExecutionKind.NEXUS_OPERATION)
        total, groups = await self._store.count(call.namespace.id, query)
        response = CountNexusOperationExecutionsResponse(count=total)
        for group in groups:
            response.groups.add(
                count=group.count,
                group_values=[group_value(value, by) for value, by in zip(group.values, query.group, strict=True)],
            )
        # By name: the numbers of statuses are not those of operations.
        response.groups.sort(key=lambda group: [value.data for value in group.group_values])
        return response


def _list_info(record: VisibilityRecord, namespace: Namespace) -> NexusOperationExecutionListInfo:
    info = NexusOperationExecutionListInfo.FromString(Memo.FromString(record.memo).fields[OPERATION_INFO].data)
    info.operation_id = record.workflow_id
    info.run_id = record.run_id
    info.status = _status(record.status)
    info.state_transition_count = record.state_transition_count
    info.search_attributes.CopyFrom(SearchAttributes.FromString(record.indexed_fields))
    set_types(info.search_attributes, namespace.search_attributes)
    info.schedule_time.FromNanoseconds(record.start_time_ns)
    if record.close_time_ns is not None:
        info.close_time.FromNanoseconds(record.close_time_ns)
        info.execution_duration.FromNanoseconds(record.close_time_ns - record.start_time_ns)
    return info


def _status(listed: int) -> NexusOperationExecutionStatus.ValueType:
    """Lists have the statuses of workflows for executions of all kinds."""
    name = WorkflowExecutionStatus.Name(WorkflowExecutionStatus.ValueType(listed))
    return NexusOperationExecutionStatus.Value(name.replace("WORKFLOW_EXECUTION_", "NEXUS_OPERATION_EXECUTION_"))
