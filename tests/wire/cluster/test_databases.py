"""A cluster under load of which one database is out of reach: what is in the other one goes on being served."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import grpc.aio
import pytest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest

from perdure.infra.local.cluster import LocalCluster
from perdure.infra.local.postgres import LocalPostgres
from perdure.kernel.ids import NamespaceId, WorkflowId
from perdure.kernel.membership import shard_of
from tests.support.postgres import suspended
from tests.wire.cluster.probes import NAMESPACE, Probes
from tests.wire.cluster.test_faults import LEASE_S, connected, register, under_load

pytestmark = pytest.mark.timeout(240)

PROCESSES = ("gateway,matching", "history", "history")
#: The lower half of them is in the first database.
SHARDS = 512
WORKFLOWS = 20


@asynccontextmanager
async def stopped(server: LocalPostgres) -> AsyncIterator[None]:
    """Connections are refused."""
    await asyncio.to_thread(server.kill)
    try:
        yield
    finally:
        await asyncio.to_thread(server.start)


@asynccontextmanager
async def silent(server: LocalPostgres) -> AsyncIterator[None]:
    """Connections hang."""
    with suspended(server):
        yield


@pytest.mark.parametrize("out_of_reach", [stopped, silent])
async def test_one_of_two_databases_is_out_of_reach(
    out_of_reach: Callable[[LocalPostgres], AbstractAsyncContextManager[None]],
) -> None:
    environment = {"PERDURE_LEASE_S": str(LEASE_S), "PERDURE_LOG_LEVEL": "warn"}
    async with LocalCluster(servers=2, environment=environment) as cluster:
        for roles in PROCESSES:
            await cluster.start(roles)
        gateway = cluster.with_role("gateway")[0].address
        async with connected(cluster) as client, grpc.aio.insecure_channel(gateway) as channel:
            await register(client, NAMESPACE)
            described = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=NAMESPACE))
            namespace_id = NamespaceId(described.namespace_info.id)

            def is_in_first(workflow_id: str) -> bool:
                return shard_of(namespace_id, WorkflowId(workflow_id), SHARDS) < SHARDS // 2

            async def fault() -> None:
                async with out_of_reach(cluster.servers[1]):
                    of_first = Probes(channel, is_in_first)
                    await of_first.recover()
                    # Shards of both databases lose their owner, and find another in one of them.
                    await cluster.with_role("history")[0].kill()
                    await of_first.recover()
                    await cluster.start("history")
                    await of_first.recover()
                await Probes(channel, lambda name: not is_in_first(name)).recover()

            await under_load(client, random.Random(out_of_reach.__name__), [fault], WORKFLOWS)
