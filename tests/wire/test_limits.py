"""Limits of namespaces and shedding, as a client sees them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from temporalio.api.enums.v1 import ResourceExhaustedCause, ResourceExhaustedScope
from temporalio.api.errordetails.v1 import ResourceExhaustedFailure

from perdure.frontend import probe, reception
from perdure.frontend.limits import overload
from perdure.kernel.limits import NamespaceLimits
from tests.support.gateway import GatewayBench, running
from tests.support.rpc import Answer, Client

DESCRIBE: dict[str, Any] = {"namespace": "default", "execution": {"workflowId": "w"}}
HISTORY: dict[str, Any] = {"namespace": "default", "execution": {"workflowId": "w"}}
POLL: dict[str, Any] = {"namespace": "default", "taskQueue": {"name": "q"}}
COMPLETION: dict[str, Any] = {"namespace": "default", "workflowId": "w", "activityId": "a"}
_CAUSE = ResourceExhaustedCause.Name
_SCOPE = ResourceExhaustedScope.Name


def refusal(answer: Answer) -> tuple[str, str]:
    """The cause and the scope of a refusal, without what all of their names begin with."""
    assert answer.code == "RESOURCE_EXHAUSTED"
    assert answer.status is not None
    failure = ResourceExhaustedFailure()
    assert answer.status.details[0].Unpack(failure)
    return (
        _CAUSE(failure.cause).removeprefix("RESOURCE_EXHAUSTED_CAUSE_"),
        _SCOPE(failure.scope).removeprefix("RESOURCE_EXHAUSTED_SCOPE_"),
    )


async def until_refused(client: Client, rpc: str, request: dict[str, Any]) -> Answer:
    while (answer := await client.call(rpc, request)).code == "OK":
        pass
    return answer


async def test_a_namespace_over_its_rate_is_told_which() -> None:
    bench = GatewayBench(namespace_limits=NamespaceLimits(requests_per_second=3))
    async with running(bench) as client:
        answer = await until_refused(client, "DescribeWorkflowExecution", DESCRIBE)
        system = await client.call("GetSystemInfo")
    assert answer.message == "namespace rate limit exceeded: frontend.globalNamespaceRPS is 3"
    assert refusal(answer) == ("RPS_LIMIT", "NAMESPACE")
    assert system.code == "OK"
    assert bench.gateway.metrics.refusals == {("default", "requests_per_second"): 1}
    assert bench.gateway.metrics.of("DescribeWorkflowExecution", "default").failures == {"RESOURCE_EXHAUSTED": 1}


async def test_lists_have_a_rate_of_their_own() -> None:
    bench = GatewayBench(namespace_limits=NamespaceLimits(visibility_per_second=3))
    async with running(bench) as client:
        answer = await until_refused(client, "ListWorkflowExecutions", {"namespace": "default"})
        other = await client.call("DescribeWorkflowExecution", DESCRIBE)
    assert answer.message == "namespace rate limit exceeded: frontend.globalNamespaceRPS.visibility is 3"
    assert other.code == "OK"


async def test_names_that_are_made_up_share_one_rate() -> None:
    bench = GatewayBench(namespace_limits=NamespaceLimits(changes_per_second=1))
    async with running(bench) as client:
        codes = [(await client.call("UpdateNamespace", {"namespace": f"made-up-{n}"})).code for n in range(20)]
    assert codes[:10] == ["NOT_FOUND"] * 10
    assert set(codes[10:]) >= {"RESOURCE_EXHAUSTED"}, "one more may have come in if this took a second"
    assert bench.gateway.metrics.refusals == {("", "changes_per_second"): codes.count("RESOURCE_EXHAUSTED")}


async def test_polls_are_counted_until_they_are_answered() -> None:
    bench = GatewayBench(namespace_limits=NamespaceLimits(waiting_calls_max=1))
    waiting, go_on = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        waiting.set()
        await go_on.wait()

    bench.matching.before = wait
    async with running(bench) as client:
        first = asyncio.create_task(client.call("PollWorkflowTaskQueue", POLL))
        await waiting.wait()
        second = await client.call("PollWorkflowTaskQueue", POLL)
        go_on.set()
        assert (await first).code == "OK"
        third = await client.call("PollWorkflowTaskQueue", POLL)
    assert second.message == "namespace concurrent poller limit exceeded: frontend.globalNamespaceCount is 1"
    assert refusal(second) == ("CONCURRENT_LIMIT", "NAMESPACE")
    assert third.code == "OK"


@pytest.mark.parametrize(("waits", "limit"), [(True, "waiting_calls_max"), (False, "pending_calls_max")])
async def test_a_read_of_a_history_counts_as_what_it_does(waits: bool, limit: str) -> None:
    bench = GatewayBench(namespace_limits=NamespaceLimits(waiting_calls_max=1, pending_calls_max=1))
    reading, go_on = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        reading.set()
        await go_on.wait()

    bench.history.before = wait
    request = {**HISTORY, "waitNewEvent": waits}
    async with running(bench) as client:
        first = asyncio.create_task(client.call("GetWorkflowExecutionHistory", request))
        await reading.wait()
        second = await client.call("GetWorkflowExecutionHistory", request)
        go_on.set()
        assert (await first).code == "OK"
    assert refusal(second) == ("CONCURRENT_LIMIT", "NAMESPACE")
    assert bench.gateway.metrics.refusals == {("default", limit): 1}


async def test_too_much_work_for_the_process_is_refused_before_it_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overload, "_CROWD", (2, 1, 1, 1, 1))
    bench = GatewayBench()
    working, go_on = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        working.set()
        await go_on.wait()

    bench.history.before = wait
    async with running(bench) as client:
        first = asyncio.create_task(client.call("DescribeWorkflowExecution", DESCRIBE))
        await working.wait()
        answer = await client.call("DescribeWorkflowExecution", {"namespace": "no such namespace"})
        progress = asyncio.create_task(
            client.call(
                "RespondActivityTaskCompletedById", {"namespace": "default", "workflowId": "w", "activityId": "a"}
            )
        )
        go_on.set()
        assert ((await first).code, (await progress).code) == ("OK", "OK")
    assert answer.message == "the server is overloaded, try again later"
    assert refusal(answer) == ("SYSTEM_OVERLOADED", "SYSTEM")
    assert bench.gateway.metrics.refusals == {("", overload.LIMIT): 1}


async def test_the_wait_for_the_process_is_measured_while_there_are_calls() -> None:
    bench = GatewayBench()
    async with running(bench) as client:
        while not bench.gateway.metrics.admission_wait_s:
            await asyncio.gather(*(client.call("GetSystemInfo") for _ in range(probe.CALLS_MIN)))
        assert bench.gateway.metrics.admission_wait_s < 10


async def test_a_long_wait_is_answered_with_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overload, "_PATIENCE_S", (1000.0, 0.0, 0.0, 0.0, 0.0))
    async with running(GatewayBench()) as client:
        while (await client.call("DescribeWorkflowExecution", DESCRIBE)).code == "OK":
            await asyncio.gather(*(client.call("GetSystemInfo") for _ in range(probe.CALLS_MIN)))
        answer = await client.call("DescribeWorkflowExecution", DESCRIBE)
    assert refusal(answer) == ("SYSTEM_OVERLOADED", "SYSTEM")


async def test_refusals_do_not_outlast_their_clients_nor_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overload, "REFUSALS_PER_S", 1)
    monkeypatch.setattr(reception, "HELD_OVER_LIMIT_S_MAX", 60.0)
    bench = GatewayBench(namespace_limits=NamespaceLimits(pending_calls_max=0))
    async with running(bench) as client:
        await client.call("DescribeWorkflowExecution", DESCRIBE)
        hurried = await client.call("DescribeWorkflowExecution", DESCRIBE, timeout_s=0.5)
        held = [asyncio.create_task(client.call("DescribeWorkflowExecution", DESCRIBE, timeout_s=None)) for _ in "abc"]
        while bench.gateway.metrics.in_flight < len(held):
            await client.call("GetSystemInfo")
        await bench.gateway.drain()
        answers = await asyncio.gather(*held)
    assert hurried.code == "RESOURCE_EXHAUSTED"
    assert {answer.code for answer in answers} == {"RESOURCE_EXHAUSTED"}
