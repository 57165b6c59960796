"""The engine: the shards of this process, the committer they share, and the loops that keep time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from functools import partial
from typing import Any, TypeVar
from zlib import crc32

import structlog

from perdure.history.alarms import WINDOW_NS
from perdure.history.commits import Committer
from perdure.history.effects import Effect
from perdure.history.kinds.kind import Loaded
from perdure.history.kinds.workflow import LoadedExecution
from perdure.history.outbound import Outbound
from perdure.history.shard import Shard
from perdure.history.transition import BaseTransition, Transition
from perdure.kernel.call import Call
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.errors import DataLoss, NamespaceNotFound, Unavailable
from perdure.kernel.ids import ExecutionKey, NamespaceId, ShardId, WorkflowId, WorkflowKey
from perdure.kernel.limits import Limits
from perdure.kernel.namespace import Namespace, NamespaceDirectory
from perdure.kernel.persistence.executions import ExecutionStore, ShardLost, StoreUnavailable, StoreUnusable
from perdure.kernel.runtime import Runtime

logger = structlog.get_logger(__name__)

R = TypeVar("R")
T = TypeVar("T", bound=BaseTransition[Any])
L = TypeVar("L", bound=Loaded[Any])

#: Runs handled between two looks at anything else.
_ALARMS_PER_TURN = 100
#: Heads read from the store at once.
_HEADS_PER_PAGE = 500
_RETRY_DELAY_S_MIN = 0.05
_RETRY_DELAY_S_MAX = 5.0


class Engine:
    """Everything that history does on the executions it owns."""

    def __init__(
        self,
        runtime: Runtime,
        limits: Limits,
        store: ExecutionStore,
        directory: NamespaceDirectory,
        outbound: Outbound,
        shard_ids: Iterable[ShardId],
    ) -> None:
        self.runtime = runtime
        self.limits = limits
        self.directory = directory
        self._store = store
        self._epochs: dict[ShardId, int] = {}
        self._committer = Committer(store, self._epochs, self._lost)
        self._outbound = outbound
        self._shards = [Shard(shard, runtime, limits, store, self._committer, outbound) for shard in shard_ids]
        self._tasks: list[asyncio.Task[None]] = []
        self._reacquiring: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Take the shards, and take up what was left open by whoever owned them before.

        Waits for a store that cannot be read now.

        Raises:
            StoreUnavailable: the store cannot be written.
            StoreUnusable: it never can be read.
        """
        for shard in self._shards:
            self._epochs[shard.id] = await self._store.acquire_shard(shard.id)
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._committer.run())]
        self._tasks += [loop.create_task(self._keep_time(shard)) for shard in self._shards]
        for shard in self._shards:
            await self._recover(shard)

    async def stop(self) -> None:
        """Write what is under way and what was put off, then stop."""
        for shard in self._shards:
            for loaded in shard.unwritten():
                shard.flush(loaded, await self.namespace_of(loaded.key))
        await self._committer.drained()
        await self._outbound.stop()
        tasks = [*self._tasks, *self._reacquiring]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def shard_of(self, key: WorkflowKey) -> Shard:
        """The owner of a workflow id. The hash is for ever: stored data depends on it."""
        if len(self._shards) == 1:
            return self._shards[0]
        digest = crc32(f"{key.namespace_id}\0{key.workflow_id}".encode())
        return self._shards[digest % len(self._shards)]

    @property
    def shards(self) -> list[Shard]:
        return self._shards

    @property
    def background(self) -> list[asyncio.Task[None]]:
        """The loops that run until `stop`."""
        return [*self._tasks, *self._reacquiring, *self._outbound.sending]

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
        while not shard.has_new_owner:
            try:
                now = clock.now_ns()
                if now + WINDOW_NS // 2 >= shard.alarms.horizon_ns:
                    await self._take_in_heads(shard, now + WINDOW_NS)
                for key in shard.alarms.take_due(clock.now_ns(), _ALARMS_PER_TURN):
                    await self._ring(shard, key)
            except Exception:
                logger.exception("timekeeping failed", shard=shard.id)
                shard.alarms.horizon_ns = 0
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
        try:
            namespace = await self.namespace_of(key)
            loaded = await shard.find_any(key)
            if loaded is None:
                return
            if not loaded.state.running:
                if loaded.state.closed_at + namespace.retention_ns <= self.runtime.clock.now_ns():
                    shard.delete(loaded)
                return
            shard.decide(loaded, namespace, loaded.agenda.expire)
            shard.rearm(loaded, namespace)
        except (NamespaceNotFound, DataLoss) as error:
            logger.warning("a due run cannot be handled", run_id=key.run_id, error=str(error))
        except Exception:
            # One run's trouble must not keep the others waiting.
            logger.exception("a due run failed", run_id=key.run_id)

    # Recovery

    async def _recover(self, shard: Shard) -> None:
        """Bring up the runs that owe something: whoever owed it before may not have delivered it."""
        async for loaded, effect in self.outstanding(shard):
            self._outbound.perform(shard, loaded, effect)

    async def outstanding(
        self, shard: Shard, namespace_id: NamespaceId | None = None
    ) -> AsyncIterator[tuple[Loaded[Any], Effect]]:
        """Everything that the runs of a shard owe, in all namespaces or in one, in the order of their keys.

        Waits for a store that cannot be read now. Damaged runs are left out.

        Raises:
            StoreUnusable: it never can be read.
        """
        cursor: ExecutionKey | None = None
        while not shard.has_new_owner:
            heads = await _insist(partial(self._store.undispatched, shard.id, cursor, _HEADS_PER_PAGE))
            for head in heads:
                if namespace_id is not None and head.key.namespace_id != namespace_id:
                    continue
                try:
                    loaded = await _insist(partial(shard.find_any, head.key))
                except DataLoss:
                    continue
                if loaded is not None:
                    for effect in loaded.agenda.outstanding(self.runtime.clock.now_ns()):
                        yield loaded, effect
            if len(heads) < _HEADS_PER_PAGE:
                return
            cursor = heads[-1].key
            await asyncio.sleep(0)

    def _lost(self, shards: set[ShardId], error: Exception) -> None:
        """A write failed: forget those shards. One that has a new owner is left to it, any other is taken again."""
        for shard in self._shards:
            if shard.id in shards:
                shard.forget()
                if isinstance(error, ShardLost):
                    shard.has_new_owner = True
                    continue
                task = asyncio.get_running_loop().create_task(self._reacquire(shard))
                self._reacquiring.add(task)
                task.add_done_callback(self._reacquiring.discard)

    async def _reacquire(self, shard: Shard) -> None:
        try:
            self._epochs[shard.id] = await _insist(partial(self._store.acquire_shard, shard.id))
            await self._recover(shard)
        except StoreUnusable:
            # Callers are told so one by one, and what the shard owes waits for a start on a store that can be used.
            logger.exception("a shard could not be taken up again", shard=shard.id)


async def _insist(attempt: Callable[[], Awaitable[R]]) -> R:
    """Try until the store answers.

    Raises:
        StoreUnusable: it never will.
        DataLoss: it has, with damaged records.
    """
    delay_s = _RETRY_DELAY_S_MIN
    while True:
        try:
            return await attempt()
        except StoreUnusable:
            raise
        except (StoreUnavailable, Unavailable):
            logger.exception("the store does not answer", retry_in_s=delay_s)
        await asyncio.sleep(delay_s)
        delay_s = min(2 * delay_s, _RETRY_DELAY_S_MAX)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
