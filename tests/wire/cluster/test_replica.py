"""A cluster whose database is replicated and archived by Postgres: it fails over, and is recovered to an instant."""

from __future__ import annotations

import asyncio
import random
import shutil
from pathlib import Path

import pytest
from temporalio.client import Client

from perdure.infra.local.cluster import LocalCluster
from perdure.infra.local.postgres import USER, LocalPostgres
from tests.support.postgres import connected as connected_to
from tests.wire.cluster.test_faults import LEASE_S, connected, under_load
from tests.wire.sdk.restoring import back_up_under_load

pytestmark = pytest.mark.timeout(240)

ENVIRONMENT = {"PERDURE_LEASE_S": str(LEASE_S), "PERDURE_LOG_LEVEL": "error"}
PROCESSES = ("gateway,matching", "history", "history")
WORKFLOWS = 20

IS_SYNCHRONOUS = "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'sync')"


async def start(cluster: LocalCluster) -> None:
    for roles in PROCESSES:
        await cluster.start(roles)


def synchronous_replica(primary: LocalPostgres) -> LocalPostgres:
    """Of a server that is told to wait for it from its next reload on."""
    replica = LocalPostgres(copy_of=primary)
    replica.configure({"primary_conninfo": f"host={primary.directory} user={USER}"})
    replica.recover("standby")
    primary.configure({"synchronous_standby_names": "*"})
    return replica


async def until(dsn: str, question: str, *arguments: object) -> None:
    """Until the answer is yes."""
    async with connected_to(dsn) as connection:
        while not await connection.fetchval(question, *arguments):
            pass


async def test_nothing_acknowledged_is_lost_when_a_replica_takes_over() -> None:
    async with LocalCluster(databases=1, environment=ENVIRONMENT) as cluster:
        primary, dsn = cluster.postgres, cluster.dsns["db1"]
        with synchronous_replica(primary) as replica:
            async with connected_to(dsn) as connection:
                await connection.execute("SELECT pg_reload_conf()")
            await until(dsn, IS_SYNCHRONOUS)
            cluster.dsns["db1"] = f"{dsn},{replica.directory}&target_session_attrs=read-write"
            await start(cluster)

            async def fail_over() -> None:
                await asyncio.to_thread(primary.kill)
                async with connected_to(replica.dsn("db1")) as connection:
                    assert await connection.fetchval("SELECT pg_promote()")

            async with connected(cluster) as client:
                await under_load(client, random.Random(1), [fail_over], WORKFLOWS)


async def archived(server: LocalPostgres) -> Path:
    """Have a server keep its write-ahead log; where."""
    archive = server.directory / "archive"
    archive.mkdir()
    if server.account:
        shutil.chown(archive, server.account)
    server.configure({"archive_mode": "on", "archive_command": f"cp %p {archive}/%f"})
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)
    return archive


async def test_nothing_acknowledged_before_the_instant_of_a_recovery_is_lost() -> None:
    async with LocalCluster(environment=ENVIRONMENT) as cluster:
        dsn = cluster.dsns["db1"]
        archive = await archived(cluster.postgres)
        copy = await asyncio.to_thread(LocalPostgres, copy_of=cluster.postgres)
        await start(cluster)
        instants: list[str] = []

        async def note_instant() -> None:
            async with connected_to(dsn) as connection:
                instants.append(await connection.fetchval("SELECT clock_timestamp()::text"))

        async with connected(cluster) as client:
            promises = await back_up_under_load(client, note_instant)
        for node in cluster.nodes:
            await node.kill()
        async with connected_to(dsn) as connection:
            last = await connection.fetchval("SELECT pg_walfile_name(pg_switch_wal())")
        await until(dsn, "SELECT last_archived_wal >= $1 FROM pg_stat_archiver", last)
        copy.configure(
            {
                "archive_mode": "off",
                "restore_command": f"cp {archive}/%f %p",
                "recovery_target_time": instants[0],
                "recovery_target_action": "promote",
            }
        )
        copy.recover("recovery")
        with copy as recovered:
            cluster.dsns = {name: recovered.dsn(name) for name in cluster.dsns}
            await until(cluster.dsns["db1"], "SELECT NOT pg_is_in_recovery()")
            await start(cluster)
            await promises.check(await Client.connect(cluster.with_role("gateway")[0].address))
