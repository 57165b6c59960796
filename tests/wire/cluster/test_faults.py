"""A cluster under load in which one part after the other dies, sleeps or is cut off. Nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client

from perdure.infra.local.cluster import LocalCluster
from perdure.infra.local.proxy import proxy
from tests.support.postgres import connected as connected_to
from tests.support.sdk import worker
from tests.support.usage import check_postgres
from tests.wire.sdk.load import Activities, Busy, Child, Driver, Heard, check
from tests.wire.sdk.test_crash import Acknowledgements

pytestmark = pytest.mark.timeout(240)

WORKFLOWS = 60
AT_ONCE = 15
ROLES = ("gateway", "gateway", "history", "history", "matching", "matching")
LEASE_S = 1.5

Fault = Callable[[LocalCluster, random.Random], Awaitable[None]]


async def kill(cluster: LocalCluster, role: str, chance: random.Random) -> None:
    """End one process of a role and start another."""
    await chance.choice(cluster.with_role(role)).kill()
    await cluster.start(role)


async def suspend(cluster: LocalCluster, role: str, chance: random.Random) -> None:
    """Put one process of a role to sleep for so long that the others take over; then it wakes up."""
    node = chance.choice(cluster.with_role(role))
    node.suspend()
    # The time is what the fault is made of: longer than a lease.
    await asyncio.sleep(2 * LEASE_S)
    node.resume()


async def replace(cluster: LocalCluster, role: str, chance: random.Random) -> None:
    """End one process of a role in peace, after another has come."""
    node = chance.choice(cluster.with_role(role))
    await cluster.start(role)
    assert await node.stop(signal.SIGTERM) == 0


async def restart_postgres(cluster: LocalCluster, chance: random.Random) -> None:
    await asyncio.to_thread(cluster.postgres.kill)
    await asyncio.to_thread(cluster.postgres.start)


async def restart_redis(cluster: LocalCluster, chance: random.Random) -> None:
    assert cluster.redis is not None
    await asyncio.to_thread(cluster.redis.kill)
    await asyncio.sleep(0.5)
    await asyncio.to_thread(cluster.redis.start)


async def cut_connections(cluster: LocalCluster, chance: random.Random) -> None:
    """In the middle of transactions too."""
    for dsn in cluster.dsns.values():
        async with connected_to(dsn) as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'perdure'"
            )


async def slow_disk(cluster: LocalCluster, chance: random.Random) -> None:
    """Every commit takes a tenth of a second for a while."""
    async with connected_to(cluster.dsns["db1"]) as connection:
        await connection.execute("ALTER SYSTEM SET commit_siblings = 0")
        await connection.execute("ALTER SYSTEM SET commit_delay = 100000")
        await connection.execute("SELECT pg_reload_conf()")
        # The time is what the fault is made of.
        await asyncio.sleep(2 * LEASE_S)
        await connection.execute("ALTER SYSTEM RESET commit_delay")
        await connection.execute("SELECT pg_reload_conf()")


def on(role: str, fault: Callable[[LocalCluster, str, random.Random], Awaitable[None]]) -> Fault:
    return lambda cluster, chance: fault(cluster, role, chance)


FAULTS: dict[str, Fault] = {
    "history-killed": on("history", kill),
    "matching-killed": on("matching", kill),
    "gateway-killed": on("gateway", kill),
    "history-suspended": on("history", suspend),
    "matching-suspended": on("matching", suspend),
    "history-replaced": on("history", replace),
    "matching-replaced": on("matching", replace),
    "postgres-restarted": restart_postgres,
    "redis-restarted": restart_redis,
    "connections-cut": cut_connections,
    "disk-slow": slow_disk,
}


@asynccontextmanager
async def connected(cluster: LocalCluster) -> AsyncIterator[Client]:
    """A client over all gateways, and a namespace for it."""
    async with proxy(lambda: [node.address for node in cluster.with_role("gateway")]) as balancer:
        client = await Client.connect(balancer.address)
        await register(client, "default")
        yield client


async def register(client: Client, namespace: str) -> None:
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace=namespace, workflow_execution_retention_period=Duration(seconds=86_400))
    )


async def under_load(
    client: Client, chance: random.Random, faults: Sequence[Callable[[], Awaitable[None]]], workflows: int = WORKFLOWS
) -> None:
    """Let one fault after the other happen while workflows run, at least so many, and check all of them in the end."""
    activities = Activities()
    acknowledgements = Acknowledgements()
    async with worker(
        client,
        [Busy, Child],
        [activities.once, activities.flaky],
        graceful_shutdown_timeout=timedelta(seconds=5),
    ) as running:
        driver = Driver(client, running.task_queue, acknowledgements.one_more)
        numbers, results = itertools.count(), dict[str, Heard]()
        over = asyncio.Event()

        async def drive() -> None:
            # There is load for as long as there are faults, however fast the cluster is.
            while not over.is_set() or len(results) < workflows:
                workflow_id = f"busy-{next(numbers)}"
                results[workflow_id] = await driver.drive(workflow_id)

        async with asyncio.timeout(150), asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(drive())
            for fault in faults:
                await acknowledgements.more(chance.randint(30, 110))
                await fault()
            over.set()
        await check(driver, results, activities.runs_of_once)


#: Some of the faults meet task queues of several partitions.
PARTITIONS = {"matching-killed": 3, "matching-replaced": 2}


@pytest.mark.parametrize("fault", FAULTS)
async def test_nothing_acknowledged_is_lost_or_done_twice(fault: str) -> None:
    chance = random.Random(fault)
    environment = {
        "PERDURE_LEASE_S": str(LEASE_S),
        "PERDURE_LOG_LEVEL": "warn",
        "PERDURE_LIMITS": json.dumps({"matching.numTaskqueueReadPartitions": PARTITIONS.get(fault, 1)}),
    }
    async with LocalCluster(environment=environment) as cluster:
        for roles in ROLES:
            await cluster.start(roles)
        async with connected(cluster) as client:
            await under_load(client, chance, [lambda: FAULTS[fault](cluster, chance)] * 2)
        await check_postgres(cluster.dsns.values())
