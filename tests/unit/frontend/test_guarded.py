"""The gateway asks the guard on every RPC, before it does anything, and about the namespace that is really meant."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from temporalio.api.enums.v1 import WorkflowIdConflictPolicy, WorkflowIdReusePolicy

from perdure.auth.policy.decisions import Policy
from perdure.auth.policy.grants import KeyScope, Permission
from perdure.frontend.limits.namespaces import NamespaceGates
from perdure.frontend.namespaces import Namespaces
from perdure.frontend.pipeline import Handlers, Pipeline
from perdure.frontend.routes import SERVICES, Role, Route
from perdure.kernel import tokens
from perdure.kernel.errors import PermissionDenied, ServiceError, Unauthenticated
from perdure.kernel.identity import KnownCaller
from perdure.kernel.ids import NamespaceId, NamespaceName, RunId, WorkflowId
from perdure.kernel.limits import DEVELOPMENT, Limits, NamespaceLimits
from perdure.kernel.namespace import Namespace
from perdure.kernel.runtime import Runtime
from tests.support.fakes import MemoryNamespaces, RecordingRole
from tests.support.guard import ORDERS, OTHERS, GuardBench

METHODS = [
    (method, routes[method.name])
    for service, routes in SERVICES
    for method in service.methods
    if routes[method.name].role is not Role.NOT_YET
]
POLICY = Policy.load()
IDS = {ORDERS: NamespaceId("11111111-0000-4000-8000-000000000000"), OTHERS: NamespaceId("2" * 36)}


class Answered(Exception):
    """A handler was reached."""


class Gateway:
    """A pipeline whose handlers only say that they were reached."""

    def __init__(self, bench: GuardBench) -> None:
        store = MemoryNamespaces()
        for name, namespace_id in IDS.items():
            store.records[namespace_id] = Namespace(namespace_id, name)
        self._reached = RecordingRole()
        self._reached.answer = lambda rpc, call, request: _raise(rpc)

        async def own(request: Any) -> Any:
            raise Answered

        names = [method.name for method, _ in METHODS]
        handlers = Handlers(
            self._reached.handle,
            self._reached.handle,
            dict.fromkeys(names, self._reached.handle),
            dict.fromkeys(names, own),
        )
        limits = NamespaceLimits(requests_per_second=10, request_burst_s=2)
        gates = NamespaceGates(lambda name: DEVELOPMENT if name else limits, lambda: 1, Counter())
        self._pipeline = Pipeline(Runtime(), Limits(), Namespaces(store), gates, handlers, bench.guard)

    async def code(self, method: MethodDescriptor, route: Route, request: Any, key: str) -> str:
        """Of the error."""
        caller = KnownCaller({"authorization": f"Bearer {key}"}, "10.1.2.3")
        with pytest.raises(ServiceError) as raised:
            await self._pipeline.endpoint(method, route)(request, 1.0, caller)
        return f"{raised.value.code.name} {raised.value.message}"

    async def outcome(self, method: MethodDescriptor, route: Route, request: Any, key: str) -> str:
        """`refused`, or `let in` if it got as far as to a check or handler."""
        caller = KnownCaller({"authorization": f"Bearer {key}"} if key else {}, "10.1.2.3")
        try:
            await self._pipeline.endpoint(method, route)(request, 1.0, caller)
        except (PermissionDenied, Unauthenticated):
            return "refused"
        except (ServiceError, Answered):
            return "let in"
        return "let in"


def _raise(rpc: str) -> Exception:
    return Answered(rpc)


def _request(method: MethodDescriptor, namespace: NamespaceName | None) -> Any:
    request = GetMessageClass(method.input_type)()
    if namespace and "namespace" in method.input_type.fields_by_name:
        request.namespace = namespace
    return request


@pytest.mark.parametrize(("method", "route"), METHODS, ids=lambda each: getattr(each, "full_name", ""))
async def test_every_rpc_is_open_to_those_whom_the_table_names(method: MethodDescriptor, route: Route) -> None:
    bench = GuardBench()
    gateway = Gateway(bench)
    has_namespace = "namespace" in method.input_type.fields_by_name
    assert await gateway.outcome(method, route, _request(method, ORDERS), "") == "refused"
    for permission in Permission:
        for scope in KeyScope:
            key = bench.key({ORDERS: int(permission)}, scope=scope)
            allowed = method.full_name in POLICY.data_plane(permission if has_namespace else None, scope)
            wanted = "let in" if allowed else "refused"
            assert await gateway.outcome(method, route, _request(method, ORDERS), key) == wanted, (permission, scope)
            if has_namespace:
                for foreign in (OTHERS, NamespaceName("none.acme12"), NamespaceName("default")):
                    assert await gateway.outcome(method, route, _request(method, foreign), key) == "refused"
                    nobodys = await gateway.outcome(method, route, _request(method, None), key)
                    # Without a name it concerns nobody's namespace, or is broken.
                    anyone = method.full_name in POLICY.data_plane(None, scope)
                    assert nobodys == "refused" or anyone or "task_token" in method.input_type.fields_by_name


@pytest.mark.parametrize(
    ("method", "route"),
    [each for each in METHODS if "task_token" in each[0].input_type.fields_by_name],
    ids=lambda each: getattr(each, "name", ""),
)
async def test_a_task_token_does_not_carry_anybody_into_its_namespace(method: MethodDescriptor, route: Route) -> None:
    bench = GuardBench()
    gateway = Gateway(bench)
    key = bench.key({ORDERS: 2})

    def request(token_of: NamespaceName, namespace: NamespaceName | None = None) -> Any:
        made = _request(method, namespace)
        token = tokens.WorkflowTaskToken(IDS[token_of], WorkflowId("w"), RunId("r"), 2, 3, 1, 0)
        made.task_token = tokens.encode(token)
        return made

    assert await gateway.outcome(method, route, request(ORDERS), key) == "let in"
    assert await gateway.outcome(method, route, request(OTHERS), key) == "refused"
    assert await gateway.outcome(method, route, request(OTHERS, OTHERS), key) == "refused"
    assert await gateway.outcome(method, route, request(ORDERS), "") == "refused"


@pytest.mark.parametrize("rpc", ["RespondWorkflowTaskCompleted", "DescribeNamespace"])
async def test_ids_that_are_made_up_tell_nothing_and_cost_little(rpc: str) -> None:
    bench = GuardBench()
    gateway = Gateway(bench)
    key = bench.key({ORDERS: 2})
    method, route = next(each for each in METHODS if each[0].name == rpc)

    def request(namespace_id: str) -> Any:
        made = _request(method, None)
        if rpc == "DescribeNamespace":
            made.id = namespace_id
        else:
            token = tokens.WorkflowTaskToken(NamespaceId(namespace_id), WorkflowId("w"), RunId("r"), 2, 3, 1, 0)
            made.task_token = tokens.encode(token)
        return made

    others = await gateway.code(method, route, request(IDS[OTHERS]), key)
    assert others == "PERMISSION_DENIED Request unauthorized."
    found = Counter([await gateway.code(method, route, request(f"{n:036}"), key) for n in range(40)])
    assert found.pop(others) < 30
    assert all(each.startswith("RESOURCE_EXHAUSTED") for each in found)
    assert await gateway.outcome(method, route, request(IDS[OTHERS]), key) == "refused"


async def test_whoever_may_only_start_does_not_end_what_runs() -> None:
    bench = GuardBench()
    gateway = Gateway(bench)
    routes = {method.name: (method, route) for method, route in METHODS}
    policies = [
        ("workflow_id_conflict_policy", WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING),
        ("workflow_id_reuse_policy", WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING),
    ]
    for scope, wanted in ((KeyScope.STARTER, "refused"), (KeyScope.FULL, "let in")):
        key = bench.key({ORDERS: 2}, scope=scope)
        for rpc in ("StartWorkflowExecution", "SignalWithStartWorkflowExecution", "ExecuteMultiOperation"):
            for field, policy in policies:
                request = _request(routes[rpc][0], ORDERS)
                assert await gateway.outcome(*routes[rpc], request, key) == "let in"
                start = request.operations.add().start_workflow if rpc == "ExecuteMultiOperation" else request
                setattr(start, field, policy)
                assert await gateway.outcome(*routes[rpc], request, key) == wanted, (rpc, field)
