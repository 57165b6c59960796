"""What became of an operation."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from temporalio.api.cloud.cloudservice.v1 import GetAsyncOperationRequest, GetAsyncOperationResponse
from temporalio.api.cloud.cloudservice.v1 import service_pb2 as cloud
from temporalio.api.cloud.operation.v1 import AsyncOperation

from perdure.api.calls import ControlCall, Method, at_account
from perdure.api.data.tables import OperationRow
from perdure.api.protos import extensions_pb2 as extensions
from perdure.api.resources import kinds
from perdure.auth.policy.grants import Target
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.errors import InvalidArgument, NotFound

PENDING = int(AsyncOperation.STATE_PENDING)
IN_PROGRESS = int(AsyncOperation.STATE_IN_PROGRESS)
FAILED = int(AsyncOperation.STATE_FAILED)
FULFILLED = int(AsyncOperation.STATE_FULFILLED)
UNFINISHED = (PENDING, IN_PROGRESS)
#: How long to wait before asking again.
CHECK_NS = SECOND_NS

_METHODS: Mapping[str, MethodDescriptor] = {
    method.name: method
    for service in (
        cloud.DESCRIPTOR.services_by_name["CloudService"],
        extensions.DESCRIPTOR.services_by_name["CloudExtensionService"],
    )
    for method in service.methods
}
_GET_NAMESPACE = _METHODS["GetNamespace"].full_name


async def _get(call: ControlCall, request: GetAsyncOperationRequest) -> GetAsyncOperationResponse:
    if not request.async_operation_id:
        raise InvalidArgument("async_operation_id: must be given.")
    row = await call.transaction.operation(call.account_id, request.async_operation_id)
    if row is None or not _is_visible(call, row):
        raise NotFound(f"async_operation_id: operation {request.async_operation_id} is not found.")
    return GetAsyncOperationResponse(async_operation=shown(row))


def _is_visible(call: ControlCall, row: OperationRow) -> bool:
    """What is asked of a namespace is for those who see it, and whoever asked."""
    if row.principal_id == call.principal.id:
        return True
    namespace = row.resource_id if row.resource_kind == kinds.NAMESPACE else getattr(_asked(row), "namespace", "")
    target = Target(call.account_id, namespaces=(namespace,))
    return not namespace or call.policy.decide(_GET_NAMESPACE, call.principal.id, call.grants, target).allowed


def _asked(row: OperationRow) -> Message:
    return GetMessageClass(_METHODS[row.rpc].input_type).FromString(row.request)


def shown(row: OperationRow) -> AsyncOperation:
    state = AsyncOperation.State.ValueType(row.state)
    result = AsyncOperation(
        id=row.id,
        state=state,
        state_deprecated=AsyncOperation.State.Name(state).removeprefix("STATE_").lower(),
        operation_type=row.rpc,
        failure_reason=row.failure,
    )
    packed = AnyMessage()
    packed.Pack(_asked(row))
    result.operation_input.CopyFrom(packed)
    if row.state in UNFINISHED:
        result.check_duration.FromNanoseconds(CHECK_NS)
    result.started_time.FromNanoseconds(row.started_at_ns)
    if row.finished_at_ns:
        result.finished_time.FromNanoseconds(row.finished_at_ns)
    return result


METHODS: Mapping[str, Method] = {"GetAsyncOperation": Method(_get, at_account)}
