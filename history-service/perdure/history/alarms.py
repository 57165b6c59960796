"""When which run is to be looked at. Holds the near future only; the store's heads hold the rest."""

from __future__ import annotations

import asyncio
from heapq import heappop, heappush

from perdure.kernel.clock import SECOND_NS
from perdure.kernel.ids import ExecutionKey

#: How far ahead alarms are kept in memory.
WINDOW_NS = 180 * SECOND_NS


class Alarms:
    """A priority queue with at most one live entry per run; setting an alarm later than the live one does nothing,
    since a run that is looked at too early just says when it wants to be looked at next."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, ExecutionKey]] = []
        self._live: dict[ExecutionKey, int] = {}
        #: Up to this instant the store's heads have been taken in.
        self.horizon_ns = 0
        #: Resolved when an alarm is set before the one that was the earliest.
        self.changed: asyncio.Future[None] | None = None

    def covers(self, at: int, now: int) -> bool:
        """Whether an alarm at this instant belongs here rather than to a later look at the store."""
        return at <= max(self.horizon_ns, now + WINDOW_NS)

    def set(self, key: ExecutionKey, at: int) -> None:
        live = self._live.get(key)
        if live is None or at < live:
            self._live[key] = at
            heappush(self._heap, (at, key))
            if self._heap[0][0] == at and self.changed is not None and not self.changed.done():
                self.changed.set_result(None)

    def next(self) -> int:
        """The earliest alarm's instant, 0 if there is none."""
        heap = self._heap
        while heap:
            at, key = heap[0]
            if self._live.get(key) == at:
                return at
            heappop(heap)
        return 0

    def take_due(self, now: int, limit: int) -> list[ExecutionKey]:
        """Remove and return the runs whose alarm has rung, earliest first, at most `limit`."""
        due: list[ExecutionKey] = []
        while len(due) < limit and (at := self.next()) and at <= now:
            _, key = heappop(self._heap)
            del self._live[key]
            due.append(key)
        return due

    def clear(self) -> None:
        self._heap.clear()
        self._live.clear()
        self.horizon_ns = 0
        if self.changed is not None and not self.changed.done():
            self.changed.set_result(None)
