"""Who takes which shard, and when: with members that come and go as the test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from perdure.history import ownership
from perdure.history.ownership import SharedOwnership
from perdure.history.service import HistoryService
from perdure.infra.sqlite import SqliteDatabase, SqliteExecutionStore, SqliteShardStore
from perdure.kernel.clock import VirtualClock
from perdure.kernel.entropy import Entropy
from perdure.kernel.ids import ShardId
from perdure.kernel.limits import Limits
from perdure.kernel.membership import Member, Role, owner, shard_item
from perdure.kernel.news import NoNews
from perdure.kernel.persistence.executions import StoreUnavailable
from perdure.kernel.persistence.shards import ShardLease
from perdure.kernel.runtime import Runtime
from tests.simulation.cluster import Directory
from tests.support import virtual_time

LEASE_S = 3.0
SHARD_COUNT = 8
ME, OTHER = (Member(name, name, frozenset({Role.HISTORY})) for name in ("me", "other"))
#: Those of this process if both are there.
MINE = {ShardId(n) for n in range(SHARD_COUNT) if owner(shard_item(ShardId(n)), [ME, OTHER]) == ME}


class Members:
    """Implements `Membership`. `now` is who is there, and is known from the next look on."""

    me = ME

    def __init__(self) -> None:
        self.now: Sequence[Member] = [ME]
        self.members: Sequence[Member] = [ME]
        self.lease_ends_s = 0.0
        self._listeners: list[Callable[[], None]] = []

    def listen(self, looked: Callable[[], None]) -> None:
        self._listeners.append(looked)

    def look(self) -> None:
        self.members = self.now
        self.lease_ends_s = asyncio.get_running_loop().time() + LEASE_S
        for looked in self._listeners:
            looked()

    async def refresh(self) -> None:
        self.look()


class Shards(SqliteShardStore):
    """Can be unreadable."""

    readable = True
    #: What happens at the next looks.
    failures: Sequence[Exception] = ()

    async def leases(self) -> Sequence[ShardLease]:
        if self.failures:
            failure, *self.failures = self.failures
            raise failure
        if not self.readable:
            raise StoreUnavailable("the disk is away")
        return await super().leases()


class Bench:
    def __init__(self, database: SqliteDatabase, clock: VirtualClock) -> None:
        self.members = Members()
        self.shards = Shards(database)
        executions = SqliteExecutionStore(database)
        self.service = HistoryService(
            Runtime(clock, Entropy(1)),
            Limits(),
            executions,
            self.shards,
            Directory(),
            SHARD_COUNT,
            ME.id,
        )
        self.ownership = SharedOwnership(self.service.engine, self.shards, self.members, NoNews())

    @property
    def owned(self) -> set[ShardId]:
        return set(self.service.engine.shards)

    async def beat(self, until: Callable[[], bool]) -> None:
        """Let time pass, with a look each half a second, until something holds."""
        while not until():
            self.members.look()
            await asyncio.sleep(0.5)


def with_ownership(main: Callable[[Bench], Coroutine[Any, Any, None]]) -> None:
    clock = VirtualClock()

    async def body() -> None:
        database = SqliteDatabase.open(None)
        bench = Bench(database, clock)
        async with asyncio.timeout(60):
            await main(bench)
        await bench.ownership.stop()
        await bench.service.stop()
        await database.close()

    virtual_time.run(clock, body())


def test_the_shards_of_an_owner_that_is_new_to_us_are_left_to_him() -> None:
    async def main(bench: Bench) -> None:
        theirs = {ShardId(n) for n in range(SHARD_COUNT)} - MINE
        await bench.shards.acquire(sorted(theirs), OTHER.id)
        bench.members.look()
        bench.members.now = [ME, OTHER]
        await bench.ownership.start()
        assert bench.owned == MINE

    with_ownership(main)


def test_a_living_owner_has_time_to_give_a_shard_back() -> None:
    async def main(bench: Bench) -> None:
        await bench.shards.acquire([ShardId(n) for n in range(SHARD_COUNT)], OTHER.id)
        bench.members.now = [ME, OTHER]
        bench.members.look()
        began = asyncio.get_running_loop().time()
        await bench.ownership.start()
        assert not bench.owned
        await bench.beat(lambda: bench.owned == MINE)
        assert asyncio.get_running_loop().time() - began > ownership.PATIENCE_S > LEASE_S

    with_ownership(main)


def test_what_others_are_to_have_is_not_shown_though_the_store_cannot_be_read() -> None:
    async def main(bench: Bench) -> None:
        bench.members.look()
        await bench.ownership.start()
        assert len(bench.owned) == SHARD_COUNT
        bench.shards.readable = False
        bench.members.now = [ME, OTHER]
        await bench.beat(lambda: bench.owned == MINE)

    with_ownership(main)


def test_shards_are_looked_after_when_a_look_has_failed_in_any_way() -> None:
    async def main(bench: Bench) -> None:
        bench.members.look()
        await bench.ownership.start()
        bench.shards.failures = [RuntimeError("a bug"), StoreUnavailable("away")]
        bench.members.now = [ME, OTHER]
        await bench.beat(lambda: bench.owned == MINE)
        await bench.beat(lambda: not bench.shards.failures)
        bench.members.now = [ME]
        await bench.beat(lambda: len(bench.owned) == SHARD_COUNT)

    with_ownership(main)
