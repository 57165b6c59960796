"""Who takes which shard, and when: with members that come and go as the test says."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence, Set
from typing import Any

import pytest

from perdure.history import ownership
from perdure.history.ownership import SharedOwnership
from perdure.history.service import HistoryService
from perdure.infra.sqlite import SqliteDatabase, SqliteExecutionStore, SqliteShardStore
from perdure.kernel.clock import VirtualClock
from perdure.kernel.entropy import Entropy
from perdure.kernel.errors import NotOwner
from perdure.kernel.ids import ExecutionKey, NamespaceId, ShardId, TaskKind, TaskQueueKey
from perdure.kernel.limits import Limits
from perdure.kernel.membership import Member, Role, owner, shard_item
from perdure.kernel.news import NoNews
from perdure.kernel.persistence.executions import Head, StoreUnavailable
from perdure.kernel.persistence.shards import ShardLeases
from perdure.kernel.runtime import Runtime
from tests.simulation.cluster import Directory
from tests.support import virtual_time

LEASE_S = 3.0
SHARD_COUNT = 8
ALL = [ShardId(n) for n in range(SHARD_COUNT)]
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
    """Can be unreadable, as a whole or in part."""

    readable = True
    unknown: Set[ShardId] = frozenset()
    #: How long a look lasts, in seconds, and how long it takes until who takes a shard has it.
    look_s = 0.0
    take_s = 0.0
    #: How long it takes to give shards back.
    give_s = 0.0
    #: What happens at the next looks.
    failures: Sequence[Exception] = ()

    async def leases(self) -> ShardLeases:
        if self.failures:
            failure, *self.failures = self.failures
            raise failure
        if not self.readable:
            raise StoreUnavailable("the disk is away")
        await asyncio.sleep(self.look_s)
        known, _ = await super().leases()
        return ShardLeases([lease for lease in known if lease.shard not in self.unknown], self.unknown)

    async def acquire(
        self, shards: Sequence[ShardId], owner: str, seen: Mapping[ShardId, int] | None = None
    ) -> Mapping[ShardId, int]:
        await asyncio.sleep(self.take_s)
        return await super().acquire(shards, owner, seen)

    async def release(self, epochs: Mapping[ShardId, int]) -> None:
        await asyncio.sleep(self.give_s)
        await super().release(epochs)


class Executions(SqliteExecutionStore):
    """Of some shards it cannot be told what they owe."""

    broken: Set[ShardId] = frozenset()

    def __init__(self, database: SqliteDatabase) -> None:
        super().__init__(database)
        #: Of which shards it was asked, and from where on.
        self.asked: list[tuple[ShardId, ExecutionKey | None]] = []

    async def undispatched(self, shard: ShardId, after: ExecutionKey | None, limit: int) -> Sequence[Head]:
        self.asked.append((shard, after))
        await asyncio.sleep(0.01)
        if shard in self.broken:
            raise ValueError("broken")
        return await super().undispatched(shard, after, limit)


class Bench:
    def __init__(self, database: SqliteDatabase, clock: VirtualClock) -> None:
        self.members = Members()
        self.shards = Shards(database)
        executions = self.executions = Executions(database)
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


def test_a_shard_that_another_takes_while_we_ask_for_it_is_left_to_him() -> None:
    async def main(bench: Bench) -> None:
        bench.members.look()
        bench.shards.take_s = 1.0
        starting = asyncio.create_task(bench.ownership.start())
        await asyncio.sleep(0.5)
        assert await SqliteShardStore.acquire(bench.shards, [ShardId(0)], OTHER.id, {ShardId(0): 0})
        await starting
        assert bench.owned == set(ALL[1:])

    with_ownership(main)


def test_who_was_taken_for_dead_comes_before_those_who_are_late_to_take_what_he_has() -> None:
    async def main(bench: Bench) -> None:
        bench.members.look()
        await bench.ownership.start()
        engine = bench.service.engine
        held = dict(engine.shards)
        await asyncio.sleep(2 * LEASE_S)
        with pytest.raises(NotOwner):
            engine.owned(ShardId(0))
        # Somebody sees now who has the shards, and that he is dead, and is slow to draw the conclusion.
        seen = {lease.shard: lease.epoch for lease in (await bench.shards.leases()).known}
        await bench.beat(lambda: asyncio.get_running_loop().time() <= engine.trusted_until_s)
        assert await bench.shards.acquire(ALL, OTHER.id, seen) == {}
        assert all(engine.owned(shard) is held[shard] for shard in ALL), "what is in memory is kept"
        assert all(held[shard].epoch == seen[shard] + 1 for shard in ALL)

    with_ownership(main)


def test_who_was_taken_for_dead_lets_go_of_what_others_take_before_him() -> None:
    async def main(bench: Bench) -> None:
        bench.members.look()
        await bench.ownership.start()
        engine = bench.service.engine
        held = dict(engine.shards)
        await asyncio.sleep(2 * LEASE_S)
        bench.shards.take_s = 1.0
        bench.members.look()
        await asyncio.sleep(0.5)
        assert await SqliteShardStore.acquire(bench.shards, [ShardId(0)], OTHER.id)
        bench.members.now = [ME, OTHER]
        await bench.beat(lambda: asyncio.get_running_loop().time() <= engine.trusted_until_s)
        assert ShardId(0) not in bench.owned
        assert all(engine.owned(shard) is held[shard] for shard in MINE)

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


def test_the_shards_of_a_database_that_is_down_do_not_keep_others_waiting() -> None:
    async def main(bench: Bench) -> None:
        bench.members.look()
        bench.shards.unknown = {ShardId(0), ShardId(1)}
        await bench.ownership.start()
        assert bench.owned == {ShardId(n) for n in range(2, SHARD_COUNT)}
        bench.shards.unknown = frozenset()
        await bench.beat(lambda: len(bench.owned) == SHARD_COUNT)
        # What is owned stays so for as long as everybody takes us for alive.
        bench.shards.unknown = {ShardId(0), ShardId(1)}
        bench.service.engine.drop([ShardId(1), ShardId(2)])
        await bench.beat(lambda: ShardId(2) in bench.owned)
        assert bench.owned == {ShardId(n) for n in range(SHARD_COUNT)} - {ShardId(1)}

    with_ownership(main)


def test_a_look_that_outlasts_the_lease_does_not_shorten_it() -> None:
    async def main(bench: Bench) -> None:
        bench.members.look()
        await bench.ownership.start()
        bench.members.look()
        bench.shards.look_s = 1.5 * LEASE_S
        bench.shards.unknown = {ShardId(0)}
        bench.service.engine.drop([ShardId(0)])
        until_s = asyncio.get_running_loop().time() + 4 * bench.shards.look_s

        def is_over() -> bool:
            assert bench.service.engine.owned(ShardId(1)), "it is served all the time"
            return asyncio.get_running_loop().time() > until_s

        await bench.beat(is_over)

    with_ownership(main)


def test_what_may_have_been_taken_is_let_go_of_while_its_owner_is_unknown() -> None:
    async def main(bench: Bench) -> None:
        bench.members.look()
        await bench.ownership.start()
        bench.shards.unknown = {ShardId(0)}
        await asyncio.sleep(2 * LEASE_S)
        await bench.beat(lambda: len(bench.owned) < SHARD_COUNT)
        assert bench.owned == {ShardId(n) for n in range(1, SHARD_COUNT)}

    with_ownership(main)


def test_a_shard_that_cannot_be_recovered_is_let_go_of_and_taken_again_later() -> None:
    async def main(bench: Bench) -> None:
        bench.executions.broken = {ShardId(3)}
        bench.members.look()
        await bench.ownership.start()
        await bench.beat(lambda: len(bench.owned) < SHARD_COUNT)
        assert bench.owned == {ShardId(n) for n in range(SHARD_COUNT)} - {ShardId(3)}
        began = asyncio.get_running_loop().time()
        bench.executions.broken = frozenset()
        await bench.beat(lambda: len(bench.owned) == SHARD_COUNT)
        assert 4 < asyncio.get_running_loop().time() - began < 7
        assert bench.service.engine.shards[ShardId(3)].epoch == 2

    with_ownership(main)


def test_moves_of_queues_that_come_together_are_looked_at_together() -> None:
    async def main(bench: Bench) -> None:
        bench.members.look()
        await bench.ownership.start()
        await bench.beat(lambda: len(bench.executions.asked) == SHARD_COUNT)
        bench.executions.asked.clear()
        for _ in range(3):
            bench.service.offer_moved(lambda task: True)
        await asyncio.sleep(0.035)
        # A change that comes when some shards are done does not begin from the start with all of them.
        bench.service.offer_moved(lambda task: True)
        await asyncio.sleep(1)
        counts = Counter(shard for shard, _ in bench.executions.asked)
        assert len(counts) == SHARD_COUNT
        assert sorted(counts.values()) == [1] * 4 + [2] * 4

    with_ownership(main)


def test_tasks_of_one_namespace_are_looked_for_in_it_alone() -> None:
    async def main(bench: Bench) -> None:
        bench.members.look()
        await bench.ownership.start()
        await bench.beat(lambda: len(bench.executions.asked) == SHARD_COUNT)
        bench.executions.asked.clear()
        bench.service.redispatch(TaskQueueKey(NamespaceId("n"), "orders", TaskKind.WORKFLOW))
        await bench.beat(lambda: len(bench.executions.asked) == SHARD_COUNT)
        assert {after and after.namespace_id for _, after in bench.executions.asked} == {"n"}

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


def test_a_database_that_hangs_holds_up_only_what_is_given_back_to_it() -> None:
    async def main(bench: Bench) -> None:
        bench.members.look()
        await bench.ownership.start()
        assert bench.owned == set(ALL)
        bench.shards.give_s = 20.0
        bench.members.now = [ME, OTHER]
        await bench.beat(lambda: bench.owned == MINE)
        # While they are being given back they are not taken again, and the others are looked after.
        bench.members.now = [ME]
        began_s = asyncio.get_running_loop().time()
        bench.service.engine.drop(MINE)
        await bench.beat(lambda: bench.owned == MINE)
        assert asyncio.get_running_loop().time() - began_s < 10
        await bench.beat(lambda: bench.owned == set(ALL))
        assert asyncio.get_running_loop().time() - began_s < 25

    with_ownership(main)
