"""A cluster that has much in store against the same cluster when it was empty.

    python -m loadtests.filled --stored 1000000 --open 100000 --namespaces 1000

Two workflows are run for real, one to its end and one that goes on waiting. Their rows are copied, under other ids,
for as many workflows as are wanted, spread over namespaces and shards. Measured are the workload before and after, and
how long a process takes, that owned everything and was killed, until it serves again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import asyncpg
import psutil
from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from loadtests.driver import Driver, driving
from loadtests.measure import Sample
from loadtests.workloads import ACTIVITIES, TASK_QUEUE, WORKFLOWS, Hot, OneActivity
from perdure.infra.local.cluster import LocalCluster, Node
from perdure.kernel.ids import NamespaceId, WorkflowId
from perdure.kernel.membership import shard_of

SHARDS = 512
TABLES = ("journal", "heads", "current_runs", "snapshots", "visibility")
ROLES = "gateway,history,matching"
UNITS, CONCURRENCY = 600, 50
_CHUNK = 20_000
_OF_RUN = "namespace_id = $1 AND workflow_id = $2"


class Template(NamedTuple):
    """The rows of a workflow by table; the first five columns of each say whose they are."""

    rows: dict[str, list[dict[str, Any]]]

    def copies(self, table: str, ids: Sequence[tuple[int, str, str, str]]) -> Iterator[tuple[Any, ...]]:
        for shard, namespace_id, run_id, workflow_id in ids:
            for row in self.rows[table]:
                named = {"shard": shard, "namespace_id": namespace_id, "run_id": run_id, "workflow_id": workflow_id}
                yield tuple({**row, **named}.values())


async def template(connection: asyncpg.Connection, namespace_id: str, workflow_id: str) -> Template:
    rows = {}
    for table in TABLES:
        found = await connection.fetch(f"SELECT * FROM {table} WHERE {_OF_RUN}", namespace_id, workflow_id)
        rows[table] = [dict(row) for row in found]
    return Template(rows)


async def fill(dsn: str, namespaces: Sequence[str], of: Template, count: int, prefix: str) -> None:
    """Store copies, spread evenly."""
    connection = await asyncpg.connect(dsn)
    # Run ids begin with their time, which here is some time of the past day.
    now_ms = time.time_ns() // 1_000_000
    chance = random.Random(prefix)
    for start in range(0, count, _CHUNK):
        ids = []
        for number in range(start, min(start + _CHUNK, count)):
            namespace_id, workflow_id = namespaces[number % len(namespaces)], f"{prefix}-{number}"
            made_ms = now_ms - chance.randrange(86_400_000)
            run_id = str(uuid.UUID(int=made_ms << 80 | 7 << 76 | 2 << 62 | chance.getrandbits(62)))
            shard = shard_of(NamespaceId(namespace_id), WorkflowId(workflow_id), SHARDS)
            ids.append((shard, namespace_id, run_id, workflow_id))
        async with connection.transaction():
            for table in TABLES:
                if of.rows[table]:
                    await connection.copy_records_to_table(
                        table, records=of.copies(table, ids), columns=list(of.rows[table][0])
                    )
    await connection.close()


async def templates(client: Client, connection: asyncpg.Connection, namespace_id: str) -> tuple[Template, Template]:
    """One that has ended, and one that is waiting."""
    async with Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=WORKFLOWS,
        activities=ACTIVITIES,
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        await client.execute_workflow(OneActivity.run, "x", id="ended", task_queue=TASK_QUEUE)
        waiting = await client.start_workflow(Hot.run, 10, id="waiting", task_queue=TASK_QUEUE)
        await waiting.signal(Hot.poke)
        async for event in waiting.fetch_history_events(wait_new_event=True):
            # The task after the signal is done: it waits for more of them.
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED and event.event_id > 5:
                break
    return await template(connection, namespace_id, "ended"), await template(connection, namespace_id, "waiting")


def measured(node: Node, driver: Driver) -> Sample:
    process = psutil.Process(node.process.pid)
    before = sum(process.cpu_times()[:2])
    answer = driver.ask("workload", name="fifty", units=UNITS, concurrency=CONCURRENCY)
    return Sample(UNITS, answer["seconds"], answer["latencies"], sum(process.cpu_times()[:2]) - before)


async def sampled(node: Node, turns: int) -> list[Sample]:
    def drive() -> list[Sample]:
        with driving(node.address) as driver:
            driver.ask("workload", name="fifty", units=150, concurrency=50)  # warms both sides up
            return [measured(node, driver) for _ in range(turns)]

    return await asyncio.to_thread(drive)


def median(samples: Sequence[Sample]) -> tuple[float, float, float]:
    """Workflows per second, milliseconds of CPU for one, and the 99th percentile of latency."""
    middle = len(samples) // 2
    return (
        sorted(sample.per_second for sample in samples)[middle],
        sorted(sample.cpu_ms for sample in samples)[middle],
        sorted(sample.latency_ms(99) for sample in samples)[middle],
    )


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--stored", type=int, default=1_000_000)
    parser.add_argument("--open", type=int, default=100_000, dest="waiting")
    parser.add_argument("--namespaces", type=int, default=1_000)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    limits = json.dumps({"frontend.globalNamespaceRPS.namespaceReplicationInducingAPIs": 10_000})
    environment = {"PERDURE_LOG_LEVEL": "error", "PERDURE_NAMESPACE_LIMITS": limits}
    async with LocalCluster(databases=1, environment=environment) as cluster:
        (dsn,) = cluster.dsns.values()
        connection = await asyncpg.connect(dsn)
        node = await cluster.start(ROLES)
        client = await Client.connect(node.address)
        for name in ("default", *(f"tenant-{number}" for number in range(options.namespaces))):
            await client.workflow_service.register_namespace(
                RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=Duration(seconds=864_000))
            )
        ids = dict(await connection.fetch("SELECT name, namespace_id FROM namespaces"))
        ended, waiting = await templates(client, connection, ids.pop("default"))
        empty = await sampled(node, options.turns)

        began = time.perf_counter()
        tenants = list(ids.values())
        await fill(dsn, tenants, ended, options.stored - options.waiting, "ended")
        await fill(dsn, tenants, waiting, options.waiting, "waiting")
        await connection.execute("VACUUM ANALYZE")
        print(f"stored {options.stored} in {time.perf_counter() - began:.0f} s", flush=True)
        full = await sampled(node, options.turns)

        await node.kill()
        began = time.perf_counter()
        node = await cluster.start(ROLES)
        client = await Client.connect(node.address, namespace="tenant-0")
        await client.get_workflow_handle("waiting-0").describe()
        first_s = time.perf_counter() - began
        memory_mb = psutil.Process(node.process.pid).memory_info().rss / 1e6
        await asyncio.gather(
            *(client.get_workflow_handle(f"waiting-{number * len(tenants)}").describe() for number in range(50))
        )
        print(f"killed and started again: first answer after {first_s:.1f} s (process start included)")
        print(f"memory then {memory_mb:.0f} MB")
        again = await sampled(node, 1)
        memory_mb = psutil.Process(node.process.pid).memory_info().rss / 1e6
        print(f"memory after {UNITS} workflows {memory_mb:.0f} MB")

        for what, samples in (("empty", empty), ("full", full), ("full, after the restart", again)):
            per_second, cpu_ms, p99_ms = median(samples)
            print(f"{what}: {per_second:.0f}/s, {cpu_ms:.2f} ms of CPU each, p99 {p99_ms:.0f} ms")
        slower, later = median(empty)[0] / median(full)[0], median(full)[2] / median(empty)[2]
        print(f"full against empty: throughput {slower:.2f}x less, p99 {later:.2f}x more")


if __name__ == "__main__":
    asyncio.run(main())
