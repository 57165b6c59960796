"""A `UsageStore` that is told what was used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from perdure.kernel.persistence.usage import (
    HOUR_MS,
    Action,
    ActionCount,
    BytesChanged,
    HourOfBytes,
    Storage,
    by_hour,
    integrated,
)


class MemoryUsage:
    """See `perdure.kernel.persistence.usage.UsageStore`."""

    def __init__(self) -> None:
        self.counts: Counter[Action] = Counter()
        self.changes: list[BytesChanged] = []

    def count(self, namespace_id: str, hour: int, action: str, times: int, kind: str = "Order") -> None:
        self.counts[Action(namespace_id, hour, action, kind, action == "schedule_workflow")] += times

    def keep(self, namespace_id: str, hour: int, active: int, retained: int = 0) -> None:
        """From the beginning of the hour on there are so many bytes more."""
        self.changes.append(BytesChanged(namespace_id, hour * HOUR_MS, active, retained))

    async def actions(
        self, namespace_id: str, from_hour: int, until_hour: int, after: Action | None, limit: int
    ) -> Sequence[ActionCount]:
        found = sorted(
            action
            for action in self.counts
            if action.namespace_id == namespace_id
            and from_hour <= action.hour < until_hour
            and (after is None or action > after)
        )
        return [ActionCount(action, self.counts[action]) for action in found[:limit]]

    async def storage(self, namespace_id: str, from_hour: int, until_hour: int, now_ms: int) -> Sequence[Storage]:
        hours = {hour: sums for (of, hour), sums in by_hour(self.changes).items() if of == namespace_id}
        before = HourOfBytes()
        for hour, sums in hours.items():
            if hour < from_hour:
                before = before.plus(sums)
        return integrated(before, hours, from_hour, until_hour, now_ms)

    async def forget(self, before_hour: int, limit: int) -> int:
        raise AssertionError("the control plane forgets nothing")
