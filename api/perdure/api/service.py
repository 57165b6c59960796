"""CloudService without any transport: who calls, may he, once per request id; then the handler, in one transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

import structlog
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from temporalio.api.cloud.cloudservice.v1 import service_pb2 as cloud

from perdure.api.audit.calls import record_of
from perdure.api.audit.operations import OPERATIONS
from perdure.api.calls import ControlCall, Method
from perdure.api.data import ControlDatabase
from perdure.api.data.database import LostRace
from perdure.api.data.tables import OperationRow
from perdure.api.rates import ControlRates
from perdure.api.resources import operations, rows
from perdure.api.resources.endpoints import NamespaceEndpoints
from perdure.api.resources.regions import RegionOfCloud
from perdure.api.resources.registry import METHODS, verify
from perdure.auth.guard import GatewayGuard
from perdure.auth.policy.decisions import Policy
from perdure.auth.policy.grants import Grants
from perdure.kernel.errors import (
    Aborted,
    AlreadyExists,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ServiceError,
    Unavailable,
)
from perdure.kernel.identity import Caller, Principal
from perdure.kernel.limits import ControlLimits
from perdure.kernel.names import check_names
from perdure.kernel.news import News, Topic
from perdure.kernel.persistence.executions import StoreError
from perdure.kernel.persistence.usage import UsageStore
from perdure.kernel.runtime import Runtime

CLOUD_SERVICE: ServiceDescriptor = cloud.DESCRIPTOR.services_by_name["CloudService"]

#: Serves a decoded request of a caller.
ControlEndpoint = Callable[[Any, Caller], Awaitable[Message]]

_OPERATION_ID_LENGTH_MAX = 128
_TRIES_MAX = 5

_log = structlog.get_logger("perdure.api")


class _Asker(NamedTuple):
    principal: Principal
    grants: Grants
    address: str


class CloudService:
    """All RPCs, each by `endpoint`. What is deferred is told to `deferred`, which is called after the commit."""

    def __init__(
        self,
        runtime: Runtime,
        database: ControlDatabase,
        guard: GatewayGuard,
        policy: Policy,
        news: News,
        *,
        limits: ControlLimits,
        regions: Sequence[RegionOfCloud],
        connections: Mapping[str, Sequence[str]],
        usage: UsageStore,
        endpoints: Callable[[], NamespaceEndpoints],
        deferred: Callable[[], None],
    ) -> None:
        """Raises MissingMethod: an RPC has no handler, or the audit log no word for it."""
        verify(CLOUD_SERVICE)
        self._runtime = runtime
        self._database = database
        self._guard = guard
        self._policy = policy
        self._news = news
        self._limits = limits
        self._regions = regions
        self._connections = connections
        self._usage = usage
        self._endpoints = endpoints
        self._deferred = deferred
        self._rates = ControlRates(limits, runtime.clock)

    def endpoint(self, method: MethodDescriptor) -> ControlEndpoint:
        """What serves this RPC."""
        row = METHODS[method.name]
        return self._changing(method, row) if row.changes else self._reading(method, row)

    def _reading(self, method: MethodDescriptor, row: Method) -> ControlEndpoint:
        # Some change nothing here, but call others.
        is_told = method.name in OPERATIONS

        async def serve(request: Any, caller: Caller) -> Message:
            asker = await self._admit(request, caller)
            try:
                response = await self._read(method, row, asker, request)
            except ServiceError as error:
                if is_told:
                    await self._tell(method, asker, request, error)
                raise
            if is_told:
                await self._tell(method, asker, request, None)
            return response

        return serve

    async def _read(self, method: MethodDescriptor, row: Method, asker: _Asker, request: Any) -> Message:
        try:
            async with self._database.reading() as transaction:
                return await self._handle(method, row, self._call(asker, transaction), request)
        except StoreError as error:
            raise _out_of_order(method, error) from error

    def _changing(self, method: MethodDescriptor, row: Method) -> ControlEndpoint:
        async def serve(request: Any, caller: Caller) -> Message:
            asker = await self._admit(request, caller)
            try:
                return await self._try(method, row, asker, request)
            except ServiceError as error:
                await self._tell(method, asker, request, error)
                raise

        return serve

    async def _try(self, method: MethodDescriptor, row: Method, asker: _Asker, request: Any) -> Message:
        if len(request.async_operation_id) > _OPERATION_ID_LENGTH_MAX:
            raise InvalidArgument(f"async_operation_id: has more than {_OPERATION_ID_LENGTH_MAX} characters.")
        for _ in range(_TRIES_MAX):
            try:
                return await self._change(method, row, asker, request)
            except LostRace:
                continue
            except StoreError as error:
                raise _out_of_order(method, error) from error
        raise Aborted("Others are changing the same, try again.")

    async def _tell(self, method: MethodDescriptor, asker: _Asker, request: Any, error: ServiceError | None) -> None:
        """Add a record of its own to the audit log, of what was not done, or not here."""
        try:
            async with self._database.writing() as transaction:
                call = self._call(asker, transaction)
                call.operation_id = getattr(request, "async_operation_id", "")[:_OPERATION_ID_LENGTH_MAX]
                await transaction.audit.add([record_of(method.name, call, request, error)])
        except StoreError as failure:
            _log.warning("the audit log lacks a refusal", rpc=method.name, error=str(failure))

    async def _change(self, method: MethodDescriptor, row: Method, asker: _Asker, request: Any) -> Message:
        async with self._database.writing() as transaction:
            call = self._call(asker, transaction)
            call.operation_id = request.async_operation_id or call.entropy.uuid()
            if (repeated := await self._repeated(method, call, request)) is not None:
                return repeated
            response = await self._handle(method, row, call, request)
            if call.deferred:
                await self._check_in_flight(call)
            operation = _operation(method, call, request, response)
            transaction.add(operation)
            await transaction.audit.add([record_of(method.name, call, request)])
            publishes = transaction.publishes
        if publishes:
            self._news.tell(Topic.ACCESS)
        if call.deferred:
            self._deferred()
        return _with_operation(response, operation)

    async def _repeated(self, method: MethodDescriptor, call: ControlCall, request: Any) -> Message | None:
        """The answer from before, if this has been asked before."""
        known = await call.transaction.operation(call.account_id, call.operation_id)
        if known is None:
            return None
        same = known.rpc == method.name and known.request == _without_id(request)
        if not same or known.principal_id != call.principal.id:
            raise AlreadyExists(f"async_operation_id: {call.operation_id} was used for something else.")
        return _with_operation(GetMessageClass(method.output_type).FromString(known.response), known)

    async def _admit(self, request: Any, caller: Caller) -> _Asker:
        identified = await self._guard.identify(caller)
        check_names(request)
        self._rates.take(identified.principal)
        return _Asker(*identified, self._guard.address_of(caller))

    async def _handle(self, method: MethodDescriptor, row: Method, call: ControlCall, request: Any) -> Message:
        target = await row.aim(call, request)
        decision = self._policy.decide(method.full_name, call.principal.id, call.grants, target)
        if not decision.allowed:
            if decision.hidden:
                raise NotFound(f"{target.namespaces[0] if target.namespaces else 'It'} is not found.")
            raise PermissionDenied(f"{method.name}: {decision.because}.")
        call.only_visible = decision.only_visible
        return await row.handle(call, request)

    async def _check_in_flight(self, call: ControlCall) -> None:
        running = await call.transaction.count_operations(call.account_id, operations.UNFINISHED)
        if running >= self._limits.operations_in_flight_max:
            raise rows.too_many(self._limits, "operations_in_flight_max", "too many operations at the same time")

    def _call(self, asker: _Asker, transaction: Any) -> ControlCall:
        return ControlCall(
            principal=asker.principal,
            grants=asker.grants,
            address=asker.address,
            transaction=transaction,
            now_ns=self._runtime.clock.now_ns(),
            entropy=self._runtime.entropy,
            limits=self._limits,
            policy=self._policy,
            regions=self._regions,
            endpoints=self._endpoints(),
            connections=self._connections,
            usage=self._usage,
        )


def _with_operation(response: Any, row: OperationRow) -> Message:
    response.async_operation.CopyFrom(operations.shown(row))
    message: Message = response
    return message


def _operation(method: MethodDescriptor, call: ControlCall, request: Any, response: Any) -> OperationRow:
    kept = type(response)()
    kept.CopyFrom(response)
    if "token" in method.output_type.fields_by_name:
        # A secret is shown once. Whoever did not get it makes another.
        kept.ClearField("token")
    return OperationRow(
        account_id=call.account_id,
        id=call.operation_id,
        rpc=method.name,
        principal_id=call.principal.id,
        request=_without_id(request),
        response=kept.SerializeToString(),
        resource_kind=call.changed.kind if call.changed else "",
        resource_id=call.changed.id if call.changed else "",
        state=operations.PENDING if call.deferred else operations.FULFILLED,
        failure="",
        attempts=0,
        claimed_until_ns=0,
        started_at_ns=call.now_ns,
        finished_at_ns=0 if call.deferred else call.now_ns,
    )


def _without_id(request: Any) -> bytes:
    asked = type(request)()
    asked.CopyFrom(request)
    asked.ClearField("async_operation_id")
    data: bytes = asked.SerializeToString(deterministic=True)
    return data


def _out_of_order(method: MethodDescriptor, error: StoreError) -> Unavailable:
    _log.warning("the control plane's database did not answer", rpc=method.name, error=str(error))
    return Unavailable("The control plane cannot be reached at the moment, try again.")
