"""A backup of a cluster is of one instant, and comes back whole, to as many databases as there are."""

from __future__ import annotations

import asyncio
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from perdure.infra.backups import BackupFailed, back_up_cluster, restore_cluster
from perdure.infra.postgres.backup import BadBackup
from perdure.infra.postgres.maintenance import Busy, maintenance
from perdure.infra.postgres.schema import DIRECTORY_TABLES, SHARD_TABLES, migrate
from perdure.kernel.deployments.records import Deployment, Version
from perdure.kernel.ids import NamespaceId, NamespaceName, ShardId
from perdure.kernel.membership import Member, Role
from perdure.kernel.namespace import Namespace
from perdure.kernel.nexus import NexusEndpoint
from perdure.kernel.persistence.executions import CurrentRun
from perdure.kernel.persistence.task_queues import ConfigurationRecord, ConfiguredQueue
from perdure.kernel.visibility.parser import parse
from tests.support.postgres import PostgresForTests, PostgresStores, connected, opened
from tests.support.records import A_START, NAMESPACE, head, key, record, starts, visible, write

HERE, THERE = ShardId(3), ShardId(400)
NAMED = Namespace(id=NamespaceId(NAMESPACE), name=NamespaceName("orders"))
ENDPOINT = NexusEndpoint("e-1", "orders", NAMED.id, "orders")
QUEUE = ConfiguredQueue(NAMED.id, "orders", 1)
DEPLOYMENT = Deployment(NAMED.id, "shop", 5, version=1, versions={"1": Version("1", 5)})


async def append(stores: PostgresStores, epochs: Mapping[ShardId, int], shard: ShardId, sequence: int) -> None:
    run = key(f"of {shard}", f"run {shard}")
    await stores.executions.write(
        [
            write(
                shard=shard,
                journal=[record(run, sequence, sequence, 1, bytes(range(256)))],
                heads=[head(run, sequence)],
                current=[CurrentRun(run.workflow, run.run_id)],
                visibility=[visible(run.workflow_id, run.run_id, search_attributes={"Customer": "Ann"})],
                **A_START,
            )
        ],
        {shard: epochs[shard]},
    )


async def sequence_of(stores: PostgresStores, shard: ShardId) -> int:
    stored = await stores.executions.load(shard, key(f"of {shard}", f"run {shard}"))
    return stored.head.sequence if stored else 0


@pytest.fixture
async def dsns(postgres: PostgresForTests) -> dict[str, str]:
    return await postgres.empty(2)


@pytest.mark.parametrize("count", [1, 3])
async def test_everything_comes_back(
    postgres: PostgresForTests, dsns: dict[str, str], tmp_path: Path, count: int
) -> None:
    file = tmp_path / "backup"
    async with opened(dsns) as stores:
        await stores.cluster.identify("this cluster")
        await stores.namespaces.create(NAMED)
        await stores.deployments.write(DEPLOYMENT)
        await stores.endpoints.create(ENDPOINT)
        await stores.task_queues.write(ConfigurationRecord(QUEUE, 1, b"config"))
        await stores.shards.acquire([HERE], "before")
        epochs = await stores.shards.acquire([HERE, THERE], "owner")
        for shard in (HERE, THERE):
            for sequence in (1, 2):
                await append(stores, epochs, shard, sequence)
        queues = await stores.task_queues.changed_since(0)
        revision, _ = await stores.namespaces.changed_since(0)
        assert await back_up_cluster(dsns, file) == (2, None)
        await append(stores, epochs, HERE, 3)

    new = postgres.new(count)
    await migrate(new)
    assert await restore_cluster(new, file) == (2, None)
    async with opened(new) as stores:
        assert await stores.cluster.identify("another") == "this cluster"
        assert await stores.namespaces.by_name(NAMED.name) == NAMED
        assert await stores.deployments.changed_since(0) == (1, [DEPLOYMENT])
        assert await stores.endpoints.by_id(ENDPOINT.id) == ENDPOINT
        assert await stores.task_queues.changed_since(0) == queues
        assert (await stores.namespaces.changed_since(0))[0] == revision
        assert [await sequence_of(stores, shard) for shard in (HERE, THERE)] == [2, 2]
        assert await starts(stores.usage) == 4
        found = await stores.visibility.list(NAMESPACE, parse("", {}), 10, b"")
        assert {each.workflow_id for each in found.records} == {f"of {HERE}", f"of {THERE}"}
        assert [(lease.shard, lease.epoch, lease.owner) for lease in (await stores.shards.leases()).known] == [
            (HERE, 2, ""),
            (THERE, 1, ""),
        ]
        again = await stores.shards.acquire([HERE], "owner")
        assert again == {HERE: 3}
        await append(stores, again, HERE, 3)


