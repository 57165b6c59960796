"""The engine: the shards of this process, the committers they share, and the loops that keep time."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence, Set
from functools import partial
from typing import Any, TypeVar

import structlog

from perdure.history.alarms import WINDOW_NS
from perdure.history.archiver import Archiver
from perdure.history.commits import Committer
from perdure.history.effects import Effect
from perdure.history.kinds.kind import Loaded
from perdure.history.kinds.workflow import LoadedExecution
from perdure.history.meter import Meter
from perdure.history.metrics import ARCHIVE_WAITING, CACHE_SIZE, SHARDS_OWNED, HistoryMetrics, commit_samples
from perdure.history.outbound import Outbound
from perdure.history.shard import LOADED_MAX, Shard
from perdure.history.transition import BaseTransition, Transition
from perdure.kernel.archive.store import ArchiveStore, NoArchive
from perdure.kernel.call import Call
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.deployments.routing import NoVersions, VersionRouting
from perdure.kernel.errors import DataLoss, NamespaceNotFound, NotOwner, Unavailable
from perdure.kernel.ids import ExecutionKey, ExecutionKind, NamespaceId, RunId, ShardId, WorkflowId, WorkflowKey
from perdure.kernel.limits import Limits
from perdure.kernel.membership import shard_of
from perdure.kernel.metrics import NameOf, Sample
from perdure.kernel.namespace import Namespace, NamespaceDirectory
from perdure.kernel.nexus import NexusEndpointDirectory, NoNexusEndpoints
from perdure.kernel.persistence.executions import (
    ExecutionStore,
    Head,
    ShardLost,
    StoreError,
    StoreUnavailable,
    StoreUnusable,
)
from perdure.kernel.persistence.shards import ShardStore
from perdure.kernel.runtime import Runtime
from perdure.kernel.serving import named

logger = structlog.get_logger(__name__)

R = TypeVar("R")
T = TypeVar("T", bound=BaseTransition[Any])
L = TypeVar("L", bound=Loaded[Any])

#: Runs handled between two looks at anything else.
_ALARMS_PER_TURN = 100
#: After so long a run is looked at again that could not be loaded when it was due.
_ALARM_RETRY_NS = SECOND_NS
#: Heads read from the store at once.
_HEADS_PER_PAGE = 500
#: Shards whose debts are looked through at a time.
_RECOVERED_AT_ONCE = 8
_LOADED_PER_SHARD_MIN = 16
_TIMEKEEPING_RETRY_S = 0.5
_RETRY_DELAY_S_MIN = 0.05
_RETRY_DELAY_S_MAX = 5.0


class RecoveryFailed(Exception):
    """What a shard owes could not be taken up; it was let go of, to be taken again later."""


class Engine:
    """Everything that history does on the executions it owns.

    Which shards it owns is decided in `perdure.history.ownership`: `acquire`, `release` and `drop` are for that, and
    `dropped` is called with shards that had to be let go of, and why.
    """

    dropped: Callable[[Set[ShardId], Exception], None]

    def __init__(
        self,
        runtime: Runtime,
        limits: Limits,
        store: ExecutionStore,
        shard_store: ShardStore,
        directory: NamespaceDirectory,
        outbound: Outbound,
        shard_count: int,
        member_id: str = "",
    ) -> None:
        self.runtime = runtime
        self.limits = limits
        self.directory = directory
        self.shard_count = shard_count
        self.endpoints: NexusEndpointDirectory = NoNexusEndpoints()
        #: The shards that this process owns.
        self.shards: dict[ShardId, Shard] = {}
        #: Until when, on the event loop's clock, what is in memory may be shown to anybody. Writes need no such limit:
        #: they are fenced.
        self.trusted_until_s = math.inf
        #: Who owns a shard that is not ours, as far as we know.
        self.hints: dict[ShardId, str] = {}
        self.metrics = HistoryMetrics()
        self.archive: ArchiveStore = NoArchive()
        self._archiver = Archiver(self)
        #: Where workers are by their versions.
        self.deployments: VersionRouting = NoVersions()
        self._meter = Meter()
        self._member_id = member_id
        self._store = store
        self._shard_store = shard_store
        self._outbound = outbound
        #: One for each database.
        self._committers: dict[str, tuple[Committer, asyncio.Task[None]]] = {}
        self._timekeepers: dict[ShardId, asyncio.Task[None]] = {}

    # Owning

    async def acquire(self, shards: Sequence[ShardId], seen: Mapping[ShardId, int] | None = None) -> list[Shard]:
        """Take these shards and serve them from now on; returns those that could be taken, to be recovered.

        For `seen` see `ShardStore.acquire`.

        Raises:
            StoreError: the store cannot be written.
        """
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        epochs = await self._shard_store.acquire(shards, self._member_id, seen)
        self.metrics.acquisition.observe(loop.time() - began_s)
        self.metrics.shards_taken += len(epochs)
        taken = []
        for shard_id, epoch in epochs.items():
            committer = self._committer_of(shard_id)
            shard = Shard(
                shard_id,
                epoch,
                self.runtime,
                self.limits,
                self._store,
                committer,
                self._outbound,
                self.metrics,
                self._meter,
            )
            self.shards[shard_id] = shard
            self.hints.pop(shard_id, None)
            taken.append(shard)
        self._share_memory()
        return taken

    async def renew(self) -> None:
        """Take what we own once more, and keep what is in memory. Others have taken what cannot be taken: it is let go.

        From here on nobody can take a shard whose reason to do so is older than this.

        Raises:
            StoreError: nobody knows of any shard whether it is still ours.
        """
        held = list(self.shards.values())
        seen = {shard.id: shard.epoch for shard in held}
        epochs = await self._shard_store.acquire(list(seen), self._member_id, seen)
        self.drop([shard.id for shard in held if shard.id not in epochs])
        for shard in held:
            # A write that is on its way in the name of the epoch before fails, and its shard is loaded again.
            shard.epoch = epochs.get(shard.id, shard.epoch)

    async def recover(self, shards: Iterable[Shard]) -> None:
        """Bring up the runs that owe something, since whoever owed it before may not have delivered it; then keep time.

        Waits for a store that cannot be read now. Lets go of shards where it fails, each by itself.

        Raises:
            StoreUnusable: some of them never can be read.
        """
        waiting = list(shards)
        unusable: list[StoreUnusable] = []

        async def recover_some() -> None:
            while waiting:
                shard = waiting.pop()
                try:
                    await self._take_up(shard)
                    continue
                except StoreUnusable as error:
                    unusable.append(error)
                except Exception:
                    logger.exception("what a shard owes could not be taken up", shard=shard.id)
                if not shard.closed:
                    self._lost({shard.id}, RecoveryFailed(shard.id))

        loop = asyncio.get_running_loop()
        began_s = loop.time()
        await asyncio.gather(*(recover_some() for _ in range(min(len(waiting), _RECOVERED_AT_ONCE))))
        self.metrics.recovery.observe(loop.time() - began_s)
        if unusable:
            raise unusable[0]

    async def _take_up(self, shard: Shard) -> None:
        with contextlib.suppress(NotOwner):
            async for loaded, effect in self.outstanding(shard):
                try:
                    self._outbound.perform(shard, loaded, effect)
                except Exception:
                    logger.exception("what a run owes could not be taken up", **named(loaded.key))
        if not shard.closed:
            self._timekeepers[shard.id] = asyncio.get_running_loop().create_task(self._keep_time(shard))

    async def release(self, shards: Iterable[ShardId]) -> None:
        """Write what is under way and what was put off, and give the shards back, those of each database by themselves.

        Raises:
            StoreError: some could not be given back; they are not served any more all the same.
        """
        by_database: dict[str, list[Shard]] = {}
        for shard_id in shards:
            if (shard := self._remove(shard_id)) is not None:
                by_database.setdefault(self._store.database_of(shard_id), []).append(shard)
        given = await asyncio.gather(*map(self._give_back, by_database.values()), return_exceptions=True)
        for error in given:
            if error is not None:
                raise error

    async def _give_back(self, leaving: list[Shard]) -> None:
        self.metrics.shards_given_back += len(leaving)
        for shard in leaving:
            for loaded in shard.unwritten():
                try:
                    shard.flush(loaded, await self.namespace_of(loaded.key))
                except Exception as error:
                    # The shard has to go all the same: what was put off can be lost.
                    logger.warning("what was put off is not written", **named(loaded.key), error=str(error))
        for shard in leaving:
            await shard.settled()
            shard.forget()
        await self._shard_store.release({shard.id: shard.epoch for shard in leaving})

    def drop(self, shards: Iterable[ShardId]) -> None:
        """Let go of shards at once, since somebody else owns them by now or a write failed."""
        for shard_id in shards:
            shard = self._remove(shard_id)
            if shard is not None:
                self.metrics.shards_lost += 1
                shard.forget()

    async def stop(self) -> None:
        """Give all shards back, then stop."""
        await self._archiver.stop()
        with contextlib.suppress(StoreError):
            await self.release(list(self.shards))
        await self._outbound.stop()
        tasks = self.background
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _remove(self, shard_id: ShardId) -> Shard | None:
        shard = self.shards.pop(shard_id, None)
        if shard is not None:
            shard.closed = True
            if (timekeeper := self._timekeepers.pop(shard_id, None)) is not None:
                timekeeper.cancel()
            self._share_memory()
        return shard

    def _share_memory(self) -> None:
        share = max(LOADED_MAX // max(len(self.shards), 1), _LOADED_PER_SHARD_MIN)
        for shard in self.shards.values():
            shard.loaded_max = share

    def _committer_of(self, shard_id: ShardId) -> Committer:
        database = self._store.database_of(shard_id)
        if database not in self._committers:
            committer = Committer(self._store, database, self._lost)
            self._committers[database] = committer, asyncio.get_running_loop().create_task(committer.run())
        return self._committers[database][0]

    def _lost(self, shards: Set[ShardId], error: Exception) -> None:
        """A write failed: nothing that is held of those shards can be trusted any more."""
        self.drop(shards)
        self.dropped(shards, error)

    def shard_of(self, key: WorkflowKey) -> Shard:
        """The shard of a workflow id.

        Raises:
            NotOwner: it is not ours.
        """
        return self.owned(shard_of(key.namespace_id, key.workflow_id, self.shard_count))

    def owned(self, shard_id: ShardId) -> Shard:
        """The shard of this number. Raises NotOwner if it is not ours."""
        shard = self.shards.get(shard_id)
        if shard is None:
            raise NotOwner(f"shard {shard_id}", self.hints.get(shard_id, ""))
        if asyncio.get_running_loop().time() > self.trusted_until_s:
            raise NotOwner(f"shard {shard_id}")
        return shard

    async def confirm(self, namespace_id: NamespaceId, workflow_id: WorkflowId) -> None:
        """Return when everything is durable that a refusal may be based on: that a run has ended, or that it is there.

        Raises:
            NotOwner, Unavailable: some of it is lost, and with it the reason to refuse.
        """
        await self.owned(shard_of(namespace_id, workflow_id, self.shard_count)).confirmed(namespace_id)

    def check_newest(self, shard: Shard, epoch: int) -> None:
        """Somebody has heard from the shard's owner of this epoch: if that is a later one, the shard is not ours.

        Raises:
            NotOwner: it is not.
        """
        if epoch > shard.epoch:
            self._lost({shard.id}, ShardLost([shard.id]))
            raise NotOwner(f"shard {shard.id}")

    @property
    def loops(self) -> list[asyncio.Task[None]]:
        """What never ends before `stop`."""
        committing = [task for _, task in self._committers.values()]
        return [*committing, *self._timekeepers.values()]

    @property
    def background(self) -> list[asyncio.Task[None]]:
        """What runs in this engine at the moment."""
        return [*self.loops, *self._outbound.sending]

    @property
    def loaded_count(self) -> int:
        """Executions in memory."""
        return sum(shard.loaded_count for shard in self.shards.values())

    @property
    def committers(self) -> list[Committer]:
        return [committer for committer, _ in self._committers.values()]

    def samples(self, name_of: NameOf) -> Iterable[Sample]:
        """What there is to count here and now."""
        yield from self.metrics.samples(name_of)
        yield Sample(SHARDS_OWNED, (), len(self.shards))
        yield Sample(CACHE_SIZE, (), self.loaded_count)
        yield Sample(ARCHIVE_WAITING, (), self._archiver.waiting)
        for committer in self.committers:
            yield from commit_samples(committer.database, committer.metrics, committer.queued, committer.lag_s)

    async def get(self, call: Call, workflow_id: str, run_id: str = "") -> LoadedExecution:
        """The workflow run that a call addresses; the current one if it names none.

        Raises:
            NotFound: there is none in the call's namespace.
        """
        return await self.get_as(LoadedExecution, call, workflow_id, run_id)

    async def get_as(self, kind: type[L], call: Call, workflow_id: str, run_id: str = "") -> L:
        """As `get`, for executions of any kind."""
        key = WorkflowKey(NamespaceId(call.namespace_id), WorkflowId(workflow_id), kind.kind)
        return await self.shard_of(key).get(kind, key, run_id)

    async def current_as(self, kind: type[L], call: Call, workflow_id: str) -> L | None:
        """The newest execution of an id, open or closed; None if there is none. It is so until the next await."""
        key = WorkflowKey(NamespaceId(call.namespace_id), WorkflowId(workflow_id), kind.kind)
        shard = self.shard_of(key)
        while True:
            run_id = await shard.current_run(key)
            loaded = await shard.find(kind, key.run(run_id)) if run_id is not None else None
            if shard.is_current(key, run_id):
                return loaded

    def decide(
        self,
        namespace: Namespace,
        loaded: Loaded[T],
        decision: Callable[[T], R],
        *,
        put_off: bool = False,
    ) -> R:
        """Make a decision on a loaded run. Must follow `get` without an await in between."""
        return loaded.shard.decide(loaded, namespace, decision, put_off=put_off)

    async def update(
        self, call: Call, workflow_id: str, run_id: str, decision: Callable[[Transition], R]
    ) -> tuple[LoadedExecution, R]:
        """Decide on a workflow run and wait until the decision is durable.

        Raises:
            NotFound: there is no such run.
            Unavailable: the write did not go through.
        """
        return await self.update_as(LoadedExecution, call, workflow_id, run_id, decision)

    async def update_as(
        self, kind: type[L], call: Call, workflow_id: str, run_id: str, decision: Callable[[Any], R]
    ) -> tuple[L, R]:
        """As `update`, for executions of any kind."""
        loaded = await self.get_as(kind, call, workflow_id, run_id)
        result = self.decide(call.namespace, loaded, decision)
        await loaded.committed()
        return loaded, result

    async def namespace_of(self, key: ExecutionKey) -> Namespace:
        return await self.directory.by_id(key.namespace_id)

    # Time

    async def _keep_time(self, shard: Shard) -> None:
        """Wake runs when they want to be woken."""
        clock, loop = self.runtime.clock, asyncio.get_running_loop()
        while not shard.closed:
            try:
                now = clock.now_ns()
                if now + WINDOW_NS // 2 >= shard.alarms.horizon_ns:
                    await self._take_in_heads(shard, now + WINDOW_NS)
                if (late_ns := clock.now_ns() - (shard.alarms.next() or math.inf)) >= 0:
                    self.metrics.timer_lag.observe(late_ns / SECOND_NS)
                for key in shard.alarms.take_due(clock.now_ns(), _ALARMS_PER_TURN):
                    await self._ring(shard, key)
            except Exception:
                logger.exception("timekeeping failed", shard=shard.id)
                shard.alarms.horizon_ns = 0
                await asyncio.sleep(_TIMEKEEPING_RETRY_S)
            at = shard.alarms.next()
            now = clock.now_ns()
            delay = min(max(at - now, 0) if at else WINDOW_NS, max(shard.alarms.horizon_ns - WINDOW_NS // 2 - now, 0))
            shard.alarms.changed = wake = loop.create_future()
            timer = loop.call_later(delay / SECOND_NS, _resolve, wake)
            try:
                await wake
            finally:
                timer.cancel()

    async def _take_in_heads(self, shard: Shard, until: int) -> None:
        """Set alarms for what the store knows to become due up to `until`."""
        cursor: tuple[int, ExecutionKey] | None = None
        while True:
            heads = await self._store.due(shard.id, until, cursor, _HEADS_PER_PAGE)
            for head in heads:
                assert head.wake_at_ns is not None
                shard.alarms.set(head.key, head.wake_at_ns)
            if len(heads) < _HEADS_PER_PAGE:
                break
            last = heads[-1]
            assert last.wake_at_ns is not None
            cursor = (last.wake_at_ns, last.key)
            await asyncio.sleep(0)
        shard.alarms.horizon_ns = until

    async def _ring(self, shard: Shard, key: ExecutionKey) -> None:
        """Let everything happen on this run that is due."""
        if self._archiver.has(shard, key):
            return
        try:
            namespace = await self.namespace_of(key)
            loaded = await shard.find_any(key)
            if loaded is None:
                return
            if not loaded.state.running:
                if not self.is_over(loaded, namespace):
                    return
                if namespace.archives and loaded.kind is ExecutionKind.WORKFLOW:
                    self._archiver.take(shard, key)
                else:
                    shard.delete(loaded)
                    self.metrics.retention_deletes += 1
                return
            shard.decide(loaded, namespace, loaded.agenda.expire)
            shard.rearm(loaded, namespace)
        except (NamespaceNotFound, DataLoss) as error:
            logger.warning("a due run cannot be handled", **named(key), error=str(error))
        except NotOwner:
            pass  # whoever has the shard now has the alarm too
        except (StoreUnavailable, Unavailable) as error:
            # Its alarm is gone, and nobody else looks at it before it is loaded anew.
            shard.alarms.set(key, self.runtime.clock.now_ns() + _ALARM_RETRY_NS)
            logger.warning("a due run cannot be handled now, trying again", **named(key), error=str(error))
        except Exception:
            # One run's trouble must not keep the others waiting.
            logger.exception("a due run failed", **named(key))

    def is_over(self, loaded: Loaded[Any], namespace: Namespace) -> bool:
        """Whether this closed execution has been kept for as long as its namespace says."""
        return bool(loaded.state.closed_at + namespace.retention_ns <= loaded.now_ns)

    # Recovery

    async def outstanding(
        self, shard: Shard, namespace_id: NamespaceId | None = None
    ) -> AsyncIterator[tuple[Loaded[Any], Effect]]:
        """Everything that the runs of a shard owe, in all namespaces or in one, in the order of their keys.

        Waits for a store that cannot be read now. Damaged runs are left out, and such as fail here.

        Raises:
            StoreUnusable: it never can be read.
            NotOwner: the shard is not ours any more.
        """
        # Before the first run of the namespace.
        cursor = ExecutionKey(namespace_id, WorkflowId(""), RunId("")) if namespace_id is not None else None

        async def next_heads() -> Sequence[Head]:
            # Nobody waits for the store of a shard that was let go of.
            if shard.closed:
                raise NotOwner(f"shard {shard.id}")
            return await self._store.undispatched(shard.id, cursor, _HEADS_PER_PAGE)

        while not shard.closed:
            heads = await insist(next_heads)
            for head in heads:
                if namespace_id is not None and head.key.namespace_id != namespace_id:
                    return
                try:
                    loaded = await insist(partial(shard.find_any, head.key))
                    owed = loaded.agenda.outstanding(loaded.now_ns) if loaded is not None else []
                    if loaded is not None and owed:
                        # The run is being served: what it owes by what was just decided is nobody's business yet.
                        await loaded.committed()
                except DataLoss:
                    continue
                except (StoreError, NotOwner):
                    raise
                except Unavailable:
                    # It was lost, with what this process held of the shard.
                    continue
                except Exception:
                    # One run's trouble must not keep the others waiting.
                    logger.exception("what a run owes cannot be told", **named(head.key))
                    continue
                if loaded is not None:
                    for effect in owed:
                        yield loaded, effect
            if len(heads) < _HEADS_PER_PAGE:
                return
            cursor = heads[-1].key
            await asyncio.sleep(0)


async def insist(attempt: Callable[[], Awaitable[R]]) -> R:
    """Try until the store answers.

    Raises:
        StoreUnusable: it never will.
        NotOwner: it does not matter any more.
        DataLoss: it has, with damaged records.
    """
    delay_s = _RETRY_DELAY_S_MIN
    while True:
        try:
            return await attempt()
        except (StoreUnusable, NotOwner):
            raise
        except (StoreUnavailable, Unavailable):
            logger.exception("the store does not answer", retry_in_s=delay_s)
        await asyncio.sleep(delay_s)
        delay_s = min(2 * delay_s, _RETRY_DELAY_S_MAX)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
