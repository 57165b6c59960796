"""The stores that all simulated processes share, and how each of them sees these: slow, failing, out of reach."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping, Sequence, Set
from contextvars import Context
from typing import Any, TypeVar

from perdure.infra.sqlite import SqliteDatabase, SqliteExecutionStore, SqliteShardStore
from perdure.kernel.clock import VirtualClock
from perdure.kernel.ids import NamespaceId, NamespaceName, ShardId
from perdure.kernel.membership import Member
from perdure.kernel.namespace import Namespace
from perdure.kernel.persistence.executions import ShardWrite, StoreError, StoreUnavailable
from perdure.kernel.persistence.shards import ShardLeases

T = TypeVar("T")

#: In seconds; a delay is drawn from one of these, most often from the first.
_QUICK, _SLOW, _STUCK = (0.0, 0.003), (0.02, 0.2), (0.5, 2.5)


class SharedStores:
    """What is on the disks, and who was allowed to write what there."""

    def __init__(self, clock: VirtualClock, namespace: Namespace, report: Callable[[str], None]) -> None:
        self.database = SqliteDatabase.open(None)
        self.executions = SqliteExecutionStore(self.database)
        self.shards = SqliteShardStore(self.database)
        self.namespace = namespace
        self._clock = clock
        self._report = report
        self._leases: dict[str, tuple[Member, int]] = {}
        #: By shard: the epoch that the last process to take it was given, and which process that was.
        self._taken: dict[ShardId, tuple[int, str]] = {}
        #: Is told of shards that a process takes.
        self.taking: Callable[[str, Set[ShardId]], None] = lambda process, shards: None

    async def write(self, process: str, writes: Sequence[ShardWrite], epochs: Mapping[ShardId, int]) -> None:
        await self.executions.write(writes, epochs)
        for shard, epoch in epochs.items():
            if self._taken.get(shard) != (epoch, process):
                self._report(f"{process} has written to shard {shard} in epoch {epoch}, it is {self._taken.get(shard)}")

    async def acquire(
        self, process: str, shards: Sequence[ShardId], owner: str, seen: Mapping[ShardId, int] | None
    ) -> Mapping[ShardId, int]:
        epochs = await self.shards.acquire(shards, owner, seen)
        for shard, epoch in epochs.items():
            if shard in self._taken and self._taken[shard][0] >= epoch:
                self._report(f"shard {shard} was given to {process} in epoch {epoch}, after {self._taken[shard]}")
            self._taken[shard] = epoch, process
        self.taking(process, epochs.keys())
        return epochs

    async def beat(self, member: Member, lease_ns: int) -> Sequence[Member]:
        now_ns = self._clock.now_ns()
        self._leases[member.id] = member, now_ns + lease_ns
        return sorted((each for each, until_ns in self._leases.values() if until_ns > now_ns), key=lambda each: each.id)

    async def leave(self, member_id: str) -> None:
        self._leases.pop(member_id, None)


class Reach:
    """How one process reaches the stores. What it asks for happens there, whatever becomes of the process meanwhile."""

    def __init__(self, chance: random.Random, outside: Context) -> None:
        self._chance = chance
        self._outside = outside
        #: Nothing gets through, and nobody says so for a while.
        self.cut = False
        #: The part of requests that are slow, and of those that fail before or after they took effect.
        self.slow = 0.02
        self.failing = 0.0

    async def change(self, happen: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Have something done that leaves traces.

        Raises:
            StoreUnavailable: nobody knows whether it was done.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def arrive() -> None:
            try:
                if self._fails():
                    raise StoreUnavailable("simulated: it did not arrive")
                result = _at_once(happen())
                if self._fails():
                    raise StoreUnavailable("simulated: it may have happened")
            except Exception as error:
                loop.call_later(self._delay_s(), _settle, answer, None, error)
            else:
                loop.call_later(self._delay_s(), _settle, answer, result, None)

        loop.call_later(self._delay_s(), arrive, context=self._outside)
        return await answer

    async def look(self, read: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Raises StoreUnavailable: it could not be read."""
        if self._fails():
            await asyncio.sleep(self._delay_s())
            raise StoreUnavailable("simulated: it could not be read")
        if self._chance.random() < 0.2:
            await asyncio.sleep(self._delay_s())
        found = _at_once(read())
        if self._chance.random() < 0.2:
            await asyncio.sleep(self._delay_s())
        return found

    def _fails(self) -> bool:
        return self.cut or (self.failing > 0 and self._chance.random() < self.failing)

    def _delay_s(self) -> float:
        if self.cut:
            return self._chance.choice((0.01, 1.0, 3.0))
        fate = self._chance.random()
        low, high = _QUICK if fate >= self.slow else _SLOW if fate >= self.slow / 5 else _STUCK
        return self._chance.uniform(low, high)


class ExecutionsInReach:
    """`ExecutionStore` of one process."""

    def __init__(self, name: str, shared: SharedStores, reach: Reach) -> None:
        self._name = name
        self._shared = shared
        self._reach = reach

    def database_of(self, shard: ShardId) -> str:
        # Two databases, so that a process has two committers.
        return f"database-{shard % 2}"

    async def write(self, writes: Sequence[ShardWrite], epochs: Mapping[ShardId, int]) -> None:
        await self._reach.change(lambda: self._shared.write(self._name, writes, epochs))

    async def quarantine(self, *arguments: Any) -> None:
        raise AssertionError(f"records are damaged, or so it is thought: {arguments}")

    def __getattr__(self, name: str) -> Any:
        read = getattr(self._shared.executions, name)
        return lambda *arguments: self._reach.look(lambda: read(*arguments))


class ShardsInReach:
    """`ShardStore` of one process."""

    def __init__(self, name: str, shared: SharedStores, reach: Reach) -> None:
        self._name = name
        self._shared = shared
        self._reach = reach

    async def acquire(
        self, shards: Sequence[ShardId], owner: str, seen: Mapping[ShardId, int] | None = None
    ) -> Mapping[ShardId, int]:
        return await self._reach.change(lambda: self._shared.acquire(self._name, shards, owner, seen))

    async def release(self, epochs: Mapping[ShardId, int]) -> None:
        await self._reach.change(lambda: self._shared.shards.release(epochs))

    async def leases(self) -> ShardLeases:
        return await self._reach.look(self._shared.shards.leases)


class MembersInReach:
    """`MembershipStore` of one process."""

    def __init__(self, shared: SharedStores, reach: Reach) -> None:
        self._shared = shared
        self._reach = reach

    async def beat(self, member: Member, lease_ns: int) -> Sequence[Member]:
        return await self._reach.change(lambda: self._shared.beat(member, lease_ns))

    async def leave(self, member_id: str) -> None:
        await self._reach.change(lambda: self._shared.leave(member_id))


class OneNamespace:
    """`NamespaceStore` with one record, which nobody changes."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace

    async def by_id(self, namespace_id: NamespaceId) -> Namespace | None:
        return self._namespace if namespace_id == self._namespace.id else None

    async def by_name(self, name: NamespaceName) -> Namespace | None:
        return self._namespace if name == self._namespace.name else None

    async def revision(self) -> int:
        return 1

    async def changed_since(self, revision: int) -> tuple[int, Sequence[Namespace]]:
        return 1, () if revision else (self._namespace,)


def _at_once(happening: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing."""
    try:
        happening.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("the store has made somebody wait")


def _settle(answer: asyncio.Future[T], result: T, error: Exception | None) -> None:
    if answer.done():
        return
    if error is None:
        answer.set_result(result)
        return
    assert isinstance(error, StoreError), error
    answer.set_exception(error)
