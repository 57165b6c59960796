from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from temporalio.api.enums.v1 import ResourceExhaustedCause, ResourceExhaustedScope
from temporalio.api.errordetails.v1 import ResourceExhaustedFailure
from temporalio.api.workflowservice.v1 import RespondWorkflowTaskCompletedRequest

from perdure.frontend.limits import OverLimit
from perdure.frontend.limits import namespaces as module
from perdure.frontend.limits.namespaces import NamespaceGates, Toll, toll_of
from perdure.frontend.routes import SERVICES
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.limits import NamespaceLimits

START_NS = 1_700_000_000 * SECOND_NS
TOLLS = {rpc: toll_of(rpc, route) for _, routes in SERVICES for rpc, route in routes.items()}


class Bench:
    """Gates under limits that can be changed, at a time that can be moved."""

    def __init__(self, **limits: int) -> None:
        self.limits = {"": NamespaceLimits(), "orders": NamespaceLimits(**limits)}
        self.gateways = 1
        self.now_ns = START_NS
        self.refusals: Counter[tuple[str, str]] = Counter()
        self.gates = NamespaceGates(
            lambda name: self.limits.get(name, NamespaceLimits()), lambda: self.gateways, self.refusals
        )

    def enter(self, rpc: str, request: Any = None, name: str = "orders") -> Toll:
        toll = TOLLS[rpc]
        assert toll is not None
        self.gates.of(name, self.now_ns).enter(toll, request, self.now_ns)
        return toll

    def leave(self, toll: Toll, name: str = "orders") -> None:
        self.gates.of(name, self.now_ns).leave(toll)

    def let_in(self, rpc: str, request: Any = None, name: str = "orders") -> int:
        """How many calls get in one after the other before the first is refused."""
        for count in range(100_000):
            try:
                toll = self.enter(rpc, request, name)
            except OverLimit:
                return count
            self.leave(toll, name)
        raise AssertionError("no limit")


def failure(error: OverLimit) -> ResourceExhaustedFailure:
    assert isinstance(error.detail, ResourceExhaustedFailure)
    assert error.detail.scope == ResourceExhaustedScope.RESOURCE_EXHAUSTED_SCOPE_NAMESPACE
    return error.detail


def refused(bench: Bench, rpc: str, request: Any = None) -> OverLimit:
    with pytest.raises(OverLimit) as caught:
        bench.enter(rpc, request)
    return caught.value


@pytest.mark.parametrize(
    ("rpc", "limit", "key", "burst"),
    [
        ("RespondWorkflowTaskCompleted", "requests_per_second", "frontend.globalNamespaceRPS", 20),
        ("ListWorkflowExecutions", "visibility_per_second", "frontend.globalNamespaceRPS.visibility", 10),
        (
            "UpdateNamespace",
            "changes_per_second",
            "frontend.globalNamespaceRPS.namespaceReplicationInducingAPIs",
            100,
        ),
    ],
)
def test_rates(rpc: str, limit: str, key: str, burst: int) -> None:
    bench = Bench(**{limit: 10})
    # A twentieth is kept for calls that keep the system together.
    assert burst * 0.9 <= bench.let_in(rpc) <= burst
    error = refused(bench, rpc)
    assert error.message == f"namespace rate limit exceeded: {key} is 10"
    assert failure(error).cause == ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_RPS_LIMIT
    assert bench.refusals["orders", limit] == 2
    bench.now_ns += SECOND_NS
    assert bench.let_in(rpc) == 10


def test_rates_of_one_kind_leave_the_others_alone() -> None:
    bench = Bench(requests_per_second=10, visibility_per_second=1)
    bench.let_in("StartWorkflowExecution")
    assert bench.let_in("ListWorkflowExecutions") == 1
    bench.let_in("UpdateNamespace")


def test_namespaces_leave_each_other_alone() -> None:
    bench = Bench(requests_per_second=10)
    bench.let_in("StartWorkflowExecution")
    bench.enter("StartWorkflowExecution", name="others")
    assert not [name for name, _ in bench.refusals if name != "orders"]


def test_the_less_important_are_refused_first() -> None:
    bench = Bench(requests_per_second=100)
    order = ("PollWorkflowTaskQueue", "QueryWorkflow", "TerminateWorkflowExecution", "StartWorkflowExecution")
    for rpc in (*order, "DescribeNamespace"):
        assert bench.let_in(rpc) > 0
    for rpc in order:
        refused(bench, rpc)


def test_polls_that_wait_are_counted_by_kind() -> None:
    bench = Bench(waiting_calls_max=2)
    first, _ = bench.enter("PollWorkflowTaskQueue"), bench.enter("PollWorkflowTaskQueue")
    error = refused(bench, "PollWorkflowTaskQueue")
    assert error.message == "namespace concurrent poller limit exceeded: frontend.globalNamespaceCount is 2"
    assert failure(error).cause == ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_CONCURRENT_LIMIT
    bench.enter("PollActivityTaskQueue")
    bench.leave(first)
    bench.enter("PollWorkflowTaskQueue")
    assert bench.refusals == {("orders", "waiting_calls_max"): 1}


