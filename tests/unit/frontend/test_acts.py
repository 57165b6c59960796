"""What the gateway tells the audit log."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from google.protobuf.message_factory import GetMessageClass
from temporalio.api.workflowservice.v1 import StartWorkflowExecutionResponse

from perdure.frontend.acts import subject_of
from perdure.frontend.routes import WORKFLOW_ROUTES, WORKFLOW_SERVICE
from perdure.kernel import errors
from perdure.kernel.acts import Act
from perdure.kernel.identity import Admission, Caller, Principal, PrincipalKind
from perdure.kernel.ids import NamespaceName
from perdure.kernel.namespace import Namespace
from perdure.kernel.persistence.executions import StoreUnavailable
from tests.support.gateway import DEFAULT_NAMESPACE, GatewayBench, running
from tests.support.rpc import Client

SOMEBODY = Principal(PrincipalKind.USER, "somebody", account_id="acme1")
NAMESPACE = "orders.acme1"


class TrustingGuard:
    """Everybody is the same and may do everything, but terminate."""

    async def authenticate(self, caller: Caller) -> None:
        pass

    async def admit(self, rpc: str, caller: Caller, namespace: NamespaceName | None) -> Admission:
        if rpc.endswith(".TerminateWorkflowExecution"):
            raise errors.PermissionDenied("Request unauthorized.")
        return Admission(SOMEBODY)

    async def recognize(self, caller: Caller) -> Principal | None:
        return SOMEBODY

    def address_of(self, caller: Caller) -> str:
        return caller.address


class MemoryActs:
    """An `ActLog` that is full when it is told to be."""

    def __init__(self) -> None:
        self.acts: list[Act] = []
        self.refusals: list[Act] = []
        self.is_full = False
        self.asked = asyncio.Event()

    async def room(self) -> None:
        self.asked.set()
        raise errors.Unavailable("The audit log cannot be written at the moment, try again.")

    def add(self, act: Act) -> None:
        self.acts.append(act)

    def add_refusal(self, act: Act) -> None:
        self.refusals.append(act)


@pytest.fixture
def acts() -> MemoryActs:
    return MemoryActs()


@pytest.fixture
async def bench(acts: MemoryActs) -> GatewayBench:
    bench = GatewayBench(guard=TrustingGuard(), acts=acts)
    namespace = Namespace(id=DEFAULT_NAMESPACE.id, name=NamespaceName(NAMESPACE))
    bench.store.records = {namespace.id: namespace}
    return bench


def _start(**fields: Any) -> dict[str, Any]:
    return {
        "namespace": NAMESPACE,
        "workflowId": "w",
        "workflowType": {"name": "W"},
        "taskQueue": {"name": "q"},
        "requestId": "r",
        **fields,
    }


async def _terminate(client: Client, namespace: str) -> None:
    about = {"workflowId": "w", "runId": "r"}
    answer = await client.call("TerminateWorkflowExecution", {"namespace": namespace, "workflowExecution": about})
    assert answer.code == "PERMISSION_DENIED"


async def test_an_act_is_told_with_who_where_and_what(bench: GatewayBench, acts: MemoryActs) -> None:
    bench.history.answer = lambda rpc, call, request: StartWorkflowExecutionResponse(run_id="run")
    async with running(bench) as client:
        assert (await client.call("StartWorkflowExecution", _start())).code == "OK"
    (act,) = acts.acts
    assert (act.rpc, act.principal, act.namespace) == ("StartWorkflowExecution", SOMEBODY, NAMESPACE)
    assert (act.workflow_id, act.run_id, act.address, act.result) == ("w", "run", "127.0.0.1", "OK")


async def test_its_failure_is_told(bench: GatewayBench, acts: MemoryActs) -> None:
    bench.history.answer = lambda rpc, call, request: errors.workflow_not_found("w")
    async with running(bench) as client:
        request = {"namespace": NAMESPACE, "workflowExecution": {"workflowId": "w"}}
        assert (await client.call("RequestCancelWorkflowExecution", request)).code == "NOT_FOUND"
    assert [(act.workflow_id, act.result) for act in acts.acts] == [("w", "NOT_FOUND")]


@pytest.mark.parametrize(
    ("error", "result"), [(StoreUnavailable("db1"), "UNAVAILABLE"), (KeyError("a defect"), "INTERNAL")]
)
async def test_what_the_caller_is_told_is_told(
    error: Exception, result: str, bench: GatewayBench, acts: MemoryActs
) -> None:
    bench.history.answer = lambda rpc, call, request: error
    async with running(bench) as client:
        about = {"workflowId": "w"}
        answer = await client.call(
            "RequestCancelWorkflowExecution", {"namespace": NAMESPACE, "workflowExecution": about}
        )
    assert (answer.code, [act.result for act in acts.acts]) == (result, [result])


@pytest.mark.parametrize(
    ("error", "result"), [(StoreUnavailable("db1"), "UNAVAILABLE"), (KeyError("a defect"), "INTERNAL")]
)
async def test_what_the_gateway_answers_itself_and_fails_is_told(
    error: Exception, result: str, bench: GatewayBench, acts: MemoryActs, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def update(namespace: Namespace) -> None:
        raise error

    monkeypatch.setattr(bench.store, "update", update)
    async with running(bench) as client:
        answer = await client.call("UpdateNamespace", {"namespace": NAMESPACE, "updateInfo": {"description": "new"}})
    assert (answer.code, [act.result for act in acts.refusals]) == (result, [result])


async def test_what_is_not_permitted_is_told_to_the_account_that_it_is_about(
    bench: GatewayBench, acts: MemoryActs
) -> None:
    async with running(bench) as client:
        await _terminate(client, NAMESPACE)
        await _terminate(client, "orders.other")
    assert [(act.rpc, act.run_id, act.result) for act in acts.refusals] == [
        ("TerminateWorkflowExecution", "r", "PERMISSION_DENIED")
    ]
    assert not acts.acts


async def test_what_was_refused_is_told_in_few_words(bench: GatewayBench, acts: MemoryActs) -> None:
    """Nothing of it was checked: whoever is refused must not fill the log."""
    async with running(bench) as client:
        account = NAMESPACE.rpartition(".")[2]
        about = {"workflowId": "w" * 100_000, "runId": "r" * 100_000}
        request = {"namespace": f"{'n' * 900}.{account}", "workflowExecution": about}
        await client.call("TerminateWorkflowExecution", request)
        await _terminate(client, NAMESPACE)
    assert len(acts.refusals) == 2
    for act in acts.refusals:
        assert max(map(len, (act.namespace, act.workflow_id, act.run_id))) <= 1_000


async def test_names_that_no_namespace_can_have_are_nobodys(bench: GatewayBench, acts: MemoryActs) -> None:
    async with running(bench) as client:
        request = {
            "namespace": f"{'n' * 1000}.{NAMESPACE.rpartition('.')[2]}",
            "workflowExecution": {"workflowId": "w"},
        }
        assert (await client.call("TerminateWorkflowExecution", request)).code == "INVALID_ARGUMENT"
    assert not acts.refusals


async def test_a_refusal_does_not_wait_for_the_log(bench: GatewayBench, acts: MemoryActs) -> None:
    acts.is_full = True
    async with running(bench) as client:
        await _terminate(client, NAMESPACE)
    assert len(acts.refusals) == 1


async def test_reads_and_what_is_wrong_in_itself_are_not_told(bench: GatewayBench, acts: MemoryActs) -> None:
    async with running(bench) as client:
        await client.call("DescribeWorkflowExecution", {"namespace": NAMESPACE, "execution": {"workflowId": "w"}})
        assert (await client.call("StartWorkflowExecution", _start(workflowId=""))).code == "INVALID_ARGUMENT"
    assert not acts.acts


async def test_nothing_is_done_that_cannot_be_told(bench: GatewayBench, acts: MemoryActs) -> None:
    acts.is_full = True
    async with running(bench) as client:
        answer = await client.call("StartWorkflowExecution", _start())
        assert (answer.code, "audit log" in answer.message) == ("UNAVAILABLE", True)
        await client.call("DescribeWorkflowExecution", {"namespace": NAMESPACE, "execution": {"workflowId": "w"}})
    assert [rpc for rpc, _, _ in bench.history.served] == ["DescribeWorkflowExecution"]


@pytest.mark.parametrize("rpc", [rpc for rpc, route in WORKFLOW_ROUTES.items() if route.audit])
def test_what_an_act_is_about_is_read_from_any_request(rpc: str) -> None:
    method = WORKFLOW_SERVICE.methods_by_name[rpc]
    assert subject_of(method.input_type)(GetMessageClass(method.input_type)()) == ("", "")


@pytest.mark.parametrize(
    "rpc, fields, subject",
    [
        ("TerminateWorkflowExecution", {"workflow_execution": {"workflow_id": "w", "run_id": "r"}}, ("w", "r")),
        ("PauseActivity", {"execution": {"workflow_id": "w", "run_id": "r"}, "id": "a"}, ("w", "r")),
        ("PatchSchedule", {"schedule_id": "s"}, ("s", "")),
        ("UpdateTaskQueueConfig", {"task_queue": "q"}, ("q", "")),
        ("SetWorkerDeploymentCurrentVersion", {"deployment_name": "d", "build_id": "b"}, ("d", "b")),
        ("SetWorkerDeploymentManager", {"deployment_name": "d"}, ("d", "")),
        (
            "DeleteWorkerDeploymentVersion",
            {"deployment_version": {"deployment_name": "d", "build_id": "b"}},
            ("d", "b"),
        ),
    ],
)
def test_what_an_act_is_about(rpc: str, fields: dict[str, Any], subject: tuple[str, str]) -> None:
    method = WORKFLOW_SERVICE.methods_by_name[rpc]
    assert subject_of(method.input_type)(GetMessageClass(method.input_type)(**fields)) == subject
