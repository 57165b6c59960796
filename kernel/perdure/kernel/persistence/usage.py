"""Usage: what tenants have used, by the hour. Written by `ExecutionStore.write`, with what it measures; read here.

An hour is a number: whole hours since the Unix epoch, in UTC. Everything that is written only ever adds up, so that
who writes needs to know nothing of what was written before, and which shard has written it does not matter.

Bytes that are kept are written as they come and go. The byte-hours of a quiet month follow from that without any
write in it: what was there before an hour was there for all of it, and what came within it from then on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

HOUR_MS = 3_600_000
HOUR_NS = HOUR_MS * 1_000_000


class Action(NamedTuple):
    """What is counted apart. `type` is the workflow's, or what stands for it; `background`: nobody asked for it now."""

    namespace_id: str
    hour: int
    action: str
    type: str
    background: bool


class BytesChanged(NamedTuple):
    """So many bytes of executions that are open, and of closed ones, came (or went, if negative) at that instant."""

    namespace_id: str
    at_ms: int
    active: int
    retained: int


class HourOfBytes(NamedTuple):
    """The changes of one hour, added up: bytes, and bytes times the milliseconds from the change to the hour's end."""

    active: int = 0
    active_byte_ms: int = 0
    retained: int = 0
    retained_byte_ms: int = 0

    def plus(self, other: HourOfBytes) -> HourOfBytes:
        return HourOfBytes(*(mine + its for mine, its in zip(self, other, strict=True)))


class Storage(NamedTuple):
    """What was kept of a namespace in an hour, in bytes times milliseconds."""

    hour: int
    active_byte_ms: int
    retained_byte_ms: int


class ActionCount(NamedTuple):
    """How many times, over all shards."""

    action: Action
    times: int


def by_hour(changes: Iterable[BytesChanged]) -> dict[tuple[str, int], HourOfBytes]:
    """PURE: changes as they are stored, by namespace and hour."""
    hours: dict[tuple[str, int], list[int]] = {}
    for namespace_id, at_ms, active, retained in changes:
        hour = at_ms // HOUR_MS
        left_ms = (hour + 1) * HOUR_MS - at_ms
        sums = hours.get((namespace_id, hour))
        if sums is None:
            hours[namespace_id, hour] = sums = [0, 0, 0, 0]
        sums[0] += active
        sums[1] += active * left_ms
        sums[2] += retained
        sums[3] += retained * left_ms
    return {at: HourOfBytes(*sums) for at, sums in hours.items()}


def integrated(
    before: HourOfBytes, hours: Mapping[int, HourOfBytes], from_hour: int, until_hour: int, now_ms: int
) -> list[Storage]:
    """PURE: the hours in [from_hour, until_hour) that have begun, the present one up to now.

    `before` is the sum of all earlier hours, of which only the bytes matter.
    """
    active, retained = before.active, before.retained
    kept = []
    for hour in range(from_hour, min(until_hour, now_ms // HOUR_MS + 1)):
        change = hours.get(hour, HourOfBytes())
        active_byte_ms = active * HOUR_MS + change.active_byte_ms
        retained_byte_ms = retained * HOUR_MS + change.retained_byte_ms
        active += change.active
        retained += change.retained
        to_come_ms = max((hour + 1) * HOUR_MS - now_ms, 0)
        kept.append(
            Storage(
                hour,
                max(active_byte_ms - active * to_come_ms, 0),
                max(retained_byte_ms - retained * to_come_ms, 0),
            )
        )
    return kept


class UsageStore(Protocol):
    """Reads usage. Every read sees all writes that have returned.

    All methods raise StoreUnavailable, or StoreUnusable, if the store cannot be read or written.
    """

    async def actions(
        self, namespace_id: str, from_hour: int, until_hour: int, after: Action | None, limit: int
    ) -> Sequence[ActionCount]:
        """Actions of the hours in [from_hour, until_hour), ordered as `Action` is, strictly after the cursor."""
        ...

    async def storage(self, namespace_id: str, from_hour: int, until_hour: int, now_ms: int) -> Sequence[Storage]:
        """Every hour in [from_hour, until_hour) that has begun, in order, the present one up to now.

        The answer has an entry for each of them, so the caller bounds the range, by what is kept (`KEPT_HOURS`).
        Hours of which usage was forgotten are as if nothing had ever changed in them.
        """
        ...

    async def forget(self, before_hour: int, limit: int) -> int:
        """Remove usage of the hours before that one, at most `limit` rows of each sort at a time, and say how many.

        What is kept now, and was written so long ago, goes on to count.
        """
        ...
