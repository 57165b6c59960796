"""Reading a run's history: from memory where it is recent, from the store where it is not."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from temporalio.api.history.v1 import HistoryEvent

from perdure.history.kinds.workflow import LoadedExecution
from perdure.history.shard import Shard
from perdure.history.state.codec import decode_events
from perdure.history.transition import EventBatch
from perdure.kernel.errors import DataLoss
from perdure.kernel.persistence.executions import DamagedRecord, JournalRecord
from perdure.kernel.serving import named

logger = structlog.get_logger(__name__)

#: Bytes of events in one page, so that a reply stays below what clients accept (4 MiB).
PAGE_BYTES_MAX = 2 * 1024 * 1024


async def read(
    shard: Shard, loaded: LoadedExecution, from_event_id: int, to_event_id: int, count_max: int
) -> Sequence[HistoryEvent]:
    """Events from `from_event_id` up to, not including, `to_event_id`; fewer if there are many or large ones.

    Events that are not written yet are included: whoever may not see them says so with `to_event_id`.

    Raises:
        DataLoss: some of them are damaged.
        Unavailable: some of them were lost before they were written.
    """
    events: list[HistoryEvent] = []
    recent: Sequence[EventBatch] = loaded.recent
    unwritten: Sequence[HistoryEvent] = loaded.unwritten_events
    if not recent or from_event_id < recent[0].first_event_id:
        # Memory moves on while the store is read: hold on to what follows upon it.
        recent, unwritten = tuple(recent), tuple(unwritten)
        in_memory = recent[0].first_event_id if recent else unwritten[0].event_id if unwritten else to_event_id
        records = await _stored(shard, loaded, from_event_id, min(to_event_id, in_memory))
        for record in records:
            events += decode_events(record.events)
        events = [event for event in events if from_event_id <= event.event_id < to_event_id]
        if events:
            from_event_id = events[-1].event_id + 1
        if len(events) >= count_max or (records and from_event_id < in_memory):
            return events[:count_max]
    size = 0
    for batch in recent:
        if batch.end <= from_event_id:
            continue
        if batch.first_event_id >= to_event_id or size > PAGE_BYTES_MAX or len(events) >= count_max:
            break
        size += len(batch.blob)
        events += [event for event in decode_events(batch.blob) if from_event_id <= event.event_id < to_event_id]
    else:
        events += [event for event in unwritten if from_event_id <= event.event_id < to_event_id]
    return events[:count_max]


async def _stored(
    shard: Shard, loaded: LoadedExecution, from_event_id: int, to_event_id: int
) -> Sequence[JournalRecord]:
    # Memory lets go of the oldest events even if they are still on their way to the disk.
    await loaded.committed()
    try:
        return await shard.store.read_history(shard.id, loaded.key, from_event_id, to_event_id, PAGE_BYTES_MAX)
    except DamagedRecord as error:
        raise _damaged(loaded, error) from error


def _damaged(loaded: LoadedExecution, error: DamagedRecord) -> DataLoss:
    """The run itself can go on: it is only its past that cannot be shown."""
    key = loaded.key
    logger.error("damaged history", **named(key), error=str(error))
    return DataLoss(f"the history of workflow {key.workflow_id}, run {key.run_id} is damaged")


async def stored_batches(shard: Shard, loaded: LoadedExecution) -> Sequence[bytes]:
    """The whole history of a closed run, as serialised `History` messages that follow each other.

    Raises:
        DataLoss: some of it is damaged, or missing.
        Unavailable: some of it was lost before it was written.
    """
    batches: list[bytes] = []
    reached, end = 1, loaded.state.next_event_id
    while reached < end:
        records = await _stored(shard, loaded, reached, end)
        batches += [record.events for record in records]
        if not records or records[0].first_event_id != reached:
            raise DataLoss(f"the history of workflow {loaded.key.workflow_id}, run {loaded.key.run_id} has gaps")
        reached = records[-1].first_event_id + records[-1].event_count
    return batches


async def read_reverse(
    shard: Shard, loaded: LoadedExecution, to_event_id: int, count_max: int
) -> Sequence[HistoryEvent]:
    """Events below `to_event_id`, newest first. Raises as `read` does."""
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
        await loaded.committed()
        try:
            records = await shard.store.read_history_reverse(shard.id, loaded.key, below, PAGE_BYTES_MAX)
        except DamagedRecord as error:
            raise _damaged(loaded, error) from error
        for record in records:
            events += [event for event in reversed(decode_events(record.events)) if event.event_id < below]
    return events[:count_max]


async def event(shard: Shard, loaded: LoadedExecution, event_id: int) -> HistoryEvent:
    """One event that is known to exist."""
    return (await read(shard, loaded, event_id, event_id + 1, 1))[0]
