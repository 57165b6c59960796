"""One trace from the client through every process that takes part in its call."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import grpc.aio
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import ParseDict
from temporalio.api.workflowservice.v1 import (
    PollWorkflowTaskQueueRequest,
    PollWorkflowTaskQueueResponse,
    RegisterNamespaceRequest,
    StartWorkflowExecutionRequest,
)
from temporalio.api.workflowservice.v1.service_pb2_grpc import WorkflowServiceStub

from perdure.infra.local.cluster import LocalCluster
from tests.support.otlp import Collected, Collector, collecting

pytestmark = pytest.mark.timeout(120)

TRACE = "0af7651916cd43dd8448eb211c80319c"
POLL_TRACE = "1bf7651916cd43dd8448eb211c80319d"
UNSAMPLED = "2cf7651916cd43dd8448eb211c80319e"
CALLER = "b7ad6b7169203331"
#: What a worker's own tracing keeps in the headers of a workflow.
WORKER_HEADER = "_tracer-data"


def traceparent(trace: str, sampled: bool = True) -> tuple[tuple[str, str], ...]:
    return (("traceparent", f"00-{trace}-{CALLER}-{'01' if sampled else '00'}"),)


async def drive(address: str) -> PollWorkflowTaskQueueResponse:
    """Start a workflow and take its first task, each in a trace of its own."""
    async with grpc.aio.insecure_channel(address) as channel:
        service = WorkflowServiceStub(channel)
        await service.RegisterNamespace(
            RegisterNamespaceRequest(namespace="default", workflow_execution_retention_period=Duration(seconds=86_400))
        )
        start = {
            "namespace": "default",
            "workflowId": "traced",
            "workflowType": {"name": "kind"},
            "taskQueue": {"name": "queue"},
            "requestId": "one",
            "header": {"fields": {WORKER_HEADER: {"data": "c3Bhbg=="}}},
        }
        request = ParseDict(start, StartWorkflowExecutionRequest())
        await service.StartWorkflowExecution(request, metadata=traceparent(TRACE))
        poll = ParseDict({"namespace": "default", "taskQueue": {"name": "queue"}}, PollWorkflowTaskQueueRequest())
        request.workflow_id = "unseen"
        answer = await service.PollWorkflowTaskQueue(poll, metadata=traceparent(POLL_TRACE), timeout=30)
        await service.StartWorkflowExecution(request, metadata=traceparent(UNSAMPLED, sampled=False))
        return answer


def of_trace(collected: list[Collected], trace: str) -> dict[str, Collected]:
    return {each.span.name: each for each in collected if each.span.trace_id.hex() == trace}


async def test_a_trace_goes_through_all_roles() -> None:
    async with collecting() as collector:
        environment = {
            "PERDURE_TRACING__ENDPOINT": collector.endpoint,
            "PERDURE_TRACING__RATIO": "0",
            "PERDURE_LOG_LEVEL": "warn",
        }
        async with LocalCluster(environment=environment) as cluster:
            for role in ("gateway", "history", "matching"):
                await cluster.start(role)
            task = await drive(cluster.with_role("gateway")[0].address)
            # What is left is sent when a process ends.
            await asyncio.gather(*(node.stop() for node in cluster.nodes))
        check(collector)
    started = task.history.events[0].workflow_execution_started_event_attributes
    assert started.header.fields[WORKER_HEADER].data == b"span"


def check(collector: Collector) -> None:
    start, poll = of_trace(collector.collected, TRACE), of_trace(collector.collected, POLL_TRACE)
    assert {name: each.roles for name, each in start.items()} == {
        "StartWorkflowExecution": {"gateway"},
        "history/StartWorkflowExecution": {"history"},
    }
    assert {name: each.roles for name, each in poll.items()} == {
        "PollWorkflowTaskQueue": {"gateway"},
        "matching/PollWorkflowTaskQueue": {"matching"},
        "history/StartWorkflowTask": {"history"},
    }
    for chain in (list(start.values()), [poll[name] for name in poll]):
        parents = {each.span.span_id.hex(): each.span.parent_span_id.hex() for each in chain}
        assert [parent for parent in parents.values() if parent not in parents] == [CALLER]
    assert poll["history/StartWorkflowTask"].span.parent_span_id == poll["matching/PollWorkflowTaskQueue"].span.span_id
    assert poll["history/StartWorkflowTask"].attribute("temporalWorkflowID") == "traced"
    assert start["StartWorkflowExecution"].attribute("temporalNamespace") == "default"
    # A client that does not want to be recorded is not, and nothing begins here with a ratio of 0.
    assert {each.span.trace_id.hex() for each in collector.collected} == {TRACE, POLL_TRACE}


# redis-py loads a part of OpenTelemetry by itself where it is installed.
@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("perdure.infra.server", "opentelemetry"),
        ("perdure.infra.cluster.server", "opentelemetry.exporter"),
        ("perdure.infra.cluster.server", "opentelemetry.sdk.trace"),
    ],
)
def test_without_tracing_it_is_not_loaded(module: str, unwanted: str) -> None:
    look = f"import sys, {module}; sys.exit(any(name.startswith('{unwanted}') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", look], check=False).returncode == 0
