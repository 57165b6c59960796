"""A cluster with tenants whose control plane, its database, or Redis goes away, and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import grpc.aio
import pytest
from prometheus_client.parser import text_string_to_metric_families

from perdure.auth import secrets
from perdure.infra.local.cluster import Node
from perdure.infra.local.postgres import LocalPostgres
from perdure.kernel.entropy import Entropy
from tests.support.postgres import suspended
from tests.support.tenants import Tenants, page, start_workflow, tenants, until

pytestmark = pytest.mark.timeout(180)

#: How long it takes at most until those who follow a database know that it is back, or away.
NOTICED_S_MAX = 20.0
#: What a change may take to hold everywhere if nobody is told of it, and so many processes share this machine.
UNTOLD_S_MAX = 5.0
#: Of a key that nobody has.
UNKNOWN = secrets.give(secrets.SecretKind.API_KEY, Entropy()).text


@asynccontextmanager
async def _stopped(server: LocalPostgres) -> AsyncIterator[None]:
    await asyncio.to_thread(server.kill)
    try:
        yield
    finally:
        await asyncio.to_thread(server.start)


@asynccontextmanager
async def _hanging(server: LocalPostgres) -> AsyncIterator[None]:
    with suspended(server):
        yield


async def _value(node: Node, metric: str) -> float:
    _, text = await page(node, "/metrics")
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return sum(sample.value for sample in samples if sample.name == metric)


@pytest.mark.parametrize("away", [_stopped, _hanging])
async def test_gateways_do_without_the_control_planes_database(tmp_path: Path, away: Callable[..., Any]) -> None:
    async with tenants(tmp_path, "history,matching,gateway", "control-plane") as there:
        gateway, control_plane = there.cluster.nodes
        await until("OK", lambda: there.with_key(gateway))
        await until("OK", lambda: there.with_certificate(gateway))
        async with away(there.control_database):
            for node in (gateway, control_plane):
                await until(0, lambda node=node: _value(node, "perdure_control_database_reachable"), NOTICED_S_MAX)
            # Who is known is let in as ever, over new connections too.
            assert await there.with_key(gateway) == await there.with_certificate(gateway) == "OK"
            assert (await page(gateway, "/healthz"))[0] == (await page(gateway, "/livez"))[0] == 200
            # Who is not may be new: nobody can tell.
            assert await there.with_key(gateway, UNKNOWN) == "UNAVAILABLE"
            # A process that starts now knows nobody. It lets nobody in, says so, and waits.
            late = await there.cluster.start("gateway")
            status, text = await page(late, "/healthz")
            assert status == 503
            assert "nobody is let in" in text
            assert (await page(late, "/livez"))[0] == 200
            assert await there.with_key(late) == await there.with_certificate(late) == "UNAVAILABLE"
            assert await start_workflow(late.address, there.by_key, there.namespace) == "UNAVAILABLE"
            with pytest.raises(grpc.aio.AioRpcError) as failure:
                await there.cloud(control_plane).call("GetNamespaces", {})
            assert failure.value.code().name in ("UNAVAILABLE", "DEADLINE_EXCEEDED")
        await until("OK", lambda: there.with_key(late), NOTICED_S_MAX)
        await until("OK", lambda: there.with_certificate(late))
        await until(200, lambda: _status(late), NOTICED_S_MAX)
        await until("UNAUTHENTICATED", lambda: there.with_key(gateway, UNKNOWN), NOTICED_S_MAX)
        await until(1, lambda: _value(gateway, "perdure_control_database_reachable"), NOTICED_S_MAX)
        # And changes are made again.
        cloud = there.cloud(control_plane)
        await cloud.change_namespace(there.namespace, retentionDays=3)
        await cloud.close()


async def _status(node: Node) -> int:
    return (await page(node, "/healthz"))[0]


async def test_a_control_plane_that_sleeps_in_the_midst_of_an_operation(tmp_path: Path) -> None:
    async with tenants(tmp_path, "history,matching,gateway", "control-plane") as there:
        gateway, asleep = there.cluster.nodes
        cloud = there.cloud(asleep)
        # Nobody can look at a namespace, so the operation stands still in the midst of it.
        (dsn,) = there.cluster.dsns.values()
        holding = await asyncpg.connect(dsn)
        lock = holding.transaction()
        await lock.start()
        await holding.execute("LOCK TABLE namespaces IN ACCESS EXCLUSIVE MODE")
        spec = {"name": "second", "retentionDays": 2, "apiKeyAuth": {"enabled": True}}
        begun = await cloud.call("CreateNamespace", {"spec": spec})
        await _waits_for_lock(holding)
        asleep.suspend()
        await lock.rollback()
        await cloud.close()
        # Another one takes over, and goes on from there.
        cloud = there.cloud(await there.cluster.start("control-plane"))
        await cloud.fulfilled(begun.async_operation.id)
        await cloud.change_namespace(begun.namespace, retentionDays=5)
        wished = await holding.fetchval("SELECT record FROM namespaces WHERE name = $1", begun.namespace)
        # The first one wakes up with an operation in its hands that is long done, and does no harm.
        asleep.resume()
        tried_again = "perdure_operations_finished_total"
        await until(2, lambda: _value(there.cluster.nodes[2], tried_again), NOTICED_S_MAX)
        before = await _value(asleep, "perdure_access_failures_total")
        await until(True, lambda: _is_fresh(asleep), NOTICED_S_MAX)
        await until(0, lambda: _value(asleep, "perdure_operations_pending"), NOTICED_S_MAX)
        assert await holding.fetchval("SELECT record FROM namespaces WHERE name = $1", begun.namespace) == wished
        assert await _value(asleep, "perdure_access_failures_total") >= before
        assert (await page(asleep, "/livez"))[0] == 200
        woken = there.cloud(asleep)
        await woken.change_namespace(begun.namespace, retentionDays=7)
        await woken.close()
        await cloud.close()
        await holding.close()
        await until("OK", lambda: start_workflow(gateway.address, there.by_key, begun.namespace, there.token))


async def _is_fresh(node: Node) -> bool:
    return await _value(node, "perdure_access_age_seconds") < 2


async def _waits_for_lock(connection: asyncpg.Connection) -> None:
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%namespaces%'"

    async def waiting() -> bool:
        return bool(await connection.fetchval(query))

    await until(True, waiting, NOTICED_S_MAX)


@pytest.mark.parametrize("how", ["gone", "silent"])
async def test_changes_hold_everywhere_without_redis(tmp_path: Path, how: str) -> None:
    roles = ("history,matching,gateway", "gateway", "control-plane", "control-plane")
    async with tenants(tmp_path, *roles) as there:
        redis, gateways = there.cluster.redis, there.cluster.with_role("gateway")
        assert redis is not None
        cloud = there.cloud(there.cluster.with_role("control-plane")[0])
        if how == "gone":
            redis.kill()
        else:
            redis.suspend()
        await _switch(there, cloud, gateways)
        await cloud.close()


async def _switch(there: Tenants, cloud: Any, gateways: list[Node]) -> None:
    """Keep API keys out, let them in, keep them out; each time it holds at all gateways."""
    for enabled, outcome in ((False, "PERMISSION_DENIED"), (True, "OK"), (False, "PERMISSION_DENIED")):
        await cloud.change_namespace(there.namespace, apiKeyAuth={"enabled": enabled})
        asked = (until(outcome, lambda node=node: there.with_key(node), UNTOLD_S_MAX) for node in gateways)
        await asyncio.gather(*asked)
