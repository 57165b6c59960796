"""Whether a tenant far beyond its limit is felt by another: `python -m loadtests.neighbours`.

The quiet tenant starts workflows at a fixed rate, in turns with and without a loud neighbour, which has a limit and
asks for as much beyond it as its clients can. Exits with 1 if the neighbour moves the quiet tenant's p99 by a
fifth or more.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import statistics
import sys
import time
import uuid
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from typing import Any

import grpc.aio
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest, StartWorkflowExecutionRequest
from temporalio.api.workflowservice.v1.service_pb2_grpc import WorkflowServiceStub

from perdure.infra.local.cluster import LocalCluster

#: A process that is forked would take grpc's threads along.
SPAWN = multiprocessing.get_context("spawn")
QUIET_PER_S = 40
LOUD_LIMIT = 20
TURN_S = 8.0
MOVED_MAX = 1.2


def start_request(namespace: str) -> StartWorkflowExecutionRequest:
    request = StartWorkflowExecutionRequest(
        namespace=namespace, workflow_id=f"neighbour-{uuid.uuid4()}", request_id=str(uuid.uuid4())
    )
    request.workflow_type.name = "Any"
    request.task_queue.name = "nobody"
    return request


async def shout(address: str, clients: int, loud: Event, asked: Synchronized[int]) -> None:
    """Ask without a pause while it is the loud neighbour's turn."""
    async with grpc.aio.insecure_channel(address) as channel:
        stub: Any = WorkflowServiceStub(channel)  # type: ignore[arg-type]

        async def client() -> None:
            while True:
                if not loud.is_set():
                    await asyncio.sleep(0.05)
                    continue
                asked.value += 1
                try:
                    await stub.StartWorkflowExecution(start_request("loud"), timeout=5)
                except grpc.aio.AioRpcError as error:
                    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED, error

        await asyncio.gather(*(client() for _ in range(clients)))


def shouter(address: str, clients: int, loud: Event, asked: Synchronized[int]) -> None:
    asyncio.run(shout(address, clients, loud, asked))


async def listen(address: str) -> list[float]:
    """Latencies of the quiet tenant's calls, in seconds."""
    latencies: list[float] = []
    async with grpc.aio.insecure_channel(address) as channel:
        stub: Any = WorkflowServiceStub(channel)  # type: ignore[arg-type]

        async def call() -> None:
            began = time.perf_counter()
            await stub.StartWorkflowExecution(start_request("quiet"), timeout=10)
            latencies.append(time.perf_counter() - began)

        async with asyncio.TaskGroup() as group:
            due = time.perf_counter()
            for _ in range(int(TURN_S * QUIET_PER_S)):
                group.create_task(call())
                due += 1 / QUIET_PER_S
                await asyncio.sleep(max(due - time.perf_counter(), 0))
    return latencies


def p99_ms(latencies: list[float]) -> float:
    return statistics.quantiles(latencies, n=100)[98] * 1000


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--turns", type=int, default=4)
    options = parser.parse_args()
    limits = json.dumps({"loud": {"frontend.globalNamespaceRPS": LOUD_LIMIT}})
    async with LocalCluster(
        databases=1, environment={"PERDURE_LOG_LEVEL": "error", "PERDURE_NAMESPACES": limits}
    ) as cluster:
        node = await cluster.start("gateway,history,matching")
        async with grpc.aio.insecure_channel(node.address) as channel:
            stub: Any = WorkflowServiceStub(channel)  # type: ignore[arg-type]
            for name in ("quiet", "loud"):
                await stub.RegisterNamespace(
                    RegisterNamespaceRequest(
                        namespace=name, workflow_execution_retention_period=Duration(seconds=86_400)
                    )
                )
        loud = SPAWN.Event()
        asked: Synchronized[int] = SPAWN.Value("q", 0)
        neighbour = SPAWN.Process(target=shouter, args=(node.address, options.clients, loud, asked), daemon=True)
        neighbour.start()
        await listen(node.address)  # warms it up
        seen: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(options.turns):
            for is_loud in (False, True):
                before = asked.value
                loud.set() if is_loud else loud.clear()
                latencies = await listen(node.address)
                seen[is_loud].append(p99_ms(latencies))
                rate = (asked.value - before) / TURN_S
                print(f"neighbour asks {rate:5.0f}/s of its {LOUD_LIMIT}: p99 {seen[is_loud][-1]:.1f} ms", flush=True)
        neighbour.terminate()
    alone, beside = statistics.median(seen[False]), statistics.median(seen[True])
    print(f"p99 {alone:.1f} ms alone, {beside:.1f} ms beside the neighbour: {beside / alone:.2f}x")
    sys.exit(beside / alone >= MOVED_MAX)


if __name__ == "__main__":
    asyncio.run(main())
