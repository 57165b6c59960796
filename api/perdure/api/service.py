"""The control plane's services without any transport: who calls, may he, once per request id; then the handler, in one
transaction.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import structlog
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from perdure.api.audit.calls import record_of, record_of_event
from perdure.api.audit.operations import OPERATIONS
from perdure.api.audit.refusals import LEFT_OUT, Refusals
from perdure.api.audit.sinks.making import SinkMaker
from perdure.api.callers import identified_anew
from perdure.api.calls import ControlCall, Method, Preparation
from perdure.api.data import ControlDatabase, Transaction
from perdure.api.data.database import LostRace, persist
from perdure.api.data.tables import OperationRow
from perdure.api.federation.federation import Federation
from perdure.api.people.outbox import Outbox
from perdure.api.people.people import People
from perdure.api.rates import ControlRates
from perdure.api.resources import operations, rows
from perdure.api.resources.endpoints import NamespaceEndpoints
from perdure.api.resources.regions import RegionOfCloud
from perdure.api.sealing import Sealer
from perdure.api.verification import verify
from perdure.auth.guard import GatewayGuard, Identified
from perdure.auth.policy.decisions import Policy
from perdure.auth.policy.grants import Grants, Target
from perdure.kernel.errors import (
    Aborted,
    AlreadyExists,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ServiceError,
    Unavailable,
)
from perdure.kernel.identity import ANYBODY, Caller
from perdure.kernel.limits import ControlLimits
from perdure.kernel.names import check_names
from perdure.kernel.news import News, Topic
from perdure.kernel.persistence.executions import StoreError
from perdure.kernel.persistence.usage import UsageStore
from perdure.kernel.runtime import Runtime

#: Serves a decoded request of a caller.
ControlEndpoint = Callable[[Any, Caller], Awaitable[Message]]

#: By which answers name the operation that they have begun.
_OPERATION_FIELDS = frozenset({"async_operation", "async_operation_id"})
_OPERATION_ID_LENGTH_MAX = 128
_USER_AGENT_LENGTH_MAX = 256
_ADDRESS_LENGTH_MAX = 64

_log = structlog.get_logger("perdure.api")


@dataclass(frozen=True, slots=True)
class Visit:
    """Who calls, from where."""

    who: Identified
    address: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class ControlParts:
    """What the control plane's services share. `deferred` is called after the commit of what takes longer, `outbox` has
    the mails.
    """

    runtime: Runtime
    database: ControlDatabase
    guard: GatewayGuard
    policy: Policy
    news: News
    limits: ControlLimits
    regions: Sequence[RegionOfCloud]
    connections: Mapping[str, Sequence[str]]
    usage: UsageStore
    endpoints: Callable[[], NamespaceEndpoints]
    deferred: Callable[[], None]
    people: People
    outbox: Outbox
    federation: Federation
    sealer: Sealer
    sinks: SinkMaker
    rates: ControlRates = field(init=False)
    refusals: Refusals = field(init=False, default_factory=Refusals)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rates", ControlRates(self.limits, self.runtime.clock))

    def visit(self, who: Identified, caller: Caller) -> Visit:
        return Visit(who, self.guard.address_of(caller)[:_ADDRESS_LENGTH_MAX], _user_agent(caller))

    def call(self, visit: Visit, transaction: Transaction, prepared: Any = None) -> ControlCall:
        return ControlCall(
            principal=visit.who.principal,
            grants=visit.who.grants,
            transaction=transaction,
            now_ns=self.runtime.clock.now_ns(),
            entropy=self.runtime.entropy,
            limits=self.limits,
            policy=self.policy,
            regions=self.regions,
            endpoints=self.endpoints(),
            connections=self.connections,
            usage=self.usage,
            people=self.people,
            sealer=self.sealer,
            address=visit.address,
            user_agent=visit.user_agent,
            prepared=prepared,
        )

    def committed(self, call: ControlCall, *, publishes: bool) -> None:
        """Whoever has to know of it is told."""
        if publishes:
            self.news.tell(Topic.ACCESS)
        if call.deferred:
            self.deferred()
        for mail in call.mails:
            self.outbox.put(mail)
        for event in call.events:
            self.people.observe(event)


#: Whose call it is. Raises Unauthenticated: nobody's.
Identify = Callable[[Caller], Awaitable[Identified]]
_Serve = Callable[[MethodDescriptor, Method, Visit, Any, Any], Awaitable[Message]]


class ControlService:
    """All RPCs of a service, each by `endpoint`. `methods` are their handlers, by name."""

    def __init__(
        self,
        service: ServiceDescriptor,
        methods: Mapping[str, Method],
        parts: ControlParts,
        identify: Identify | None = None,
    ) -> None:
        """`identify` is for a service that others call than those whom gateways know.

        Raises:
            MissingMethod: an RPC has no handler, or the audit log no word for it.
        """
        verify(service, methods)
        self._identify = identify or parts.guard.identify
        self._methods = methods
        self._parts = parts

    def endpoint(self, method: MethodDescriptor) -> ControlEndpoint:
        """What serves this RPC."""
        row = self._methods[method.name]
        serve = self._change if row.changes else self._read
        is_told = method.name in OPERATIONS

        async def endpoint(request: Any, caller: Caller) -> Message:
            # What nobody understands is not to be stored.
            request.DiscardUnknownFields()
            visit = await self._admit(method, request, caller)
            try:
                response = await self._serve(method, row, serve, visit, request)
            except ServiceError as error:
                if is_told:
                    await self._tell(method, visit, request, error)
                raise
            if is_told and not row.changes:
                # It changes nothing here, but is done to others.
                await self._tell(method, visit, request, None)
            return response

        return endpoint

    async def _serve(self, method: MethodDescriptor, row: Method, serve: _Serve, visit: Visit, request: Any) -> Message:
        if "async_operation_id" in method.input_type.fields_by_name:
            _check_operation_id(request)
        try:
            prepared = await self._prepare(method, row, visit, request)
            return await serve(method, row, visit, request, prepared)
        except LostRace:
            raise Aborted("Others are changing the same, try again.") from None
        except StoreError as error:
            raise _out_of_order(method, error) from error

    async def _tell(self, method: MethodDescriptor, visit: Visit, request: Any, error: ServiceError | None) -> None:
        """Add a record of its own to the audit log, of what was not done, or not here."""
        parts, account_id = self._parts, visit.who.principal.account_id
        if not account_id:
            return
        left_out = parts.refusals.tell(account_id, parts.runtime.clock.now_ns()) if error else 0
        if left_out is None:
            return
        try:
            async with parts.database.writing() as transaction:
                call = parts.call(visit, transaction)
                if left_out:
                    call.notes[LEFT_OUT] = str(left_out)
                call.operation_id = getattr(request, "async_operation_id", "")[:_OPERATION_ID_LENGTH_MAX]
                await transaction.audit.add([record_of(method.name, call, request, error)])
        except StoreError as failure:
            _log.warning("the audit log lacks a refusal", rpc=method.name, error=str(failure))

    async def _read(self, method: MethodDescriptor, row: Method, visit: Visit, request: Any, prepared: Any) -> Message:
        async with self._parts.database.reading() as transaction:
            call = self._parts.call(visit, transaction, prepared)
            return await self._handle(method, row, call, request)

    async def _change(
        self, method: MethodDescriptor, row: Method, visit: Visit, request: Any, prepared: Any
    ) -> Message:
        return await persist(lambda: self._try_change(method, row, visit, request, prepared))

    async def _try_change(
        self, method: MethodDescriptor, row: Method, visit: Visit, request: Any, prepared: Any
    ) -> Message:
        parts = self._parts
        async with parts.database.writing() as transaction:
            who = await identified_anew(transaction, visit.who, visit.address, parts.runtime.clock.now_ns())
            call = parts.call(replace(visit, who=who), transaction, prepared)
            is_operation = not _OPERATION_FIELDS.isdisjoint(method.output_type.fields_by_name)
            if is_operation:
                call.operation_id = request.async_operation_id or call.entropy.uuid()
                if (repeated := await self._repeated(method, call, request)) is not None:
                    return repeated
            response = await self._handle(method, row, call, request)
            if call.deferred:
                await self._check_in_flight(call)
            if is_operation:
                operation = _operation(method, call, request, response)
                transaction.add(operation)
            records = [record_of_event(call, event) for event in call.events if event.account_id]
            if method.name in OPERATIONS and call.account_id:
                records.append(record_of(method.name, call, request))
            await transaction.audit.add(records)
            publishes = transaction.publishes
        parts.committed(call, publishes=publishes)
        return _with_operation(response, operation) if is_operation else response

    async def _repeated(self, method: MethodDescriptor, call: ControlCall, request: Any) -> Message | None:
        """The answer from before, if this has been asked before."""
        known = await call.transaction.operation(call.account_id, call.operation_id)
        if known is None:
            return None
        same = known.rpc == method.name and known.request == _without_id(request)
        if not same or known.principal_id != call.principal.id:
            raise AlreadyExists(f"async_operation_id: {call.operation_id} was used for something else.")
        return _with_operation(GetMessageClass(method.output_type).FromString(known.response), known)

    async def _admit(self, method: MethodDescriptor, request: Any, caller: Caller) -> Visit:
        parts = self._parts
        address = parts.guard.address_of(caller)[:_ADDRESS_LENGTH_MAX]
        if parts.policy.open_to_nobody(method.full_name):
            who = Identified(ANYBODY, Grants())
            parts.rates.take_address(address)
        else:
            who = await self._identify(caller)
            parts.rates.take(who.principal)
        check_names(request)
        return Visit(who, address, _user_agent(caller))

    async def _prepare(self, method: MethodDescriptor, row: Method, visit: Visit, request: Any) -> Any:
        if row.prepare is None:
            return None
        self._decide(method, visit.who, Target(visit.who.principal.account_id))
        parts = self._parts
        now_ns = parts.runtime.clock.now_ns()
        preparation = Preparation(
            visit.who.principal,
            visit.address,
            visit.user_agent,
            now_ns,
            parts.runtime.entropy,
            parts.database,
            parts.people,
            parts.federation,
            parts.sinks,
        )
        return await row.prepare(preparation, request)

    async def _handle(self, method: MethodDescriptor, row: Method, call: ControlCall, request: Any) -> Message:
        target = await row.aim(call, request)
        call.only_visible = self._decide(method, Identified(call.principal, call.grants), target)
        call.payloads = method.full_name not in self._parts.policy.without_payloads(call.grants.scope)
        return await row.handle(call, request)

    def _decide(self, method: MethodDescriptor, who: Identified, target: Target) -> bool:
        """Whether what is answered has to be restricted to what the caller may see."""
        decision = self._parts.policy.decide(method.full_name, who.principal.id, who.grants, target)
        if not decision.allowed:
            if decision.hidden:
                raise NotFound(f"{target.namespaces[0] if target.namespaces else 'It'} is not found.")
            raise PermissionDenied(f"{method.name}: {decision.because}.")
        return decision.only_visible

    async def _check_in_flight(self, call: ControlCall) -> None:
        running = await call.transaction.count_operations(call.account_id, operations.UNFINISHED)
        if running >= self._parts.limits.operations_in_flight_max:
            raise rows.too_many(self._parts.limits, "operations_in_flight_max", "too many operations at the same time")


def _user_agent(caller: Caller) -> str:
    said = caller.metadata.get("user-agent", "")[:_USER_AGENT_LENGTH_MAX]
    return "".join(each for each in said if each.isprintable())


def _check_operation_id(request: Any) -> None:
    if len(request.async_operation_id) > _OPERATION_ID_LENGTH_MAX:
        raise InvalidArgument(f"async_operation_id: has more than {_OPERATION_ID_LENGTH_MAX} characters.")


def _with_operation(response: Any, row: OperationRow) -> Message:
    if "async_operation" in response.DESCRIPTOR.fields_by_name:
        response.async_operation.CopyFrom(operations.shown(row))
    else:
        response.async_operation_id = row.id
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