async def test_no_table_of_the_directory_is_left_out(dsns: dict[str, str]) -> None:
    async with connected(next(iter(dsns.values()))) as connection:
        found = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    kept = {*DIRECTORY_TABLES, *DIRECTORY_TABLES.values()} - {None}
    # Of these, what is kept is in the manifest, or is about processes and databases that the backup does without.
    others = {
        "cluster",
        "origin",
        "members",
        "moves",
        "shards",
        "shard_map",
        "databases",
        "schema_versions",
        *SHARD_TABLES,
    }
    assert {name for (name,) in found} - others == kept


async def test_it_is_of_one_instant(postgres: PostgresForTests, dsns: dict[str, str], tmp_path: Path) -> None:
    """Of two chains of writes, each waits for the other's: neither can be ahead of the other by more than one."""
    stopped = False
    async with opened(dsns) as stores:
        epochs = await stores.shards.acquire([HERE, THERE], "owner")
        last = 0

        async def keep_writing() -> None:
            nonlocal last
            while not stopped:
                for shard in (HERE, THERE):
                    await append(stores, epochs, shard, last + 1)
                last += 1

        writing = asyncio.create_task(keep_writing())
        for number in range(5):
            before = last
            await back_up_cluster(dsns, tmp_path / f"{number}")
            new = postgres.new(2)
            await migrate(new)
            await restore_cluster(new, tmp_path / f"{number}")
            async with opened(new) as restored:
                here, there = [await sequence_of(restored, shard) for shard in (HERE, THERE)]
            assert before <= there <= here <= there + 1
        stopped = True
        await writing


async def test_a_backup_needs_an_empty_cluster_that_rests(
    postgres: PostgresForTests, dsns: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "backup"
    async with opened(dsns) as stores:
        epochs = await stores.shards.acquire([HERE], "owner")
        await append(stores, epochs, HERE, 1)
        await back_up_cluster(dsns, file)
        with pytest.raises(BadBackup, match="not empty"):
            await restore_cluster(dsns, file)
    with pytest.raises(BackupFailed, match="exists already"):
        await back_up_cluster(dsns, file)

    small = postgres.new(1)
    await migrate(small, shard_count=4)
    with pytest.raises(BadBackup, match=r"^the cluster has 4 shards, the backup has 512$"):
        await restore_cluster(small, file)

    new = postgres.new(1)
    await migrate(new)
    async with opened(new) as stores:
        await stores.members.beat(Member("alive", "address", frozenset({Role.HISTORY})), 60_000_000_000)
        with pytest.raises(BadBackup, match="is running"):
            await restore_cluster(new, file)
        await stores.members.leave("alive")
    async with maintenance(new):
        with pytest.raises(Busy):
            await restore_cluster(new, file)
    assert await restore_cluster(new, file) == (1, None)


async def test_a_damaged_backup_leaves_nothing_behind(
    postgres: PostgresForTests, dsns: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "backup"
    async with opened(dsns) as stores:
        epochs = await stores.shards.acquire([HERE, THERE], "owner")
        for shard in (HERE, THERE):
            await append(stores, epochs, shard, 1)
    await back_up_cluster(dsns, file)
    whole = file.read_bytes()
    with zipfile.ZipFile(file) as archive:
        member = archive.getinfo(f"shards/{THERE}/journal")
    new = postgres.new(2)
    await migrate(new)
    middle = member.header_offset + len(member.FileHeader()) + member.compress_size // 2
    for damaged in (
        whole[: len(whole) // 2],
        whole[:middle] + bytes([whole[middle] ^ 0xFF]) + whole[middle + 1 :],
    ):
        file.write_bytes(damaged)
        with pytest.raises((BadBackup, BackupFailed)):
            await restore_cluster(new, file)
    file.write_bytes(whole)
    assert await restore_cluster(new, file) == (2, None)


async def test_an_ended_backup_leaves_no_file(dsns: dict[str, str], tmp_path: Path) -> None:
    async with maintenance(dsns):
        with pytest.raises(Busy):
            await back_up_cluster(dsns, tmp_path / "backup")
    assert list(tmp_path.iterdir()) == []
