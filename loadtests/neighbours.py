"""Whether a tenant far beyond its limit is felt by another: `python -m loadtests.neighbours`.

A quiet tenant starts workflows now and then, in turns alone, beside a neighbour that asks for what its limit allows,
and beside the same one asking for a hundred times that, without waiting for answers. Exits with 1 if what is beyond the
limit moves the quiet tenant's p99 by a fifth or more.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import statistics
import sys
import time
import uuid
from multiprocessing.sharedctypes import Synchronized
from typing import Any

import grpc.aio
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest, StartWorkflowExecutionRequest
from temporalio.api.workflowservice.v1.service_pb2_grpc import WorkflowServiceStub

from perdure.infra.local.cluster import LocalCluster

#: A process that is forked would take grpc's threads along.
SPAWN = multiprocessing.get_context("spawn")
QUIET_PER_S = 40
LOUD_LIMIT = 10
EXCESS = 100
TURN_S = 15.0
#: For what was asked for in the turn before to be answered.
REST_S = 6.0
MOVED_MAX = 1.2


def start_request(namespace: str) -> StartWorkflowExecutionRequest:
    request = StartWorkflowExecutionRequest(
        namespace=namespace, workflow_id=f"neighbour-{uuid.uuid4()}", request_id=str(uuid.uuid4())
    )
    request.workflow_type.name = "Any"
    request.task_queue.name = "nobody"
    return request


async def shout(address: str, per_s: Synchronized[float], asked: Synchronized[int]) -> None:
    """Ask as often as is wished at the moment, whatever the answers are."""
    async with grpc.aio.insecure_channel(address) as channel:
        stub: Any = WorkflowServiceStub(channel)  # type: ignore[arg-type]

        async def call() -> None:
            try:
                await stub.StartWorkflowExecution(start_request("loud"), timeout=5)
            except grpc.aio.AioRpcError as error:
                assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED, error

        async with asyncio.TaskGroup() as group:
            due = time.perf_counter()
            while True:
                if not per_s.value:
                    await asyncio.sleep(0.05)
                    due = time.perf_counter()
                    continue
                group.create_task(call())
                asked.value += 1
                due += 1 / per_s.value
                await asyncio.sleep(max(due - time.perf_counter(), 0))


def shouter(address: str, per_s: Synchronized[float], asked: Synchronized[int]) -> None:
    asyncio.run(shout(address, per_s, asked))


async def listen(address: str) -> list[float]:
    """Latencies of the quiet tenant's calls, in seconds. They come by chance, so that some meet."""
    latencies: list[float] = []
    chance = random.Random(1)
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
                due += chance.expovariate(QUIET_PER_S)
                await asyncio.sleep(max(due - time.perf_counter(), 0))
    return latencies


def p99_ms(latencies: list[float]) -> float:
    return statistics.quantiles(latencies, n=100)[98] * 1000


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
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
        per_s: Synchronized[float] = SPAWN.Value("d", 0)
        asked: Synchronized[int] = SPAWN.Value("q", 0)
        neighbour = SPAWN.Process(target=shouter, args=(node.address, per_s, asked), daemon=True)
        neighbour.start()
        await listen(node.address)  # warms it up
        seen: dict[float, list[float]] = {0: [], LOUD_LIMIT: [], EXCESS * LOUD_LIMIT: []}
        for _ in range(options.turns):
            for rate in seen:
                per_s.value, before, began_s = rate, asked.value, time.perf_counter()
                latencies = await listen(node.address)
                really = (asked.value - before) / (time.perf_counter() - began_s)
                per_s.value = 0
                seen[rate].append(p99_ms(latencies))
                print(f"neighbour asks {really:5.0f}/s, limit {LOUD_LIMIT}: p99 {seen[rate][-1]:.1f} ms", flush=True)
                await asyncio.sleep(REST_S)
        neighbour.terminate()
    alone, within, beyond = (statistics.median(each) for each in seen.values())
    print(f"p99 {alone:.1f} ms alone, {within:.1f} ms beside the neighbour at its limit, {beyond:.1f} ms beyond it")
    print(f"{EXCESS} times the limit move it to {beyond / within:.2f}x, the neighbour as such {beyond / alone:.2f}x")
    sys.exit(beyond / within >= MOVED_MAX)


if __name__ == "__main__":
    asyncio.run(main())
