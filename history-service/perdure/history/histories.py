"""Reading a run's history: from memory where it is recent, from the store where it is not."""

from __future__ import annotations

from collections.abc import Sequence

from temporalio.api.history.v1 import HistoryEvent

from perdure.history.loaded import LoadedExecution
from perdure.history.shard import Shard
from perdure.history.state.codec import decode_events

#: Bytes of events in one page, so that a reply stays below what clients accept (4 MiB).
PAGE_BYTES_MAX = 2 * 1024 * 1024


async def read(
    shard: Shard, loaded: LoadedExecution, from_event_id: int, to_event_id: int, count_max: int
) -> Sequence[HistoryEvent]:
    """Events from `from_event_id` up to, not including, `to_event_id`; fewer if there are many or large ones.

    Events that are not written yet are included: whoever may not see them says so with `to_event_id`.
    """
    events: list[HistoryEvent] = []
    recent = loaded.recent
    if not recent or from_event_id < recent[0].first_event_id:
        in_memory = recent[0].first_event_id if recent else to_event_id
        records = await shard.store.read_history(
            shard.id, loaded.key, from_event_id, min(to_event_id, in_memory), PAGE_BYTES_MAX
        )
        for record in records:
            events += decode_events(record.events)
        events = [event for event in events if from_event_id <= event.event_id < to_event_id]
        if events:
            from_event_id = events[-1].event_id + 1
        if len(events) >= count_max or (records and from_event_id < in_memory):
            return events[:count_max]
    size = 0
    for batch in loaded.recent:
        if batch.end <= from_event_id:
            continue
        if batch.first_event_id >= to_event_id or size > PAGE_BYTES_MAX or len(events) >= count_max:
            break
        size += len(batch.blob)
        events += [event for event in decode_events(batch.blob) if from_event_id <= event.event_id < to_event_id]
    else:
        events += [event for event in loaded.unwritten_events if from_event_id <= event.event_id < to_event_id]
    return events[:count_max]


async def read_reverse(
    shard: Shard, loaded: LoadedExecution, to_event_id: int, count_max: int
) -> Sequence[HistoryEvent]:
    """Events below `to_event_id`, newest first."""
    events: list[HistoryEvent] = []
    size = 0
    for batch in reversed(loaded.recent):
        if batch.first_event_id >= to_event_id:
            continue
        if size > PAGE_BYTES_MAX or len(events) >= count_max:
            return events[:count_max]
        size += len(batch.blob)
        events += [event for event in reversed(decode_events(batch.blob)) if event.event_id < to_event_id]
    below = events[-1].event_id if events else to_event_id
    if below > 1 and len(events) < count_max and size <= PAGE_BYTES_MAX:
        for record in await shard.store.read_history_reverse(shard.id, loaded.key, below, PAGE_BYTES_MAX):
            events += [event for event in reversed(decode_events(record.events)) if event.event_id < below]
    return events[:count_max]


async def event(shard: Shard, loaded: LoadedExecution, event_id: int) -> HistoryEvent:
    """One event that is known to exist."""
    return (await read(shard, loaded, event_id, event_id + 1, 1))[0]
