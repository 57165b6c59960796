"""How calls fare while a cluster changes: processes replaced one after the other, and owners of shards killed.

    python -m loadtests.failover

Calls come at a fixed rate, whatever becomes of those before, over the official SDK, which repeats what is UNAVAILABLE.
Each is about a workflow of its own, so that together they are about all shards.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from perdure.infra.local.cluster import LocalCluster
from perdure.infra.local.proxy import proxy

CALLS_PER_S = 60
SETTLED_S = 3.0


@dataclass
class Calls:
    """What became of calls: when each began, how long it took, and what it failed with."""

    began: list[float] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def report(self, what: str) -> str:
        took = sorted(self.took)
        p50, p99 = took[len(took) // 2], took[int(len(took) * 0.99)]
        return (
            f"{what}: {len(took)} calls, p50 {p50 * 1e3:.0f} ms, p99 {p99 * 1e3:.0f} ms, "
            f"longest {took[-1] * 1e3:.0f} ms, {len(self.failed)} failed {sorted(set(self.failed))}"
        )


async def under_load(client: Client, change: Callable[[], Awaitable[None]]) -> Calls:
    """Call at the fixed rate from a moment before the change until a moment after it."""
    calls = Calls()
    numbers = itertools.count()
    run = f"{time.time():.0f}"

    async def call() -> None:
        began = time.perf_counter()
        try:
            handle = await client.start_workflow("Any", id=f"{run}-{next(numbers)}", task_queue="nobody")
            await handle.signal("hello")
            await handle.describe()
        except RPCError as error:
            calls.failed.append(error.status.name)
        else:
            calls.began.append(began)
            calls.took.append(time.perf_counter() - began)

    async def keep_calling(group: asyncio.TaskGroup, done: asyncio.Event) -> None:
        due = time.perf_counter()
        while not done.is_set():
            group.create_task(call())
            due += 1 / CALLS_PER_S
            await asyncio.sleep(max(due - time.perf_counter(), 0))

    done = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(keep_calling(group, done))
        await asyncio.sleep(SETTLED_S)
        await change()
        await asyncio.sleep(SETTLED_S)
        done.set()
    return calls


async def main() -> None:
    chance = random.Random(1)
    async with LocalCluster(environment={"PERDURE_LOG_LEVEL": "error"}) as cluster:
        for role in ("gateway", "gateway", "history", "history", "matching", "matching"):
            await cluster.start(role)
        async with proxy(lambda: [node.address for node in cluster.with_role("gateway")]) as balancer:
            client = await Client.connect(balancer.address)
            await client.workflow_service.register_namespace(
                RegisterNamespaceRequest(
                    namespace="default", workflow_execution_retention_period=Duration(seconds=86_400)
                )
            )

            async def nothing() -> None:
                await asyncio.sleep(SETTLED_S)

            def replaced(role: str) -> Callable[[], Awaitable[None]]:
                async def change() -> None:
                    for node in cluster.with_role(role):
                        await cluster.start(role)
                        await node.stop(signal.SIGTERM)

                return change

            async def killed() -> None:
                await chance.choice(cluster.with_role("history")).kill()

            wanted = sys.argv[1:]
            for what, change in (
                ("no change", nothing),
                ("history replaced", replaced("history")),
                ("matching replaced", replaced("matching")),
                ("gateways replaced", replaced("gateway")),
                ("an owner of shards killed", killed),
            ):
                if not wanted or any(word in what for word in wanted):
                    print((await under_load(client, change)).report(what), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
