"""One shard: the executions it holds in memory, and the one write path that every change takes.

load -> decide -> fold -> queue for commit -> (durable) -> reply and effects. Deciding is synchronous, so no lock is
needed and a later decision simply builds on an earlier one that is not durable yet: commits keep their order, and if
one fails the shard forgets everything and loads it again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable, Collection
from itertools import islice
from typing import Any, Protocol, TypeVar

import structlog

from perdure.history.alarms import Alarms
from perdure.history.commits import Commit, Committer
from perdure.history.effects import Effect
from perdure.history.fold import replay
from perdure.history.kinds.kind import Loaded
from perdure.history.kinds.table import KINDS
from perdure.history.meter import Meter
from perdure.history.metering import billable
from perdure.history.metrics import HistoryMetrics
from perdure.history.state.changes import EventsInherited
from perdure.history.state.codec import (
    decode_changes,
    decode_events,
    decode_state,
    encode_changes,
    encode_events,
    encode_state,
)
from perdure.history.transition import BaseTransition
from perdure.kernel.errors import DataLoss, NotOwner, Unavailable
from perdure.kernel.ids import ExecutionKey, ExecutionKind, NamespaceId, RunId, ShardId, WorkflowKey
from perdure.kernel.limits import Limits
from perdure.kernel.metering.events import Counts
from perdure.kernel.namespace import Namespace
from perdure.kernel.persistence.executions import (
    CurrentRun,
    DamagedRecord,
    ExecutionStore,
    Head,
    JournalRecord,
    ShardWrite,
    Snapshot,
    StoredExecution,
    StoreUnavailable,
    StoreUnusable,
)
from perdure.kernel.runtime import Runtime
from perdure.kernel.serving import named

logger = structlog.get_logger(__name__)

R = TypeVar("R")
T = TypeVar("T", bound=BaseTransition[Any])
L = TypeVar("L", bound=Loaded[Any])

#: Runs that a process keeps in memory, shared out evenly among its shards; the least recently used that nobody waits
#: for go first.
LOADED_MAX = 10_000
#: They go this part of all at a time, since looking for them costs more than letting them go.
_EVICTED_PART = 40
_INHERITED = encode_changes([EventsInherited()])
#: A snapshot is due when the journal written since the last one is larger than this and than twice the snapshot.
SNAPSHOT_TAIL_BYTES_MIN = 64 * 1024


class EffectSink(Protocol):
    """Performs effects; called after the commit, in order, and never blocks."""

    def perform(self, shard: Shard, loaded: Loaded[Any], effect: Effect) -> None: ...


class Shard:
    """The owner's side of one shard, for as long as it owns it: taking it again makes another object."""

    def __init__(
        self,
        shard_id: ShardId,
        epoch: int,
        runtime: Runtime,
        limits: Limits,
        store: ExecutionStore,
        committer: Committer,
        effects: EffectSink,
        metrics: HistoryMetrics | None = None,
        meter: Meter | None = None,
    ) -> None:
        self.metrics = metrics or HistoryMetrics()
        self.meter = meter or Meter()
        self.id = shard_id
        self.epoch = epoch
        self.store = store
        self.limits = limits
        self.runtime = runtime
        self.alarms = Alarms()
        #: Nothing is begun here any more: the shard was given back, or a write failed.
        self.closed = False
        #: Runs kept in memory.
        self.loaded_max = LOADED_MAX
        self._committer = committer
        self._effects = effects
        self._loaded: OrderedDict[ExecutionKey, Loaded[Any]] = OrderedDict()
        self._loading: dict[ExecutionKey, asyncio.Future[Loaded[Any] | None]] = {}
        self._current: OrderedDict[WorkflowKey, RunId] = OrderedDict()
        #: Runs whose removal is on its way to the disk: they must not be loaded again from what is still there.
        self._deleting: dict[ExecutionKey, Commit] = {}
        self._restores: set[asyncio.Task[None]] = set()
        #: The last commit of each namespace that is under way: those of one are durable in their order, and only those.
        self._last_commits: dict[NamespaceId, Commit] = {}

    # Finding

    async def current_run(self, key: WorkflowKey) -> RunId | None:
        """The run that the workflow id means now, or None."""
        self._check_open()
        run_id = self._current.get(key)
        if run_id is None:
            run_id = await self.store.current_run(self.id, key)
            # Somebody may have started one while we were looking.
            run_id = self._current.get(key, run_id)
            if run_id is not None:
                self._current[key] = run_id
                self._bound_current()
        return run_id

    def is_current(self, key: WorkflowKey, run_id: RunId | None) -> bool:
        """Whether `current_run`'s answer still holds, to be asked right before deciding on it."""
        return self._current.get(key) == run_id

    async def get(self, kind: type[L], key: WorkflowKey, run_id: str = "") -> L:
        """The run, or the current one if none is named. `key` is of that kind.

        Raises:
            NotFound: there is none.
            DataLoss: its records are damaged.
        """
        wanted = RunId(run_id) if run_id else await self.current_run(key)
        loaded = await self.find(kind, key.run(wanted)) if wanted is not None else None
        if loaded is None:
            raise kind.not_found(key.workflow_id, run_id)
        return loaded

    async def find(self, kind: type[L], key: ExecutionKey) -> L | None:
        """The run, loaded if need be, or None if it does not exist. `key` is of that kind.

        Raises:
            DataLoss: its records are damaged.
        """
        loaded = await self.find_any(key)
        assert loaded is None or isinstance(loaded, kind)
        return loaded

    async def find_any(self, key: ExecutionKey) -> Loaded[Any] | None:
        """The run of whatever kind.

        Raises:
            DataLoss: its records are damaged.
        """
        self._check_open()
        loaded = self._loaded.get(key)
        if loaded is not None:
            self.metrics.cache_hits += 1
            self._loaded.move_to_end(key)
            while loaded.restoring is not None:
                await asyncio.shield(loaded.restoring)
            # What could not be restored, or was forgotten meanwhile, is loaded anew.
            return loaded if self._loaded.get(key) is loaded else await self.find_any(key)
        if (deletion := self._deleting.get(key)) is not None:
            await deletion.wait()
            return None
        loading = self._loading.get(key)
        if loading is not None:
            await asyncio.wait((loading,))
            # If whoever loaded it was cancelled, that is nobody else's business.
            return await self.find_any(key) if loading.cancelled() else loading.result()
        loading = self._loading[key] = asyncio.get_running_loop().create_future()
        try:
            loaded = await self._load(key)
        except BaseException as error:
            del self._loading[key]
            if isinstance(error, Exception):
                loading.set_exception(error)
                loading.exception()
            else:
                loading.cancel()
            raise
        del self._loading[key]
        loading.set_result(loaded)
        return loaded

    def peek(self, kind: type[L], key: ExecutionKey) -> L | None:
        """The run if it is in memory."""
        loaded = self._loaded.get(key)
        assert loaded is None or isinstance(loaded, kind)
        return loaded

    async def _load(self, key: ExecutionKey) -> Loaded[Any] | None:
        kind = KINDS[key.kind]
        self.metrics.cache_misses += 1
        try:
            stored = await self.store.load(self.id, key)
            if stored is None:
                return None
            state = _fold(kind, stored)
        except DamagedRecord as error:
            await self._set_aside(key, error)
            raise DataLoss(f"the records of {_shown(key)} are damaged") from error
        except StoreUnusable:
            # Not for the one run to answer for, and nothing to be tried again.
            raise
        except StoreUnavailable as error:
            raise Unavailable("the store could not be read, try again") from error
        except Exception as error:
            await self._set_aside(key, error)
            raise DataLoss(f"the records of {_shown(key)} cannot be read") from error
        snapshot_size = len(stored.snapshot.state) if stored.snapshot else 0
        tail_size = sum(len(record.events) + len(record.changes) for record in stored.tail)
        loaded = kind(self, state, stored.head.sequence, snapshot_size, tail_size, stored.head.kept_bytes)
        for record in stored.tail:
            loaded.take_in(record)
        self._loaded[key] = loaded
        self._evict()
        return loaded

    async def _set_aside(self, key: ExecutionKey, error: Exception) -> None:
        logger.error("damaged execution set aside", **named(key), error=str(error))
        await self.store.quarantine(self.id, key, str(error), self.runtime.clock.now_ns())

    # Deciding

    def _check_open(self) -> None:
        if self.closed:
            raise NotOwner(f"shard {self.id}")

    def begin(self, kind: type[Loaded[T]], state: Any, namespace: Namespace) -> T:
        """A transition on a state, at this instant on its own clock."""
        runtime = self.runtime
        now = runtime.clock.now_ns() + kind.skipped_ns(state)
        return kind.new_transition(state, now, runtime.entropy, self.limits, namespace)

    def create(self, kind: type[L], tx: BaseTransition[Any]) -> L:
        """Take a new run in, whose beginning `tx` holds, and write it."""
        self._check_open()
        kind.settle(tx)
        loaded = kind(self, tx.state)
        write = ShardWrite(self.id)
        self._record_first(write, loaded, tx)
        self._adopt(loaded)
        self._submit(write, [(loaded, tx)])
        return loaded

    def decide(
        self,
        loaded: Loaded[T],
        namespace: Namespace,
        decision: Callable[[T], R],
        *,
        put_off: bool = False,
    ) -> R:
        """Make a decision on a run, synchronously, and queue what came of it for the next commit.

        With `put_off` it waits for the next write of this run instead. The caller awaits `loaded.committed()` before it
        tells anybody.
        """
        self._check_open()
        if loaded.restoring is not None or self._loaded.get(loaded.key) is not loaded:
            raise Unavailable("the run was reloaded, try again")
        tx = self.begin(type(loaded), loaded.state, namespace)
        try:
            result = decision(tx)
            if tx.dirty:
                loaded.settle(tx)
            if put_off and not tx.effects and tx.successor is None:
                if tx.dirty:
                    loaded.put_off(tx.events, tx.changes)
                    loaded.agenda.note(tx.events, tx.changes, tx.now)
                    wake_at = loaded.wall_ns(loaded.agenda.next_deadline(tx.now, namespace.retention_ns))
                    self._arm(loaded, wake_at, unwritten=True)
            elif tx.dirty:
                self._commit(loaded, tx)
            elif tx.effects:
                self._perform_once_durable(loaded, tx)
        except BaseException:
            if tx.dirty:
                self._restore(loaded)
            raise
        return result

    def flush(self, loaded: Loaded[Any], namespace: Namespace) -> None:
        """Write what was put off, because somebody wants to see it."""
        stale = loaded.restoring is not None or self._loaded.get(loaded.key) is not loaded
        if not stale and (loaded.unwritten_events or loaded.unwritten_changes):
            self._commit(loaded, self.begin(type(loaded), loaded.state, namespace))

    def unwritten(self) -> list[Loaded[Any]]:
        """Runs with something that was put off."""
        return [each for each in self._loaded.values() if each.unwritten_events or each.unwritten_changes]

    def _commit(self, loaded: Loaded[Any], tx: BaseTransition[Any]) -> None:
        write = ShardWrite(self.id)
        done: list[tuple[Loaded[Any], BaseTransition[Any]]] = [(loaded, tx)]
        if tx.successor is not None:
            loaded.settle(tx.successor)
            successor = type(loaded)(self, tx.successor.state)
            self._record_first(write, successor, tx.successor)
            done.append((successor, tx.successor))
        self._record(write, loaded, tx)
        if tx.successor is not None:
            self._adopt(successor)
        self._submit(write, done)

    def _record_first(self, write: ShardWrite, loaded: Loaded[Any], tx: BaseTransition[Any]) -> None:
        """As `_record`, for a new run. What it inherits comes first, in pieces of the size that reads have."""
        for batch in tx.inherited:
            loaded.sequence += 1
            record = JournalRecord(loaded.key, loaded.sequence, *batch, _INHERITED)
            write.journal.append(record)
            loaded.take_in(record)
            loaded.tail_size += len(batch.blob)
        write.current.append(CurrentRun(loaded.key.workflow, loaded.key.run_id))
        self._record(write, loaded, tx)

    def _record(self, write: ShardWrite, loaded: Loaded[Any], tx: BaseTransition[Any]) -> None:
        """Turn a transition into rows. If that cannot be done, nothing of it is left but the changed state."""
        state = loaded.state
        events, changes = loaded.with_unwritten(tx.events, tx.changes)
        blob = encode_events(events)
        change_blob = encode_changes(changes)
        actions = billable(loaded.kind, events, changes)
        # Of what has no history, the changes are what is kept.
        kept = len(blob if loaded.kind is ExecutionKind.WORKFLOW else change_blob)
        kept += sum(len(batch.blob) for batch in tx.inherited)
        state.state_transitions += 1
        tail_size = loaded.tail_size + len(blob) + len(change_blob)
        due = tail_size > max(SNAPSHOT_TAIL_BYTES_MIN, 2 * loaded.snapshot_size)
        snapshot = encode_state(state) if due else None
        shown = loaded.visibility_record(tx.namespace) if loaded.changes_visibility(events, changes) else None
        loaded.agenda.note(tx.events, tx.changes, tx.now)
        wake_at = loaded.wall_ns(loaded.agenda.next_deadline(tx.now, tx.namespace.retention_ns))
        # Nothing can go wrong any more.
        loaded.unwritten_events, loaded.unwritten_changes = [], []
        loaded.sequence += 1
        first = events[0].event_id if events else state.next_event_id
        record = JournalRecord(loaded.key, loaded.sequence, first, len(events), blob, change_blob)
        write.journal.append(record)
        loaded.take_in(record)
        self._arm(loaded, wake_at)
        self.meter.record(write, loaded, actions, kept, self.runtime.clock.now_ns())
        owes, sequence = loaded.agenda.owes, loaded.sequence
        write.heads.append(
            Head(loaded.key, sequence, state.next_event_id, state.status, wake_at or None, owes, loaded.kept_bytes)
        )
        if shown is not None:
            write.visibility.append(shown)
        loaded.tail_size = tail_size
        if snapshot is not None:
            write.snapshots.append(Snapshot(loaded.key, loaded.sequence, snapshot))
            loaded.snapshot_size = len(snapshot)
            loaded.tail_size = 0

    def _submit(self, write: ShardWrite, done: list[tuple[Loaded[Any], BaseTransition[Any]]]) -> None:
        def committed() -> None:
            self._count(write)
            for loaded, tx in done:
                for activity, outcome in tx.ended:
                    scheduled, took_ns = activity.scheduled, tx.now - activity.scheduled_at
                    kind, queue = scheduled.activity_type.name, scheduled.task_queue.name
                    self.metrics.activity_closed(loaded.key.namespace_id, kind, queue, outcome, took_ns)
                loaded.settled()
                self._perform(loaded, tx.effects)

        commit = self._commit_write(write, done[0][0].key, committed)
        for loaded, _ in done:
            loaded.commit = commit

    def _count(self, write: ShardWrite) -> None:
        self.metrics.transitions += len(write.heads)
        self.metrics.snapshots += len(write.snapshots)
        if write.visibility:
            begun = {current.run_id for current in write.current}
            for record in write.visibility:
                self.metrics.shown(record, begun=record.run_id in begun)

    def _commit_write(self, write: ShardWrite, key: ExecutionKey, committed: Callable[[], None]) -> Commit:
        namespace_id = key.namespace_id

        def done() -> None:
            if self._last_commits.get(namespace_id) is commit:
                del self._last_commits[namespace_id]
            committed()

        commit = self._last_commits[namespace_id] = self._committer.submit(write, self.epoch, namespace_id, done)
        return commit

    def _perform_once_durable(self, loaded: Loaded[Any], tx: BaseTransition[Any]) -> None:
        """What nothing new is written for still builds on what may be on its way to the disk."""
        if loaded.commit is None or loaded.commit.done:
            self._perform(loaded, tx.effects)
        else:
            self._submit(ShardWrite(self.id), [(loaded, tx)])

    def _perform(self, loaded: Loaded[Any], effects: list[Effect]) -> None:
        for effect in effects:
            self._effects.perform(self, loaded, effect)

    def _restore(self, loaded: Loaded[Any]) -> None:
        """A decision raised after it had begun to change the state: fold the state anew, without that decision."""
        events, changes = loaded.unwritten_events, loaded.unwritten_changes
        loaded.restoring = restoring = asyncio.get_running_loop().create_future()

        async def restore() -> None:
            try:
                await loaded.committed()
                stored = await self.store.load(self.id, loaded.key)
                if stored is None:
                    self._drop(loaded)
                    return
                state = _fold(type(loaded), stored)
                if events or changes:
                    replay(state, events, changes)
                    state.state_transitions -= 1
                loaded.state = state
                loaded.agenda = loaded.new_agenda(state)
            except Exception:
                logger.exception("a run could not be restored", **named(loaded.key))
                self._drop(loaded)
            finally:
                loaded.restoring = None
                restoring.set_result(None)

        task = asyncio.get_running_loop().create_task(restore())
        self._restores.add(task)
        task.add_done_callback(self._restores.discard)

    # Keeping

    def _drop(self, loaded: Loaded[Any]) -> None:
        if self._loaded.get(loaded.key) is loaded:
            del self._loaded[loaded.key]
        loaded.lost()

    def _adopt(self, loaded: Loaded[Any]) -> None:
        self._loaded[loaded.key] = loaded
        self._current[loaded.key.workflow] = loaded.key.run_id
        self._evict()
        self._bound_current()

    def _arm(self, loaded: Loaded[Any], wake_at: int, *, unwritten: bool = False) -> None:
        """See to it that the run is looked at at that instant, unless it is 0."""
        if wake_at and (unwritten or self.alarms.covers(wake_at, self.runtime.clock.now_ns())):
            self.alarms.set(loaded.key, wake_at)

    def rearm(self, loaded: Loaded[Any], namespace: Namespace) -> None:
        """Set the alarm again after it rang, also if nothing came of it."""
        unwritten = bool(loaded.unwritten_events or loaded.unwritten_changes)
        wake_at = loaded.agenda.next_deadline(loaded.now_ns, namespace.retention_ns)
        self._arm(loaded, loaded.wall_ns(wake_at), unwritten=unwritten)

    def _evict(self) -> None:
        excess = len(self._loaded) - self.loaded_max
        if excess < self.loaded_max // _EVICTED_PART:
            return
        for key, loaded in list(islice(self._loaded.items(), excess + 64)):
            if excess > 0 and loaded.evictable:
                del self._loaded[key]
                excess -= 1

    def _bound_current(self) -> None:
        while len(self._current) > 4 * self.loaded_max:
            key, run_id = self._current.popitem(last=False)
            if key.run(run_id) in self._loaded:
                # Still in use, perhaps not written yet: keep it, as the newest.
                self._current[key] = run_id
                return

    def count(self, loaded: Loaded[Any], actions: Counts) -> Commit:
        """Count actions on a run that write nothing else."""
        self._check_open()
        write = ShardWrite(self.id)
        self.meter.count(write, loaded, actions, self.runtime.clock.now_ns())
        return self._commit_write(write, loaded.key, lambda: None)

    def delete(self, loaded: Loaded[Any], actions: Counts | None = None) -> Commit:
        """Remove every trace of a run. `actions` is what that costs, if it is the first to remove it."""
        self._check_open()
        key, now = loaded.key, self.runtime.clock.now_ns()
        if (under_way := self._deleting.get(key)) is not None:
            return under_way
        if self._loaded.get(key) is not loaded:
            raise Unavailable("the run was reloaded, try again")
        write = ShardWrite(self.id, deleted=[key])
        self.meter.delete(write, loaded, now)
        if actions:
            self.meter.count(write, loaded, actions, now)
        self._loaded.pop(key, None)
        if self._current.get(key.workflow) == key.run_id:
            del self._current[key.workflow]

        def deleted() -> None:
            self._deleting.pop(key, None)
            loaded.wake_waiters()

        commit = self._commit_write(write, key, deleted)
        self._deleting[key] = loaded.commit = commit
        return commit

    def erase(self, head: Head) -> Commit:
        """Remove every trace of a run, readable or not, loaded or not, whose head was read just now."""
        self._check_open()
        key = head.key
        if (loaded := self._loaded.get(key)) is not None:
            return self.delete(loaded)
        if (under_way := self._deleting.get(key)) is not None:
            return under_way
        write = ShardWrite(self.id, deleted=[key])
        self.meter.erase(write, head, self.runtime.clock.now_ns())
        if self._current.get(key.workflow) == key.run_id:
            del self._current[key.workflow]

        def erased() -> None:
            self._deleting.pop(key, None)

        commit = self._deleting[key] = self._commit_write(write, key, erased)
        return commit

    def forget(self) -> None:
        """Let go of everything: the shard is another owner's, or what is in memory cannot be trusted."""
        self.closed = True
        loaded_runs = list(self._loaded.values())
        self._loaded.clear()
        self._current.clear()
        self._deleting.clear()
        self.alarms.clear()
        for loaded in loaded_runs:
            loaded.lost()

    async def confirmed(self, namespace_id: NamespaceId) -> None:
        """Return when everything that was submitted for a namespace is durable.

        Raises:
            Unavailable: it is lost.
        """
        commit = self._last_commits.get(namespace_id)
        if commit is not None:
            await commit.wait()

    async def settled(self) -> None:
        """Return when everything that was submitted is durable, or is lost."""
        for commit in list(self._last_commits.values()):
            with contextlib.suppress(Unavailable):
                await commit.wait()

    @property
    def held(self) -> Collection[Loaded[Any]]:
        """What is in memory now."""
        return self._loaded.values()

    @property
    def loaded_count(self) -> int:
        return len(self._loaded)


def _shown(key: ExecutionKey) -> str:
    return f"{key.kind.name.lower()} {key.workflow_id}, run {key.run_id}"


def _fold(kind: type[Loaded[Any]], stored: StoredExecution) -> Any:
    """The state that the stored records amount to."""
    if stored.snapshot:
        state = decode_state(kind.state_type, stored.snapshot.state)
    else:
        key = stored.head.key
        state = kind.state_type(key.namespace_id, key.workflow_id, key.run_id)
    for record in stored.tail:
        replay(state, decode_events(record.events), decode_changes(record.changes))
    return state
