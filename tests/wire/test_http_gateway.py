"""What a gateway does with calls that come over HTTP: the same as with those over gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from perdure.frontend import reception
from perdure.frontend.limits import overload
from perdure.infra.http_api import DATA_PLANE, rpcs
from perdure.kernel import errors
from perdure.kernel.persistence.executions import StoreUnavailable
from perdure.kernel.serving import serving
from perdure.kernel.transport import trace_context
from tests.support.gateway import GatewayBench, running

WORKFLOW = "/api/v1/namespaces/default/workflows/w"
WAITING = f"{WORKFLOW}/history?waitNewEvent=true"


@asynccontextmanager
async def client(bench: GatewayBench) -> AsyncIterator[httpx.AsyncClient]:
    application, _ = rpcs(DATA_PLANE, bench.gateway.services)
    async with (
        running(bench),
        httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://x") as http,
    ):
        yield http


async def test_an_overloaded_gateway_refuses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overload, "_CROWD", (0,) * len(overload.Rank))
    bench = GatewayBench()
    async with client(bench) as http:
        answer = await http.get(WORKFLOW)
    assert (answer.status_code, "overloaded" in answer.json()["message"]) == (429, True)
    assert bench.gateway.metrics.refusals == {("", overload.LIMIT): 1}
    assert bench.history.served == []


async def test_an_overloaded_gateway_holds_refusals_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overload, "_CROWD", (0,) * len(overload.Rank))
    monkeypatch.setattr(overload, "REFUSALS_PER_S", 0.01)
    monkeypatch.setattr(reception, "HELD_S_MAX", 60.0)
    bench = GatewayBench()
    async with client(bench) as http:
        first = await http.get(WORKFLOW)
        second = asyncio.create_task(http.get(WORKFLOW))
        done, _ = await asyncio.wait({second}, timeout=0.2)
        assert (done, bench.gateway.metrics.in_flight) == (set(), 1)
        await bench.gateway.drain()
        assert (first.status_code, (await second).status_code) == (429, 429)


async def test_a_gateway_that_stops_refuses_it() -> None:
    bench = GatewayBench()
    async with client(bench) as http:
        await bench.gateway.drain()
        answer = await http.get(WORKFLOW)
    assert (answer.status_code, answer.json()["code"]) == (503, errors.Code.UNAVAILABLE.value)
    assert bench.history.served == []


class Held:
    """Holds every call of history until it is let go."""

    def __init__(self, bench: GatewayBench) -> None:
        self.arrived, self.release = asyncio.Event(), asyncio.Event()
        bench.history.before = self._wait

    async def _wait(self) -> None:
        self.arrived.set()
        await self.release.wait()


async def test_a_gateway_that_stops_breaks_off_what_only_waits() -> None:
    bench = GatewayBench()
    held = Held(bench)
    async with client(bench) as http:
        waiting = asyncio.create_task(http.get(WAITING))
        await asyncio.wait_for(held.arrived.wait(), 10)
        await bench.gateway.drain()
        answer = await asyncio.wait_for(waiting, 10)
    assert (answer.status_code, answer.json()["code"]) == (503, errors.Code.UNAVAILABLE.value)


async def test_a_gateway_that_stops_lets_it_finish() -> None:
    bench = GatewayBench()
    held = Held(bench)
    async with client(bench) as http:
        in_flight = asyncio.create_task(http.get(WORKFLOW))
        await asyncio.wait_for(held.arrived.wait(), 10)
        assert bench.gateway.metrics.in_flight == 1
        await bench.gateway.drain()
        stopping = asyncio.create_task(bench.gateway.stop(10))
        held.release.set()
        assert (await in_flight).status_code == 200
        await stopping
    assert bench.gateway.metrics.in_flight == 0


async def test_it_is_counted_and_named() -> None:
    bench = GatewayBench()
    seen: list[Any] = []

    async def look() -> None:
        about = serving.get()
        seen.append((about and about[0], trace_context.get()["traceparent"]))

    bench.history.before = look
    bench.history.answer = lambda rpc, call, request: StoreUnavailable("db1")
    async with client(bench) as http:
        answer = await http.get(WORKFLOW, headers={"traceparent": "00-a-b-01"})
    assert (answer.status_code, answer.json()["code"]) == (503, errors.Code.UNAVAILABLE.value)
    counts = bench.gateway.metrics.of("DescribeWorkflowExecution", "default")
    assert (counts.latency.count, counts.failures) == (1, {"UNAVAILABLE": 1})
    assert seen == [("DescribeWorkflowExecution", "00-a-b-01")]
