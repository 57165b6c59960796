"""Executions: journal, heads, snapshots and current-run pointers of one shard, written together or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from perdure.kernel.ids import ExecutionKey, RunId, ShardId, WorkflowKey
from perdure.kernel.persistence.usage import Action, BytesChanged
from perdure.kernel.persistence.visibility import VisibilityRecord


class StoreError(Exception):
    """Base of what stores raise of their own; the engine maps these."""


class ShardLost(StoreError):
    """Another owner has raised the epoch: nothing of the batch that belongs to this shard was written."""

    def __init__(self, shards: Sequence[ShardId]) -> None:
        super().__init__(f"shards {list(shards)} have a new owner")
        self.shards = tuple(shards)


class StoreUnavailable(StoreError):
    """The store could not read or write. After a failed write the owner reloads: it may have happened."""


class StoreUnusable(StoreUnavailable):
    """As above, for a reason that waiting does not heal: the store is not what this version knows, or is corrupt."""


class DataRefused(StoreUnusable):
    """The store cannot hold what it was given, and never will. Who was asked together with it can be asked alone."""


class DamagedRecord(StoreError):
    """A stored blob does not match its checksum or cannot be decoded. Belongs to one execution alone."""

    def __init__(self, key: ExecutionKey | WorkflowKey, what: str) -> None:
        super().__init__(f"damaged {what} of {key}")
        self.key = key
        self.what = what


class JournalRecord(NamedTuple):
    """What one committed write added to one run. Records of a run are numbered 1, 2, 3, ... without gaps.

    `events` is a serialised `temporal.api.history.v1.History` with the events from `first_event_id` on, empty bytes
    when the write added no event (then `first_event_id` is the id that the next event will get, and `event_count` 0).
    `changes` is what no event records, encoded by the engine.
    """

    key: ExecutionKey
    sequence: int
    first_event_id: int
    event_count: int
    events: bytes
    changes: bytes


class Head(NamedTuple):
    """The small row per run that recovery, timers and retention look at.

    `wake_at_ns` is the earliest instant at which the run wants attention, None if never. `needs_dispatch` is true while
    the run owes the outside world something (a task to matching, a message to another execution).
    `sequence` is the number of the run's last journal record. `kept_bytes` is what the tenant pays for keeping: what
    was announced as `BytesChanged` for this run so far, active or retained.
    """

    key: ExecutionKey
    sequence: int
    next_event_id: int
    status: int
    wake_at_ns: int | None
    needs_dispatch: bool
    kept_bytes: int = 0


class CurrentRun(NamedTuple):
    """Which run a workflow id means when the caller names none: the newest, open or closed."""

    key: WorkflowKey
    run_id: RunId


class Snapshot(NamedTuple):
    """The whole state of a run as of journal record `sequence`; replaces the run's earlier snapshot."""

    key: ExecutionKey
    sequence: int
    state: bytes


@dataclass(slots=True)
class ShardWrite:
    """Everything that one transition wants written; atomic, and atomic with its neighbours in the same batch.

    `deleted` names runs of which everything is removed: journal, head, snapshot, visibility, and the current-run
    pointer if it still points at that run. `actions` and `bytes_changed` are what it costs.
    """

    shard: ShardId
    journal: list[JournalRecord] = field(default_factory=list)
    heads: list[Head] = field(default_factory=list)
    current: list[CurrentRun] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    visibility: list[VisibilityRecord] = field(default_factory=list)
    deleted: list[ExecutionKey] = field(default_factory=list)
    actions: dict[Action, int] = field(default_factory=dict)
    bytes_changed: list[BytesChanged] = field(default_factory=list)

    @property
    def size(self) -> int:
        """In bytes, of what can be large."""
        kept = sum(len(record.events) + len(record.changes) for record in self.journal)
        return kept + sum(len(snapshot.state) for snapshot in self.snapshots)


class StoredExecution(NamedTuple):
    """What is needed to rebuild a run's state: its snapshot, if any, and the journal records after it, in order."""

    head: Head
    snapshot: Snapshot | None
    tail: Sequence[JournalRecord]


class ExecutionStore(Protocol):
    """The data plane's own store. All reads see every write whose `write` has returned."""

    def database_of(self, shard: ShardId) -> str:
        """A name for the database that holds the shard now: only writes to one database can share a transaction."""
        ...

    async def write(self, writes: Sequence[ShardWrite], epochs: Mapping[ShardId, int]) -> None:
        """Write all of them in one durable transaction, in order, checking each shard's epoch once.

        Raises:
            ShardLost: an epoch in `epochs` is not the stored one; nothing was written.
            DataRefused: one of the writes is impossible; nothing was written.
        """
        ...

    async def current_run(self, shard: ShardId, key: WorkflowKey) -> RunId | None:
        """The run that the workflow id means, or None if there never was one or all were deleted."""
        ...

    async def load(self, shard: ShardId, key: ExecutionKey) -> StoredExecution | None:
        """Everything needed to rebuild the run, or None if it does not exist.

        Raises:
            DamagedRecord: a blob of this run is damaged.
        """
        ...

    async def read_history(
        self, shard: ShardId, key: ExecutionKey, from_event_id: int, to_event_id: int, limit_bytes: int
    ) -> Sequence[JournalRecord]:
        """Journal records with events that intersect [from_event_id, to_event_id), in ascending order.

        At least one record if any intersects, then as many as fit `limit_bytes` of event bytes. `changes` is empty.

        Raises:
            DamagedRecord: a blob of this run is damaged.
        """
        ...

    async def read_history_reverse(
        self, shard: ShardId, key: ExecutionKey, to_event_id: int, limit_bytes: int
    ) -> Sequence[JournalRecord]:
        """Journal records with events below `to_event_id`, newest first, bounded as in `read_history`."""
        ...

    async def due(
        self, shard: ShardId, until_ns: int, after: tuple[int, ExecutionKey] | None, limit: int
    ) -> Sequence[Head]:
        """Heads with `wake_at_ns` <= until_ns, ordered by (wake_at_ns, key) as below, strictly after the cursor."""
        ...

    async def undispatched(self, shard: ShardId, after: ExecutionKey | None, limit: int) -> Sequence[Head]:
        """Heads with `needs_dispatch`, ordered by namespace id, run id, workflow id, strictly after the cursor."""
        ...

    async def runs(self, shard: ShardId, namespace_id: str, after: ExecutionKey | None, limit: int) -> Sequence[Head]:
        """All heads of a namespace on this shard, in the order of `undispatched`: for deletion and checkers."""
        ...

    async def quarantine(self, shard: ShardId, key: ExecutionKey, reason: str, now_ns: int) -> None:
        """Note that this run is damaged and keep it aside: it no longer shows up in `due` or `undispatched`."""
        ...
