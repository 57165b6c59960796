"""What happens to the stores when Postgres, or the way to it, goes away."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from perdure.infra.local.postgres import LocalPostgres
from perdure.infra.postgres import database, membership
from perdure.infra.postgres.schema import migrate
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.ids import ShardId
from perdure.kernel.membership import Member, Role
from perdure.kernel.persistence.executions import StoreUnavailable, StoreUnusable
from tests.support.disk import small_disk
from tests.support.postgres import PostgresForTests, PostgresStores, blocked, connected, opened
from tests.support.records import SHARD, head, key, record, write

T = TypeVar("T")

WAITING_FOR_REPLICA = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


async def begin(stores: PostgresStores, run_id: str, epochs: Mapping[ShardId, int]) -> None:
    run = key(run_id=run_id)
    await stores.executions.write([write(journal=[record(run, 1, 1, 1)], heads=[head(run)])], epochs)


async def at_last(attempt: Callable[[], Awaitable[T]]) -> T:
    """The result of the first attempt that Postgres answers."""
    while True:
        try:
            return await attempt()
        except StoreUnavailable as error:
            assert not isinstance(error, StoreUnusable)


async def test_stores_recover_from_a_restart() -> None:
    with LocalPostgres() as server:
        dsns = {"main": server.create_database("main")}
        await migrate(dsns)
        async with opened(dsns) as stores:
            epochs = await stores.shards.acquire([SHARD], "owner")
            await begin(stores, "before", epochs)
            server.kill()
            with pytest.raises(StoreUnavailable) as caught:
                await begin(stores, "meanwhile", epochs)
            assert not isinstance(caught.value, StoreUnusable)
            with pytest.raises(StoreUnavailable):
                await stores.executions.load(SHARD, key(run_id="before"))

            server.start()
            assert await at_last(lambda: stores.executions.load(SHARD, key(run_id="before"))) is not None
            assert await stores.executions.load(SHARD, key(run_id="meanwhile")) is None
            await at_last(lambda: begin(stores, "after", epochs))
            assert await stores.executions.load(SHARD, key(run_id="after")) is not None


async def test_a_connection_cut_in_a_transaction(postgres: PostgresForTests) -> None:
    dsns = await postgres.empty(1)
    async with opened(dsns) as stores:
        epochs = await stores.shards.acquire([SHARD], "owner")
        async with connected(dsns["main"]) as other, other.transaction():
            await other.execute("SELECT FROM shards WHERE shard = $1 FOR UPDATE", SHARD)
            writing = asyncio.create_task(begin(stores, "cut", epochs))
            await other.execute("SELECT pg_terminate_backend($1)", await blocked(dsns["main"]))
            with pytest.raises(StoreUnavailable):
                await writing

        assert await stores.executions.load(SHARD, key(run_id="cut")) is None
        await begin(stores, "next", epochs)
        assert await stores.executions.load(SHARD, key(run_id="next")) is not None


class Way:
    """The way to a Postgres, through a socket of our own."""

    def __init__(self, server: Path) -> None:
        self._server = server
        #: Whether what the server says arrives, and whether what we say does.
        self.answers = True
        self.reaches = True
        self._writers: list[asyncio.StreamWriter] = []
        self._answered = asyncio.Event()

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_unix_connection(str(self._server))
        self._writers += [writer, server_writer]

        async def back() -> None:
            while data := await server_reader.read(65536):
                if self.answers:
                    writer.write(data)
                else:
                    self._answered.set()
            writer.close()

        answering = asyncio.create_task(back())
        while data := await reader.read(65536):
            if self.reaches:
                server_writer.write(data)
        answering.cancel()
        server_writer.close()

    async def lost_answer(self) -> None:
        """Return when the server has said something that did not arrive."""
        await self._answered.wait()

    def cut(self) -> None:
        for writer in self._writers:
            writer.close()
        self._writers.clear()


@asynccontextmanager
async def way_to(server: LocalPostgres, directory: Path) -> AsyncIterator[Way]:
    way = Way(server.directory / ".s.PGSQL.5432")
    listener = await asyncio.start_unix_server(way.pass_on, str(directory / ".s.PGSQL.5432"))
    try:
        yield way
    finally:
        way.cut()
        listener.close()


def by_way_of(directory: Path, dsns: dict[str, str]) -> dict[str, str]:
    return {name: f"{dsn.partition('?')[0]}?host={directory}" for name, dsn in dsns.items()}


async def test_a_commit_whose_answer_is_lost_may_have_happened(postgres: PostgresForTests, tmp_path: Path) -> None:
    dsns = await postgres.empty(1)
    async with way_to(postgres.server, tmp_path) as way, opened(by_way_of(tmp_path, dsns)) as stores:
        epochs = await stores.shards.acquire([SHARD], "owner")
        await begin(stores, "first", epochs)
        way.answers = False
        writing = asyncio.create_task(begin(stores, "unknown", epochs))
        await way.lost_answer()
        way.cut()
        with pytest.raises(StoreUnavailable):
            await writing
        way.answers = True
        assert await stores.executions.load(SHARD, key(run_id="unknown")) is not None


async def test_nobody_waits_for_ever_for_a_server_that_says_nothing(
    postgres: PostgresForTests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsns = await postgres.empty(1)
    async with way_to(postgres.server, tmp_path) as way, opened(by_way_of(tmp_path, dsns)) as stores:
        epochs = await stores.shards.acquire([SHARD], "owner")
        await begin(stores, "first", epochs)
        monkeypatch.setattr(database, "OPERATION_S_MAX", 0.05)
        way.reaches = False
        for attempt in (
            begin(stores, "lost", epochs),
            stores.executions.load(SHARD, key(run_id="first")),
            stores.shards.acquire([SHARD], "owner"),
            stores.shards.leases(),
        ):
            with pytest.raises(StoreUnavailable, match="no answer"):
                await attempt
        monkeypatch.undo()
        way.cut()
        way.reaches = True
        assert await stores.executions.load(SHARD, key(run_id="first")) is not None
        await begin(stores, "second", epochs)


async def test_nobody_waits_for_ever_in_a_transaction(
    postgres: PostgresForTests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsns = await postgres.empty(1)
    async with way_to(postgres.server, tmp_path) as way, opened(by_way_of(tmp_path, dsns)) as stores:
        epochs = await stores.shards.acquire([SHARD], "owner")
        await begin(stores, "first", epochs)
        run = key(run_id="first")
        in_two_statements = [write(deleted=[run]), write(journal=[record(run, 1, 1, 1)], heads=[head(run)])]
        monkeypatch.setattr(database, "OPERATION_S_MAX", 1.0)
        async with connected(dsns["main"]) as other, other.transaction():
            await other.execute("SELECT FROM shards WHERE shard = $1 FOR UPDATE", SHARD)
            writing = asyncio.create_task(stores.executions.write(in_two_statements, epochs))
            await blocked(dsns["main"])
            way.reaches = False
            done, _ = await asyncio.wait([writing], timeout=10)
        way.cut()
        assert done
        assert isinstance(writing.exception(), StoreUnavailable)


async def test_a_beat_leaves_time_for_another_one_in_its_lease(
    postgres: PostgresForTests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(membership, "BEAT_S_MIN", 0.05)
    dsns = await postgres.empty(1)
    me = Member("me", "me", frozenset(Role))
    async with way_to(postgres.server, tmp_path) as way, opened(by_way_of(tmp_path, dsns)) as stores:
        await stores.members.beat(me, 3 * SECOND_NS)
        way.reaches = False
        with pytest.raises(StoreUnavailable, match=r"no answer within 0\.1 s"):
            await stores.members.beat(me, 3 * SECOND_NS // 10)
        with pytest.raises(StoreUnavailable, match=r"no answer within 0\.05 s"):
            await stores.members.leave(me.id)
        way.reaches = True
        assert await stores.members.beat(me, 60 * SECOND_NS) == [me], "on another connection"


async def test_what_does_not_heal_is_told_apart(postgres: PostgresForTests) -> None:
    dsns = postgres.new(1)
    await migrate(dsns)
    async with opened(dsns) as stores:
        epochs = await stores.shards.acquire([SHARD], "owner")
        async with connected(dsns["main"]) as connection:
            await connection.execute("DROP TABLE heads")
        with pytest.raises(StoreUnusable, match="heads"):
            await begin(stores, "first", epochs)


async def test_a_full_disk_heals(tmp_path: Path) -> None:
    """Another server, since its data is on that disk, but for the write-ahead log: without that Postgres ends."""
    with LocalPostgres() as server:
        folder = server.directory / "small"
        folder.mkdir()
        with small_disk(folder, 8) as disk:
            dsns = {"main": server.create_database("main")}
            await migrate(dsns)
            space = folder / "space"
            space.mkdir()
            if server.account:
                shutil.chown(space, server.account)
            async with connected(dsns["main"]) as connection:
                await connection.execute(f"CREATE TABLESPACE small LOCATION '{space}'")
                await connection.execute("ALTER TABLE journal SET TABLESPACE small")
            async with opened(dsns) as stores:
                epochs = await stores.shards.acquire([SHARD], "owner")
                await begin(stores, "before", epochs)
                disk.fill()
                acknowledged = ["before"]
                with pytest.raises(StoreUnavailable, match="No space left") as caught:
                    while True:
                        await begin(stores, f"meanwhile-{len(acknowledged)}", epochs)
                        acknowledged.append(f"meanwhile-{len(acknowledged)}")
                assert not isinstance(caught.value, StoreUnusable)
                disk.make_room()
                await begin(stores, "after", epochs)
                for run_id in (*acknowledged, "after"):
                    assert await stores.executions.load(SHARD, key(run_id=run_id)) is not None
                assert await stores.executions.load(SHARD, key(run_id=f"meanwhile-{len(acknowledged)}")) is None
            async with connected(dsns["main"]) as connection:
                await connection.execute("ALTER TABLE journal SET TABLESPACE pg_default")


async def test_what_waits_for_a_replica_is_not_shown_because_we_gave_up(postgres: PostgresForTests) -> None:
    """If it was cancelled, Postgres would show a commit that a fail-over may still lose."""
    dsns = await postgres.empty(1)
    async with opened(dsns) as stores, connected(dsns["main"]) as operator:
        epochs = await stores.shards.acquire([SHARD], "owner")
        await operator.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        await operator.execute("SELECT pg_reload_conf()")
        try:
            for number in itertools.count():
                last = f"run-{number}"
                writing = asyncio.create_task(begin(stores, last, epochs))
                while not writing.done() and not await operator.fetchval(WAITING_FOR_REPLICA):
                    pass
                if not writing.done():
                    break
            writing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await writing
            # A connection that was made later than one that cancels something.
            async with connected(dsns["main"]) as observer:
                assert await observer.fetchval(WAITING_FOR_REPLICA) == 1
            assert await stores.executions.load(SHARD, key(run_id=last)) is None
        finally:
            await operator.execute("ALTER SYSTEM RESET synchronous_standby_names")
            await operator.execute("SELECT pg_reload_conf()")
        while await stores.executions.load(SHARD, key(run_id=last)) is None:
            pass
