"""Writes down what transitions cost, beside what they write. What it is that they cost says `metering`."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from perdure.history.kinds.kind import Loaded
from perdure.history.state.execution import OPEN
from perdure.kernel.ids import NamespaceId
from perdure.kernel.metering.actions import BACKGROUND, OTHER_TYPES, TYPES_MAX
from perdure.kernel.metering.events import Counts
from perdure.kernel.persistence.executions import Head, ShardWrite
from perdure.kernel.persistence.usage import HOUR_NS, Action, BytesChanged

_MS_NS = 1_000_000


class Meter:
    """One for a process: it bounds how many types of workflows are told apart."""

    def __init__(self) -> None:
        self._hour = 0
        self._types: defaultdict[NamespaceId, set[str]] = defaultdict(set)

    def record(self, write: ShardWrite, loaded: Loaded[Any], counts: Counts, size: int, now_ns: int) -> None:
        """A journal record is being written: the actions in it, and how many bytes of it the tenant pays for keeping.

        `loaded` is as it is after it.
        """
        if counts:
            self.count(write, loaded, counts, now_ns)
        before, was_open, is_open = loaded.kept_bytes, loaded.kept_open, loaded.state.running
        loaded.kept_bytes = after = before + size
        loaded.kept_open = is_open
        active = (after if is_open else 0) - (before if was_open else 0)
        retained = size - active
        if active or retained:
            write.bytes_changed.append(BytesChanged(loaded.key.namespace_id, now_ns // _MS_NS, active, retained))

    def count(self, write: ShardWrite, loaded: Loaded[Any], counts: Counts, now_ns: int) -> None:
        """These actions were done on an execution."""
        namespace_id, hour = loaded.key.namespace_id, now_ns // HOUR_NS
        kind = self._told_apart(namespace_id, loaded.metered_type, hour)
        for action, count in counts.items():
            key = Action(namespace_id, hour, action, kind, action in BACKGROUND)
            write.actions[key] = write.actions.get(key, 0) + count

    def delete(self, write: ShardWrite, loaded: Loaded[Any], now_ns: int) -> None:
        """The execution is removed."""
        _gone(write, loaded.key.namespace_id, loaded.kept_bytes, now_ns, is_open=loaded.kept_open)

    def erase(self, write: ShardWrite, head: Head, now_ns: int) -> None:
        """An execution that is not in memory is removed."""
        _gone(write, head.key.namespace_id, head.kept_bytes, now_ns, is_open=head.status in OPEN)

    def _told_apart(self, namespace_id: NamespaceId, kind: str, hour: int) -> str:
        if hour != self._hour:
            self._hour = hour
            self._types.clear()
        known = self._types[namespace_id]
        if kind in known:
            return kind
        if len(known) >= TYPES_MAX:
            return OTHER_TYPES
        known.add(kind)
        return kind


def _gone(write: ShardWrite, namespace_id: NamespaceId, size: int, now_ns: int, *, is_open: bool) -> None:
    if size:
        active, retained = (-size, 0) if is_open else (0, -size)
        write.bytes_changed.append(BytesChanged(namespace_id, now_ns // _MS_NS, active, retained))
