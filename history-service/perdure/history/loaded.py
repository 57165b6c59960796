"""A run in memory: its state, and what belongs to it that is never written down."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.query.v1 import WorkflowQuery, WorkflowQueryResult
from temporalio.api.update.v1 import Outcome

from perdure.history.agenda import Agenda
from perdure.history.commits import Commit
from perdure.history.state.changes import AnyChange, EventsRecorded
from perdure.history.state.execution import Execution
from perdure.kernel.ids import ExecutionKey

if TYPE_CHECKING:
    from perdure.history.shard import Shard

#: Bytes of recent events that a run keeps in memory, so that the usual reads need no store.
RECENT_BYTES_MAX = 256 * 1024


class EventBatch(NamedTuple):
    """Consecutive events of a run, serialised as a `History`."""

    first_event_id: int
    event_count: int
    blob: bytes

    @property
    def end(self) -> int:
        return self.first_event_id + self.event_count


class PendingQuery:
    """A query that waits to travel with the next workflow task. `answer` is None when it should go by itself
    instead.
    """

    __slots__ = ("answer", "query", "sent")

    def __init__(self, query: WorkflowQuery) -> None:
        self.query = query
        self.sent = False
        self.answer: asyncio.Future[WorkflowQueryResult | None] = asyncio.get_running_loop().create_future()


class UpdateNews(NamedTuple):
    """What a waiter for an update is told. With neither, it is to look at the state again."""

    outcome: Outcome | None = None
    error: Exception | None = None


class LoadedExecution:
    """One run that a shard holds in memory.

    `unwritten` is what was recorded without a commit of its own (the start of a workflow task); it goes along with the
    next write, and is lost with the process, after which the task is simply given out again.
    """

    __slots__ = (
        "agenda",
        "commit",
        "history_waiters",
        "key",
        "queries",
        "recent",
        "recent_size",
        "restoring",
        "sequence",
        "shard",
        "snapshot_size",
        "state",
        "tail_size",
        "unwritten_changes",
        "unwritten_events",
        "update_waiters",
        "wake_at",
    )

    def __init__(
        self, shard: Shard, state: Execution, sequence: int = 0, snapshot_size: int = 0, tail_size: int = 0
    ) -> None:
        self.shard = shard
        self.key: ExecutionKey = state.key
        self.state = state
        self.agenda = Agenda(state)
        self.sequence = sequence
        self.snapshot_size = snapshot_size
        self.tail_size = tail_size
        self.commit: Commit | None = None
        self.unwritten_events: list[HistoryEvent] = []
        self.unwritten_changes: list[AnyChange] = []
        self.recent: deque[EventBatch] = deque()
        self.recent_size = 0
        #: When the shard's alarm for this run is set; 0 if it is not.
        self.wake_at = 0
        self.history_waiters: list[asyncio.Future[None]] = []
        self.update_waiters: dict[str, list[asyncio.Future[UpdateNews]]] = {}
        self.queries: dict[str, PendingQuery] = {}
        #: Set while the state is being folded anew after a decision that raised half-way.
        self.restoring: asyncio.Future[None] | None = None

    async def committed(self) -> None:
        """Return when everything decided on this run so far is durable.

        Raises:
            Unavailable: it was lost.
        """
        if self.commit is not None:
            await self.commit.wait()

    @property
    def evictable(self) -> bool:
        """Whether nothing would be lost by forgetting this run."""
        return not (
            (self.commit is not None and not self.commit.done)
            or self.unwritten_events
            or self.unwritten_changes
            or self.history_waiters
            or self.update_waiters
            or self.queries
            or self.restoring
        )

    def remember(self, batch: EventBatch) -> None:
        """Keep the newest events at hand."""
        self.recent.append(batch)
        self.recent_size += len(batch.blob)
        while self.recent_size > RECENT_BYTES_MAX and len(self.recent) > 1:
            self.recent_size -= len(self.recent.popleft().blob)

    def put_off(self, events: Sequence[HistoryEvent], changes: Sequence[AnyChange]) -> None:
        """Hold this back until the next write."""
        if changes and self.unwritten_events:
            # Events so far come before these changes; say so, since order matters in a replay.
            accounted = sum(change.count for change in self.unwritten_changes if type(change) is EventsRecorded)
            if tail := len(self.unwritten_events) - accounted:
                self.unwritten_changes.append(EventsRecorded(tail))
        self.unwritten_events += events
        self.unwritten_changes += changes

    def take_unwritten(self) -> tuple[list[HistoryEvent], list[AnyChange]]:
        events, changes = self.unwritten_events, self.unwritten_changes
        self.unwritten_events, self.unwritten_changes = [], []
        return events, changes

    def wake_history_waiters(self) -> None:
        waiters, self.history_waiters = self.history_waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def release_queries(self) -> None:
        """No workflow task will carry the waiting queries any more: let each go to a worker by itself."""
        for pending in self.queries.values():
            if not pending.answer.done():
                pending.answer.set_result(None)

    def tell_update_waiters(self, update_id: str, news: UpdateNews) -> None:
        for waiter in self.update_waiters.pop(update_id, ()):
            if not waiter.done():
                waiter.set_result(news)
