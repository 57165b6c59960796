"""Usage of a namespace over some time, added up from its hours."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from perdure.kernel.persistence.usage import Action, ActionCount, UsageStore

_PAGE = 1000


@dataclass(slots=True)
class Used:
    """`actions` are those that are paid for; storage is in bytes times seconds."""

    actions: int = 0
    active_byte_s: int = 0
    retained_byte_s: int = 0


class Kind(NamedTuple):
    """What actions are told apart by."""

    action: str
    type: str


@dataclass(slots=True)
class Breakdown:
    """How many times each action was done, by the kind of action and the type of workflow."""

    times: Counter[Kind] = field(default_factory=Counter)

    def by_action(self) -> Mapping[str, int]:
        return self._added_up(0)

    def by_type(self) -> Mapping[str, int]:
        return self._added_up(1)

    def _added_up(self, place: int) -> Mapping[str, int]:
        sums: Counter[str] = Counter()
        for kind, times in self.times.items():
            sums[kind[place]] += times
        return sums


async def by_hour(
    store: UsageStore, namespace_id: str, from_hour: int, until_hour: int, now_ms: int
) -> dict[int, Used]:
    """Each hour in [from_hour, until_hour) that has begun, the present one up to now.

    Raises:
        StoreError: usage cannot be read.
    """
    hours = {
        each.hour: Used(0, each.active_byte_ms // 1000, each.retained_byte_ms // 1000)
        for each in await store.storage(namespace_id, from_hour, until_hour, now_ms)
    }
    async for counted in _actions(store, namespace_id, from_hour, until_hour):
        hours.setdefault(counted.action.hour, Used()).actions += counted.times
    return hours


async def total(store: UsageStore, namespace_id: str, from_hour: int, until_hour: int, now_ms: int) -> Used:
    """The same in one sum."""
    return sum_of(await by_hour(store, namespace_id, from_hour, until_hour, now_ms), from_hour, until_hour)


def sum_of(hours: Mapping[int, Used], from_hour: int, until_hour: int) -> Used:
    """PURE: the hours in [from_hour, until_hour) of those."""
    whole = Used()
    for hour in range(from_hour, until_hour):
        if used := hours.get(hour):
            whole.actions += used.actions
            whole.active_byte_s += used.active_byte_s
            whole.retained_byte_s += used.retained_byte_s
    return whole


async def breakdown(store: UsageStore, namespace_id: str, from_hour: int, until_hour: int) -> Breakdown:
    """By action and type of workflow, which is what invoices do not show.

    Raises:
        StoreError: usage cannot be read.
    """
    found = Breakdown()
    async for counted in _actions(store, namespace_id, from_hour, until_hour):
        found.times[Kind(counted.action.action, counted.action.type)] += counted.times
    return found


async def rates(store: UsageStore, namespace_id: str, from_hour: int, until_hour: int) -> list[float]:
    """The actions per second of each hour, without what happens in the background, which no limit applies to."""
    hours: Counter[int] = Counter()
    async for counted in _actions(store, namespace_id, from_hour, until_hour):
        if not counted.action.background:
            hours[counted.action.hour] += counted.times
    return [hours[hour] / 3600 for hour in range(from_hour, until_hour)]


async def _actions(store: UsageStore, namespace_id: str, from_hour: int, until_hour: int) -> AsyncIterator[ActionCount]:
    after: Action | None = None
    while True:
        page = await store.actions(namespace_id, from_hour, until_hour, after, _PAGE)
        for counted in page:
            yield counted
        if len(page) < _PAGE:
            return
        after = page[-1].action
