"""What the reception makes of calls, whatever transport they came by."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from temporalio.api.enums.v1 import ResourceExhaustedCause
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest, DescribeWorkflowExecutionResponse

from perdure.frontend.limits import OverLimit, overload
from perdure.frontend.limits.overload import Rank
from perdure.frontend.metrics import GatewayMetrics
from perdure.frontend.reception import HELD_BYTES_MAX, Reception
from perdure.frontend.routes import WORKFLOW_SERVICE
from perdure.frontend.services import ServedMethod, Service
from perdure.kernel.clock import VirtualClock
from perdure.kernel.errors import PermissionDenied
from perdure.kernel.identity import Caller, KnownCaller
from perdure.kernel.tracing import SpanKind

DESCRIBE = WORKFLOW_SERVICE.methods_by_name["DescribeWorkflowExecution"]


class Request:
    """What a request is decoded to, as far as the reception looks at it."""

    namespace = "orders"


async def over_limit(request: Any, remaining_s: float | None, caller: Caller) -> DescribeWorkflowExecutionResponse:
    raise OverLimit("requests_per_second", "too many", ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_RPS_LIMIT)


@pytest.fixture
def reception() -> Reception:
    reception = Reception(GatewayMetrics(), VirtualClock(1), lambda name: True)
    # It has no process to ask.
    reception.probe.count = lambda: None  # type: ignore[method-assign]
    return reception


async def test_a_refusal_that_is_held_back_does_not_hold_its_request(reception: Reception) -> None:
    requests: list[weakref.ref[Request]] = []

    def decode(data: bytes) -> Request:
        request = Request()
        requests.append(weakref.ref(request))
        return request

    endpoint = reception.endpoint(ServedMethod(DESCRIBE, over_limit, Rank.LOOK), "grpc", decode)
    calls = [asyncio.ensure_future(endpoint(b"small", None, KnownCaller())) for _ in range(20)]
    while len(requests) < len(calls):  # noqa: ASYNC110
        await asyncio.sleep(0)
    held = [call for call in calls if not call.done()]
    gc.collect()
    alive = sum(request() is not None for request in requests)
    reception.drain()
    refused = await asyncio.gather(*calls, return_exceptions=True)
    assert (len(held) > 1, alive) == (True, 0)
    assert all(isinstance(error, OverLimit) for error in refused)


async def test_the_bytes_of_requests_whose_refusals_are_held_back_are_bounded(
    reception: Reception, monkeypatch: pytest.MonkeyPatch
) -> None:
    # None of them leaves while we look.
    monkeypatch.setattr(overload, "REFUSALS_PER_S", 0.1)
    reception._limit_damper = overload.Damper(600, lets_go=True)
    endpoint = reception.endpoint(ServedMethod(DESCRIBE, over_limit, Rank.LOOK), "grpc", lambda data: Request())
    large = bytes(HELD_BYTES_MAX // 4)
    calls = [asyncio.ensure_future(endpoint(large, None, KnownCaller())) for _ in range(20)]
    await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    for _ in range(len(calls)):
        await asyncio.sleep(0)
    assert sum(not call.done() for call in calls) == 4
    reception.drain()
    refused = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(error, OverLimit) for error in refused)
    assert reception._held_bytes == 0


async def test_a_namespace_that_is_gone_is_a_name_like_any_other() -> None:
    metrics, namespaces = GatewayMetrics(), {"orders"}
    reception = Reception(metrics, VirtualClock(1), namespaces.__contains__)
    reception.probe.count = lambda: None  # type: ignore[method-assign]

    async def describe(request: Any, remaining_s: float | None, caller: Caller) -> DescribeWorkflowExecutionResponse:
        return DescribeWorkflowExecutionResponse()

    endpoint = reception.endpoint(ServedMethod(DESCRIBE, describe, Rank.LOOK), "grpc")
    await endpoint(Request(), None, KnownCaller())
    namespaces.clear()
    for _ in range(2):
        await endpoint(Request(), None, KnownCaller())
    counts = {namespace: metrics.of(DESCRIBE.name, namespace).latency.count for namespace in ("orders", "")}
    assert counts == {"orders": 1, "": 2}


class Spans:
    """A tracer that keeps the attributes of what it is told."""

    def __init__(self) -> None:
        self.seen: list[Mapping[str, str]] = []

    @contextmanager
    def span(self, name: str, kind: SpanKind, attributes: Mapping[str, str]) -> Iterator[None]:
        self.seen.append(attributes)
        yield


async def test_traces_tell_by_which_transport_a_call_came() -> None:
    tracer = Spans()
    reception = Reception(GatewayMetrics(), VirtualClock(1), lambda name: True, tracer)
    reception.probe.count = lambda: None  # type: ignore[method-assign]

    async def describe(request: Any, remaining_s: float | None, caller: Caller) -> DescribeWorkflowExecutionResponse:
        return DescribeWorkflowExecutionResponse()

    service = Service(WORKFLOW_SERVICE, {DESCRIBE.name: ServedMethod(DESCRIBE, describe, Rank.LOOK)})
    [received] = reception.services([service], "http")
    request = DescribeWorkflowExecutionRequest(namespace="orders")
    await received.methods[DESCRIBE.name].endpoint(request, None, KnownCaller())
    [attributes] = tracer.seen
    assert (attributes["rpc.system"], attributes["rpc.method"], attributes["namespace"]) == (
        "http",
        "DescribeWorkflowExecution",
        "orders",
    )


async def test_calls_of_strangers_are_not_the_demand_of_the_namespace_that_they_name(reception: Reception) -> None:
    async def refuse(request: Any, remaining_s: float | None, caller: Caller) -> DescribeWorkflowExecutionResponse:
        raise PermissionDenied("not yours")

    async def answer(request: Any, remaining_s: float | None, caller: Caller) -> DescribeWorkflowExecutionResponse:
        return DescribeWorkflowExecutionResponse()

    demand = reception._admission._demand
    for serve, modest in ((refuse, True), (answer, False)):
        endpoint = reception.endpoint(ServedMethod(DESCRIBE, serve, Rank.LOOK), "grpc", lambda data: Request())
        demand.count("others", 0)
        for _ in range(100):
            with suppress(PermissionDenied):
                await endpoint(b"", None, KnownCaller())
        assert demand.is_modest(Request.namespace) is modest
