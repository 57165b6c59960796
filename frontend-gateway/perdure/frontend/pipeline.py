"""The way of a call through the gateway, without any transport: resolve, wait how long, check, hand over.

Everything that can be looked up when the process starts is looked up then; per call there is one coroutine and no
chain of interceptors, because each layer of `await` costs on the hottest path that there is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from temporalio.api.enums.v1 import NamespaceState
from temporalio.api.errordetails.v1 import NamespaceInvalidStateFailure

from perdure.frontend import longpoll
from perdure.frontend.acts import Witness, told, told_if_denied, told_whole
from perdure.frontend.attribute_names import give_out, take_in
from perdure.frontend.endings import ENDINGS
from perdure.frontend.limits.namespaces import NO_NAMESPACE, Holds, Meter, NamespaceGates, Toll, toll_of
from perdure.frontend.namespaces import Namespaces
from perdure.frontend.redaction import redact
from perdure.frontend.routes import Priority, Role, Route
from perdure.frontend.validation import CHECKS
from perdure.frontend.validation.rules import Scene
from perdure.kernel import tokens
from perdure.kernel.acts import ActLog
from perdure.kernel.call import Call
from perdure.kernel.errors import (
    InvalidArgument,
    NamespaceInvalidState,
    NamespaceNotFound,
    PermissionDenied,
    Unimplemented,
)
from perdure.kernel.identity import ANYBODY, Admission, Caller, Guard
from perdure.kernel.ids import NamespaceId, NamespaceName
from perdure.kernel.limits import Limits
from perdure.kernel.names import check_names
from perdure.kernel.namespace import DELETED, DEPRECATED, REGISTERED, Namespace
from perdure.kernel.runtime import Runtime

#: Serves a decoded request: the request, the seconds its client still waits (None: for ever), who calls.
Endpoint = Callable[[Any, float | None, Caller], Awaitable[Message]]
#: Serves a request of one namespace.
NamespacedHandler = Callable[[str, Call, Any], Awaitable[Message]]
#: Serves a request that the gateway answers itself and that may concern any namespace or none.
OwnHandler = Callable[[Any], Awaitable[Message]]

NAMESPACE_LENGTH_MAX = 1000
#: A deprecated namespace goes on with what it runs and starts nothing new.
_STARTS = frozenset(
    {
        "StartWorkflowExecution",
        "SignalWithStartWorkflowExecution",
        "StartActivityExecution",
        "StartNexusOperationExecution",
    }
)
#: Fields that turn a read into one that waits for something to happen.
_WATCHING = {
    "GetWorkflowExecutionHistory": "wait_new_event",
    "DescribeActivityExecution": "long_poll_token",
    "DescribeNexusOperationExecution": "long_poll_token",
}
#: By which some requests name their namespace if not by its name.
_ID_FIELDS = ("namespace_id", "id")
#: What it costs to look for a namespace whose id may be made up.
_LOOKING_UP = Toll("", Meter.REQUESTS, Priority.SYSTEM, Holds.NOTHING, None, None)
_OPEN = Admission(ANYBODY)
_STATES_FOR_STARTS = (REGISTERED,)
_STATES = (REGISTERED, DEPRECATED)
_STATE_NAMES = {REGISTERED: "Registered", DEPRECATED: "Deprecated", DELETED: "Deleted"}


class Handlers(NamedTuple):
    """Who serves calls: a role, or the gateway on top of it (`composed`), or the gateway alone (`own`)."""

    history: NamespacedHandler
    matching: NamespacedHandler
    composed: Mapping[str, NamespacedHandler]
    own: Mapping[str, OwnHandler]


class Pipeline:
    def __init__(
        self,
        runtime: Runtime,
        limits: Limits,
        namespaces: Namespaces,
        gates: NamespaceGates,
        handlers: Handlers,
        guard: Guard | None = None,
        acts: ActLog | None = None,
    ) -> None:
        """Without a `guard` everybody may do everything. With `acts` it is told what they do."""
        self._witness = Witness(acts, guard, runtime.clock) if guard is not None and acts is not None else None
        self._guard = guard
        self._runtime = runtime
        self._limits = limits
        self._namespaces = namespaces
        self._gates = gates
        self._handlers = handlers

    def endpoint(self, method: MethodDescriptor, route: Route) -> Endpoint:
        """What serves this RPC.

        Raises:
            LookupError: the route says the gateway answers, but no handler is there.
        """
        rpc = method.name
        match route.role:
            case Role.NOT_YET:
                return _not_yet(rpc)
            case Role.GATEWAY:
                own = self._own(method, route, self._handlers.own[rpc])
                return told_whole(method, own, self._witness) if route.audit and self._witness else own
            case Role.HISTORY:
                handler = self._handlers.composed.get(rpc, self._handlers.history)
            case Role.MATCHING:
                handler = self._handlers.composed.get(rpc, self._handlers.matching)
            case Role.VISIBILITY | Role.DEPLOYMENTS:
                handler = self._handlers.composed[rpc]
        return self._namespaced(method, route, handler)

    def _namespaced(self, method: MethodDescriptor, route: Route, handler: NamespacedHandler) -> Endpoint:
        rpc, full_name, guard = method.name, method.full_name, self._guard
        has_token = "task_token" in method.input_type.fields_by_name
        runtime, limits, namespaces, gates = self._runtime, self._limits, self._namespaces, self._gates
        wait = route.wait
        toll = toll_of(rpc, route)
        assert toll is not None
        witness = self._witness if route.audit else None
        if witness is not None:
            handler = told(method, handler, witness)
        watching, watch_toll = _WATCHING.get(rpc), toll
        if watching:
            toll = toll._replace(holds=Holds.WORK)
            watch_toll = watch_toll._replace(priority=Priority.WATCH)
        check, ends = CHECKS.get(rpc), ENDINGS.get(rpc)
        states = _STATES_FOR_STARTS if rpc in _STARTS else _STATES

        async def serve(request: Any, remaining_s: float | None, caller: Caller) -> Message:
            check_names(request)
            name: str = request.namespace
            _check_length(name)
            if has_token and not name:
                # Whose it is decides on who may hand it in.
                if guard is not None:
                    await guard.authenticate(caller)
                _check_token(request)
                name = await self._name_of(tokens.namespace_of(request.task_token))
            admission = _OPEN if guard is None else await guard.admit(full_name, caller, NamespaceName(name))
            if not admission.endings and ends is not None and ends(request):
                raise PermissionDenied("Request unauthorized.", "the API key may start workflows and not end them")
            if has_token:
                _check_token(request)
            namespace = namespaces.cached(name)
            if namespace is None:
                check_namespace_name(name, "Namespace is empty.")
                namespace = await namespaces.find(name)
            if namespace.state not in states:
                raise invalid_state(namespace, states)
            now_ns = runtime.clock.now_ns()
            due = watch_toll if watching and getattr(request, watching) else toll
            gate = gates.of(namespace.name, now_ns)
            gate.enter(due, request, now_ns)
            try:
                deadline_ns = longpoll.deadline(wait, now_ns, remaining_s, limits)
                renamed = bool(namespace.attribute_names)
                if renamed:
                    take_in(request, namespace)
                if check is not None:
                    check(request, Scene(namespace, limits, runtime))
                address = "" if witness is None else witness.guard.address_of(caller)
                call = Call(namespace, deadline_ns, caller.metadata, admission.principal, address)
                response = await handler(rpc, call, request)
                if renamed:
                    give_out(response, namespace)
                if not admission.payloads:
                    redact(response)
                return response
            finally:
                gate.leave(due)

        return serve if witness is None else told_if_denied(method, serve, witness)

    def _own(self, method: MethodDescriptor, route: Route, handler: OwnHandler) -> Endpoint:
        clock, namespaces, gates = self._runtime.clock, self._namespaces, self._gates
        guard, full_name = self._guard, method.full_name
        fields = method.input_type.fields_by_name
        # Where there is no name, the id is of something else.
        id_field = next((field for field in _ID_FIELDS if "namespace" in fields and field in fields), None)
        toll = toll_of(method.name, route)

        async def admit(request: Any, caller: Caller) -> None:
            if guard is None:
                return
            name = request.namespace if "namespace" in fields else ""
            _check_length(name)
            if not name and id_field and (namespace_id := getattr(request, id_field)):
                await guard.authenticate(caller)
                name = await self._name_of(NamespaceId(namespace_id))
            await guard.admit(full_name, caller, NamespaceName(name) if name else None)

        if toll is None:
            return _unlimited(handler, admit)

        async def serve(request: Any, remaining_s: float | None, caller: Caller) -> Message:
            check_names(request)
            await admit(request, caller)
            now_ns = clock.now_ns()
            # Names that are made up must not each have a gate.
            gate = gates.of(request.namespace if namespaces.cached(request.namespace) else NO_NAMESPACE, now_ns)
            gate.enter(toll, request, now_ns)
            try:
                return await handler(request)
            finally:
                gate.leave(toll)

        return serve

    async def _name_of(self, namespace_id: NamespaceId) -> str:
        """What the guard is asked about, for somebody who is known to it. Of ids of others' namespaces, and of those of
        none, he hears the same.

        Raises:
            NamespaceNotFound: nobody guards anything, and there is none.
            PermissionDenied: there is none.
            OverLimit: too many have been looked for.
        """
        namespace = self._namespaces.cached_by_id(namespace_id)
        if namespace is not None:
            return namespace.name
        if self._guard is None:
            return (await self._namespaces.by_id(namespace_id)).name
        # Ids can be made up, and each is looked for in the store.
        now_ns = self._runtime.clock.now_ns()
        self._gates.of(NO_NAMESPACE, now_ns).enter(_LOOKING_UP, None, now_ns)
        try:
            return (await self._namespaces.by_id(namespace_id)).name
        except NamespaceNotFound:
            raise PermissionDenied("Request unauthorized.") from None


def _check_token(request: Any) -> None:
    if not request.task_token:
        raise InvalidArgument("Task token not set on request.")


def check_namespace_name(name: str, when_empty: str = "Namespace not set on request.") -> None:
    """Raises InvalidArgument for a name that no namespace can have."""
    if not name:
        raise InvalidArgument(when_empty)
    _check_length(name)


def _check_length(name: str) -> None:
    # Before anybody is asked who may use it: refusals are told with the name.
    if len(name.encode()) > NAMESPACE_LENGTH_MAX:
        raise InvalidArgument("Namespace length exceeds limit.")


def check_state(namespace: Namespace) -> None:
    """Raises NamespaceInvalidState for a namespace that is being deleted."""
    if namespace.state not in _STATES:
        raise invalid_state(namespace, _STATES)


def invalid_state(namespace: Namespace, allowed: tuple[int, ...]) -> NamespaceInvalidState:
    must = " or ".join(_STATE_NAMES[state] for state in allowed)
    return NamespaceInvalidState(
        f"Namespace has invalid state: {_STATE_NAMES[namespace.state]}. Must be {must}.",
        NamespaceInvalidStateFailure(
            namespace=namespace.name,
            state=NamespaceState.ValueType(namespace.state),
            allowed_states=[NamespaceState.ValueType(state) for state in allowed],
        ),
    )


def _not_yet(rpc: str) -> Endpoint:
    async def serve(request: Any, remaining_s: float | None, caller: Caller) -> Message:
        raise Unimplemented(f"{rpc} is not implemented yet.")

    return serve


def _unlimited(handler: OwnHandler, admit: Callable[[Any, Caller], Awaitable[None]]) -> Endpoint:
    async def serve(request: Any, remaining_s: float | None, caller: Caller) -> Message:
        check_names(request)
        await admit(request, caller)
        return await handler(request)

    return serve
