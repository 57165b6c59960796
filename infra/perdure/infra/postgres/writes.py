"""PURE: from a batch of writes to the parameters of statements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from zlib import crc32

import msgspec

from perdure.infra.postgres import statements
from perdure.infra.postgres.dialect import storable
from perdure.infra.postgres.statements import Part
from perdure.infra.visibility.rows import attribute_values, visibility_values
from perdure.kernel.ids import ExecutionKey, ShardId, WorkflowKey
from perdure.kernel.persistence.executions import ShardWrite
from perdure.kernel.persistence.usage import Action, BytesChanged, by_hour
from perdure.kernel.persistence.visibility import VisibilityRecord

Row = tuple[Any, ...]


class Segment:
    """The rows of writes that can go in one statement. Of rows that replace each other only the last is kept."""

    def __init__(self) -> None:
        self._journal: list[Row] = []
        #: Runs that begin here, of which nothing can be in the database.
        self._new: set[Row] = set()
        self._heads: dict[Row, Row] = {}
        self._current: dict[Row, Row] = {}
        self._snapshots: dict[Row, Row] = {}
        self._visibility: dict[Row, VisibilityRecord] = {}
        self._actions: dict[Action, int] = {}
        self._bytes_changed: list[BytesChanged] = []
        self._deleted: dict[Row, Row] = {}

    def add(self, write: ShardWrite) -> None:
        """The rows of a write, without its deletions."""
        shard = write.shard
        for key, sequence, first_event_id, count, events, changes in write.journal:
            namespace_id, workflow_id, run_id, kind = key
            if sequence == 1:
                self._new.add((shard, namespace_id, run_id, workflow_id, kind))
            self._journal.append(
                (
                    *(shard, namespace_id, run_id, workflow_id, kind, first_event_id, sequence, count),
                    *(crc32(events), crc32(changes), changes, events),
                )
            )
        for key, sequence, next_event_id, status, wake_at_ns, needs_dispatch, kept_bytes in write.heads:
            run = _run(shard, key)
            self._heads[run] = (*run, sequence, next_event_id, status, wake_at_ns, needs_dispatch, kept_bytes)
        for (namespace_id, workflow_id, kind), run_id in write.current:
            self._current[shard, namespace_id, workflow_id, kind] = (shard, namespace_id, workflow_id, kind, run_id)
        for key, sequence, state in write.snapshots:
            run = _run(shard, key)
            self._snapshots[run] = (*run, sequence, crc32(state), state)
        for record in write.visibility:
            self._visibility[shard, record.namespace_id, record.run_id, record.workflow_id, record.kind] = record
        for action, count in write.actions.items():
            self._actions[action] = self._actions.get(action, 0) + count
        self._bytes_changed += write.bytes_changed

    def delete(self, shard: ShardId, keys: Iterable[ExecutionKey]) -> None:
        for key in keys:
            run = _run(shard, key)
            self._deleted[run] = run

    def statement(self, epochs: Mapping[ShardId, int]) -> tuple[str, list[Any]]:
        """The statement that writes all this and its parameters."""
        parts: list[Part] = []
        parameters: list[Any] = [list(epochs), list(epochs.values())]

        def write(part: Part, rows: Iterable[Row]) -> None:
            parts.append(part)
            parameters.extend(zip(*rows, strict=True))

        if self._journal:
            write(statements.JOURNAL, self._journal)
        if self._heads:
            write(statements.HEADS, self._heads.values())
        if self._current:
            write(statements.CURRENT, self._current.values())
        if self._snapshots:
            write(statements.SNAPSHOTS, self._snapshots.values())
        if self._actions:
            write(statements.USAGE, self._usage(min(epochs)))
        if self._bytes_changed:
            shard = min(epochs)
            write(statements.STORAGE, [(shard, *at, *hour) for at, hour in by_hour(self._bytes_changed).items()])
        if self._visibility:
            write(statements.VISIBILITY, [(*run, *visibility_values(each)) for run, each in self._visibility.items()])
            kept, attributes = self._attributes()
            if kept:
                write(statements.FORGOTTEN_ATTRIBUTES, kept)
            if attributes:
                write(statements.ATTRIBUTES, attributes)
        if self._deleted:
            write(statements.DELETIONS[0], self._deleted)
            parts.extend(statements.DELETIONS[1:])
        return statements.compose(tuple(parts)), parameters

    def _usage(self, shard: ShardId) -> list[Row]:
        """All booked to one of the shards: their commits are one by one anyway, and it takes fewer rows."""
        counts: dict[Row, int] = {}
        for (namespace_id, hour, action, kind, background), count in self._actions.items():
            counted = (shard, namespace_id, hour, action, storable(kind), background)
            counts[counted] = counts.get(counted, 0) + count
        return [(*counted, count) for counted, count in counts.items()]

    def _attributes(self) -> tuple[list[Row], list[Row]]:
        """What is kept of the attributes of runs that may have had others, and all that there are now."""
        kept: list[Row] = []
        attributes: list[Row] = []
        for run, record in self._visibility.items():
            if not record.search_attributes:
                if run not in self._new:
                    kept.append((*run, None))
                continue
            counts: dict[str, int] = {}
            for name, position, value in attribute_values(record):
                counts[name] = position + 1
                attributes.append((*run, name, position, *_typed(value)))
            if run not in self._new:
                kept.append((*run, msgspec.json.encode(counts).decode()))
        return kept, attributes


def segments(writes: Sequence[ShardWrite]) -> Iterator[Segment]:
    """The batch in as few statements as keep its order.

    What was written before a deletion goes with it, what comes after does not; that only matters where both are about
    the same workflow id, which is then split.
    """
    segment = Segment()
    if not any(write.deleted for write in writes):
        for write in writes:
            segment.add(write)
        yield segment
        return
    written: set[WorkflowKey] = set()
    deleted: set[WorkflowKey] = set()
    for write in writes:
        touched = _touched(write)
        if not deleted.isdisjoint(touched):
            yield segment
            segment, written, deleted = Segment(), set(), set()
        segment.add(write)
        written |= touched
        going = {key.workflow for key in write.deleted}
        if not written.isdisjoint(going):
            yield segment
            segment, written, deleted = Segment(), set(), set()
        segment.delete(write.shard, write.deleted)
        deleted |= going
    yield segment


def _touched(write: ShardWrite) -> set[WorkflowKey]:
    return {
        *(each.key.workflow for rows in (write.journal, write.heads, write.snapshots) for each in rows),
        *(each.key for each in write.current),
        *(WorkflowKey(each.namespace_id, each.workflow_id, each.kind) for each in write.visibility),
    }


def _run(shard: ShardId, key: ExecutionKey) -> Row:
    namespace_id, workflow_id, run_id, kind = key
    return shard, namespace_id, run_id, workflow_id, kind


def _typed(value: str | int | float | bool) -> Row:
    """A value as text, integer and double, of which one is set."""
    if isinstance(value, str):
        return storable(value), None, None
    if isinstance(value, float):
        return None, None, value
    return None, int(value), None
