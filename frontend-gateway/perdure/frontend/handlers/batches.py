"""Batch jobs: how many there may be, and lists of them."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.message import Message
from temporalio.api.batch.v1 import BatchOperationInfo
from temporalio.api.enums.v1 import (
    BatchOperationState,
    BatchOperationType,
    ResourceExhaustedCause,
    WorkflowExecutionStatus,
)
from temporalio.api.workflowservice.v1 import (
    ListBatchOperationsRequest,
    ListBatchOperationsResponse,
    StartBatchOperationRequest,
)

from perdure.frontend.attribute_names import parse_for
from perdure.frontend.pipeline import NamespacedHandler
from perdure.frontend.validation import CHECKS
from perdure.frontend.validation.rules import Scene
from perdure.kernel.batch_operations import call_for, kind_of
from perdure.kernel.call import Call
from perdure.kernel.errors import InvalidArgument, ResourceExhausted
from perdure.kernel.ids import ExecutionKind
from perdure.kernel.limits import Limits
from perdure.kernel.names import check_names
from perdure.kernel.persistence.visibility import VisibilityRecord, VisibilityStore
from perdure.kernel.rpc import HistoryClient
from perdure.kernel.runtime import Runtime
from perdure.kernel.visibility import attributes
from perdure.kernel.visibility.query import Attribute, Comparison, Operator, Query

_OPEN = Query(
    Comparison(
        Attribute(attributes.EXECUTION_STATUS, attributes.KEYWORD),
        Operator.EQUAL,
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING,
    ),
    kind=ExecutionKind.BATCH,
)


#: Stands for the one to which a reset will be.
_ANY_EVENT = 3


class BatchHandlers:
    def __init__(self, runtime: Runtime, history: HistoryClient, store: VisibilityStore, limits: Limits) -> None:
        self._runtime = runtime
        self._history = history
        self._store = store
        self._limits = limits
        self.handlers: Mapping[str, NamespacedHandler] = {
            "StartBatchOperation": self.start,
            "ListBatchOperations": self.list,
        }

    async def start(self, rpc: str, call: Call, request: StartBatchOperationRequest) -> Message:
        """Start a job.

        Raises:
            InvalidArgument: its query is none, or what it is to do would be refused as a call.
            ResourceExhausted: as many as may be are at work already.
        """
        if request.visibility_query:
            query = parse_for(request.visibility_query, call.namespace, kind_of(request))
            if query.order or query.group:
                raise InvalidArgument("VisibilityQuery of a batch operation cannot have ORDER BY or GROUP BY.")
        self._check_calls(call, request)
        running, _ = await self._store.count(call.namespace.id, _OPEN)
        if running >= self._limits.batch_jobs_max:
            raise ResourceExhausted(
                "Max concurrent batch operations is reached",
                ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_CONCURRENT_LIMIT,
            )
        return await self._history.handle(rpc, call, request)

    def _check_calls(self, call: Call, request: StartBatchOperationRequest) -> None:
        """What the job will do meets no gateway: it is looked at here, for each execution that is named."""
        scene = Scene(call.namespace, self._limits, self._runtime)
        named = [(each.workflow_id, each.run_id) for each in request.executions]
        named += [(each.business_id, each.run_id) for each in request.target_executions]
        for target_id, run_id in named or [("any", "")]:
            rpc, operation = call_for(request, target_id, run_id, _ANY_EVENT)
            check_names(operation)
            CHECKS[rpc](operation, scene)

    async def list(self, rpc: str, call: Call, request: ListBatchOperationsRequest) -> ListBatchOperationsResponse:
        limit = self._limits.visibility_page_size_max
        size = request.page_size if 0 < request.page_size <= limit else limit
        page = await self._store.list(call.namespace.id, Query(kind=ExecutionKind.BATCH), size, request.next_page_token)
        return ListBatchOperationsResponse(
            operation_info=[_info(record) for record in page.records], next_page_token=page.next_page_token
        )


def _info(record: VisibilityRecord) -> BatchOperationInfo:
    state = BatchOperationState.BATCH_OPERATION_STATE_FAILED
    if record.close_time_ns is None:
        state = BatchOperationState.BATCH_OPERATION_STATE_RUNNING
    elif record.status == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED:
        state = BatchOperationState.BATCH_OPERATION_STATE_COMPLETED
    info = BatchOperationInfo(
        job_id=record.workflow_id, state=state, operation_type=BatchOperationType.Value(record.workflow_type)
    )
    info.start_time.FromNanoseconds(record.start_time_ns)
    if record.close_time_ns is not None:
        info.close_time.FromNanoseconds(record.close_time_ns)
    return info