def test_calls_being_worked_on_are_counted_and_those_that_end_work_are_not() -> None:
    bench = Bench(pending_calls_max=1)
    inside = bench.enter("StartWorkflowExecution")
    error = refused(bench, "SignalWorkflowExecution")
    assert error.message == "namespace pending call limit exceeded: limit.pendingCalls is 1"
    assert failure(error).cause == ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_CONCURRENT_LIMIT
    bench.enter("RespondActivityTaskCompleted")
    bench.enter("PollActivityTaskQueue")
    bench.leave(inside)
    bench.enter("SignalWorkflowExecution")


def test_actions_are_charged_for_what_workers_report_and_refused_to_those_who_ask() -> None:
    bench = Bench(actions_per_second=10)
    assert bench.let_in("StartWorkflowExecution") == 20
    bench.now_ns += SECOND_NS
    heartbeat = RespondWorkflowTaskCompletedRequest(force_create_new_workflow_task=True)
    for _ in range(30):
        bench.enter("RespondWorkflowTaskCompleted", heartbeat)
    error = refused(bench, "StartWorkflowExecution")
    assert error.message == "namespace action rate limit exceeded: limit.actionsPerSecond is 10"
    assert failure(error).cause == ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_APS_LIMIT
    bench.enter("DescribeWorkflowExecution")
    bench.now_ns += 2 * SECOND_NS
    refused(bench, "StartWorkflowExecution")
    bench.now_ns += SECOND_NS
    assert bench.let_in("StartWorkflowExecution") == 10


def test_without_a_limit_of_actions_requests_are_not_looked_into() -> None:
    bench = Bench()
    bench.enter("RespondWorkflowTaskCompleted", request=None)
    bench.enter("StartWorkflowExecution", request=None)


def test_a_refused_call_is_not_inside() -> None:
    bench = Bench(requests_per_second=1, pending_calls_max=1, waiting_calls_max=1)
    bench.let_in("StartWorkflowExecution")
    refused(bench, "StartWorkflowExecution")
    bench.let_in("PollWorkflowTaskQueue")
    assert bench.gates.of("orders", bench.now_ns).idle


def test_each_gateway_grants_its_share() -> None:
    bench = Bench(requests_per_second=100, waiting_calls_max=5)
    bench.gateways = 2
    bench.let_in("DescribeNamespace")
    bench.now_ns += SECOND_NS
    assert bench.let_in("DescribeNamespace") == 50
    bench.gateways = 5
    bench.now_ns += SECOND_NS
    bench.let_in("DescribeNamespace")
    bench.now_ns += SECOND_NS
    assert bench.let_in("DescribeNamespace") == 20
    bench.now_ns += SECOND_NS
    bench.enter("PollActivityTaskQueue")
    refused(bench, "PollActivityTaskQueue")


def test_more_gateways_than_allowed_calls_still_let_everybody_in_now_and_then() -> None:
    bench = Bench(visibility_per_second=1, waiting_calls_max=1, pending_calls_max=1)
    bench.gateways = 4
    bench.enter("PollActivityTaskQueue")
    bench.leave(bench.enter("StartWorkflowExecution"))
    assert bench.let_in("ListWorkflowExecutions") == 1
    bench.now_ns += 3 * SECOND_NS
    refused(bench, "ListWorkflowExecutions")
    bench.now_ns += SECOND_NS
    assert bench.let_in("ListWorkflowExecutions") == 1


def test_a_gateway_that_is_not_a_member_yet_counts_itself() -> None:
    bench = Bench(requests_per_second=10)
    bench.gateways = 0
    assert bench.let_in("DescribeNamespace") == 20


@pytest.mark.parametrize("step_ns", [module.RENEWAL_NS, -3600 * SECOND_NS])
def test_other_limits_are_noticed_within_a_second(step_ns: int) -> None:
    bench = Bench(requests_per_second=10)
    bench.let_in("DescribeNamespace")
    bench.limits["orders"] = NamespaceLimits(requests_per_second=1000, actions_per_second=1)
    bench.now_ns += step_ns
    bench.let_in("DescribeNamespace")
    bench.now_ns += 2 * SECOND_NS
    assert bench.let_in("StartWorkflowExecution") == 2
    bench.limits["orders"] = NamespaceLimits(actions_per_second=0)
    bench.now_ns += SECOND_NS
    assert bench.let_in("StartWorkflowExecution") > 1000


def test_gates_are_bounded_and_whoever_is_inside_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GATES_MAX", 10)
    bench = Bench(pending_calls_max=1)
    bench.enter("StartWorkflowExecution")
    for number in range(100):
        bench.let_in("ListWorkflowExecutions", name=f"namespace-{number}")
    assert len(bench.gates) <= 10
    assert refused(bench, "StartWorkflowExecution").limit == "pending_calls_max"


def test_only_calls_about_the_cluster_are_free() -> None:
    free = {rpc for rpc, toll in TOLLS.items() if toll is None}
    assert {"GetSystemInfo", "GetClusterInfo", "ListNamespaces", "GetSearchAttributes"} <= free
    assert all("Namespace" not in rpc or rpc == "ListNamespaces" for rpc in free)
