"""Group commit: whatever was decided while the last write was under way goes into the next one.

One committer per database. A decision's reply waits for its commit, its effects run when the commit returns, both in
the order of the decisions.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Set
from operator import attrgetter, itemgetter
from typing import NamedTuple, Protocol, TypeVar

import structlog

from perdure.history.metrics import CommitMetrics
from perdure.kernel.errors import NotOwner, Unavailable
from perdure.kernel.ids import NamespaceId, ShardId
from perdure.kernel.persistence.executions import DataRefused, ExecutionStore, ShardLost, ShardWrite

logger = structlog.get_logger(__name__)

#: Writes in one transaction; a burst beyond it takes several.
BATCH_MAX = 1000
#: And their bytes, unless a single one has more: a database refuses what is far larger.
BATCH_BYTES_MAX = 16 * 1024 * 1024
#: Under load a commit begins so long after the one before.
INTERVAL_S = 0.01
#: It is load if commits, of late, had so many writes on average. A single burst is none.
_CROWDED, _BURST_COUNTS = 1.5, 4
#: How much the last commit counts in that.
_LATELY = 0.1


class Commit:
    """One write on its way to the disk, to be waited for by any number of callers."""

    __slots__ = ("_waiters", "done", "error")

    def __init__(self) -> None:
        self.done = False
        self.error: Exception | None = None
        self._waiters: list[asyncio.Future[None]] = []

    async def wait(self) -> None:
        """Return when it is durable.

        Raises:
            NotOwner: it was not written, since the shard has another owner by now.
            Unavailable: it may or may not have been written, and the caller may try again.
        """
        if not self.done:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter
        if isinstance(self.error, ShardLost):
            raise NotOwner("the execution") from self.error
        if self.error is not None:
            raise Unavailable("the write did not go through, try again") from self.error

    def settle(self, error: Exception | None) -> None:
        self.done = True
        self.error = error
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()


class _Entry(NamedTuple):
    write: ShardWrite
    epoch: int
    commit: Commit
    committed: Callable[[], None]
    namespace_id: NamespaceId
    size: int


_SIZE = attrgetter("size")


class Queued(Protocol):
    """Something that waits for its turn on behalf of a tenant."""

    @property
    def namespace_id(self) -> NamespaceId: ...


Q = TypeVar("Q", bound=Queued)


def fair_batch(queue: list[Q], size: int, weight: Callable[[Q], int] = lambda _: 1) -> tuple[list[Q], list[Q]]:
    """What of the queue goes next, so that its weights do not exceed the size, and what stays; both in order. PURE.

    When not all fits, each namespace has the same room, and what one does not need the others share. So a namespace
    that floods the queue keeps itself waiting, and nobody else. Of one namespace nothing overtakes: writes of an
    execution build on each other. The first always goes, whatever its weight, so all get their turn.
    """
    if sum(map(weight, queue)) <= size:
        return queue, []
    waiting: Counter[NamespaceId] = Counter()
    for entry in queue[1:]:
        waiting[entry.namespace_id] += weight(entry)
    room: dict[NamespaceId, int] = {}
    left, sharing = max(size - weight(queue[0]), 0), len(waiting)
    for namespace_id, wanted in sorted(waiting.items(), key=itemgetter(1)):
        # With more namespaces than room, those that came first are served first.
        room[namespace_id] = taken = min(wanted, max(left // sharing, 1), left)
        left -= taken
        sharing -= 1
    batch, rest = queue[:1], []
    for entry in queue[1:]:
        if (needed := weight(entry)) <= room[entry.namespace_id]:
            room[entry.namespace_id] -= needed
            batch.append(entry)
        else:
            # Nothing of its namespace fits any more, however small.
            room[entry.namespace_id] = -1
            rest.append(entry)
    return batch, rest


def next_batch(queue: list[_Entry]) -> tuple[list[_Entry], list[_Entry]]:
    """The writes of the next transaction, and what stays. PURE."""
    batch, rest = fair_batch(queue, BATCH_MAX)
    batch, too_large = fair_batch(batch, BATCH_BYTES_MAX, _SIZE)
    return batch, too_large + rest


class Committer:
    """Collects writes to one database and hands them to the store, one batch at a time.

    `lost` is told of shards whose writes failed, before anybody who waits for them: their owner must forget what it
    holds.
    """

    def __init__(
        self,
        store: ExecutionStore,
        database: str,
        lost: Callable[[Set[ShardId], Exception], None],
    ) -> None:
        self._store = store
        self.database = database
        self._lost = lost
        self._queue: list[_Entry] = []
        #: How many from the front of the queue go one by one, since together they were refused.
        self._singly = 0
        self._wanted = asyncio.Event()
        self.metrics = CommitMetrics()
        #: When the last commit began, on the event loop's clock, if it is under way, and how large they are of late.
        self._began_s = 0.0
        self._writing = False
        self._crowding = 1.0

    @property
    def queued(self) -> int:
        """Writes that wait for their turn."""
        return len(self._queue)

    @property
    def lag_s(self) -> float:
        """How long the write has lasted that is under way."""
        return asyncio.get_running_loop().time() - self._began_s if self._writing else 0.0

    def submit(self, write: ShardWrite, epoch: int, namespace_id: NamespaceId, committed: Callable[[], None]) -> Commit:
        """Queue a write to one namespace in the name of a shard's owner of that epoch.

        `committed` runs right after it is durable, before those who wait for it go on. A write without rows becomes
        durable when those of its namespace before it are.
        """
        commit = Commit()
        self._queue.append(_Entry(write, epoch, commit, committed, namespace_id, write.size))
        self._wanted.set()
        return commit

    async def run(self) -> None:
        """The committing loop; runs until cancelled."""
        while True:
            await self._wanted.wait()
            await self._pace()
            if self._singly:
                self._singly -= 1
                batch, self._queue = self._queue[:1], self._queue[1:]
            else:
                batch, self._queue = next_batch(self._queue)
            if not self._queue:
                self._wanted.clear()
            if batch:  # Else all of them have failed with an earlier one.
                self._writing = True
                await self._write(batch)
                self._writing = False
                self._crowding += _LATELY * (min(len(batch), _BURST_COUNTS) - self._crowding)

    async def _pace(self) -> None:
        """Under load, let more come along: a commit costs much, and serves hundreds as well as one.

        Writes that keep coming together are of many callers, who will hardly notice. A caller that is alone has nobody
        to wait for, and does not wait; nor do a few, for whom more commits would be few still.
        """
        loop = asyncio.get_running_loop()
        if self._crowding > _CROWDED and not self._singly and (early_s := self._began_s + INTERVAL_S - loop.time()) > 0:
            await asyncio.sleep(early_s)
        self._began_s = loop.time()

    async def _write(self, batch: list[_Entry]) -> None:
        # Of two epochs of one shard the earlier is lost, and fails the batch.
        epochs = {entry.write.shard: entry.epoch for entry in reversed(batch)}
        shards = epochs.keys()
        try:
            if moved := [shard for shard in shards if self._store.database_of(shard) != self.database]:
                raise ShardLost(moved)
            await self._store.write([entry.write for entry in batch], epochs)
            self.metrics.latency.observe(self.lag_s)
            self.metrics.batch.observe(len(batch))
        except DataRefused as error:
            if len(batch) == 1:
                self._fail(batch, shards, error)
            else:
                # One of them is to blame, and must not take the others with it.
                self._singly = len(batch)
                self._put_back(batch)
        except ShardLost as error:
            self._fail(batch, shards & set(error.shards) or shards, error)
        except Exception as error:
            logger.exception("commit failed", shards=sorted(shards))
            self._fail(batch, shards, error)
        else:
            self._settle(batch)

    def _settle(self, batch: list[_Entry]) -> None:
        for entry in batch:
            try:
                entry.committed()
            except Exception:
                # Durable all the same: what was to follow is owed by the state and done after the next start.
                logger.exception("what follows a commit failed")
            entry.commit.settle(None)

    def _fail(self, batch: list[_Entry], shards: Set[ShardId], error: Exception) -> None:
        """Nothing of the batch is on the disk, and of these shards nothing may stay in memory either.

        What was decided on them since builds on it and goes the same way. The rest of the batch is tried again.
        """
        self.metrics.failures += 1
        self._put_back(batch)
        failed = [entry for entry in self._queue if entry.write.shard in shards]
        self._queue = [entry for entry in self._queue if entry.write.shard not in shards]
        try:
            self._lost(shards, error)
        except Exception:
            # The loop goes on for all other shards, and those who wait are told.
            logger.exception("the loss of shards could not be told", shards=sorted(shards))
        for entry in failed:
            entry.commit.settle(error)

    def _put_back(self, batch: list[_Entry]) -> None:
        self._queue[:0] = batch
        self._wanted.set()
