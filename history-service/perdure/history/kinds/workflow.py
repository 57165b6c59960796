"""A workflow run in memory: its state, and what belongs to it that is never written down."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.query.v1 import WorkflowQuery, WorkflowQueryResult
from temporalio.api.update.v1 import Outcome

from perdure.history import visibility
from perdure.history.commits import Commit
from perdure.history.kinds.kind import Loaded
from perdure.history.kinds.workflow_agenda import Agenda
from perdure.history.machines import time_skipping
from perdure.history.state.changes import AnyChange
from perdure.history.state.execution import Execution
from perdure.history.transition import EventBatch, Transition
from perdure.kernel.errors import NotFound, NotOwner, workflow_not_found
from perdure.kernel.ids import ExecutionKind
from perdure.kernel.namespace import Namespace
from perdure.kernel.persistence.executions import JournalRecord
from perdure.kernel.persistence.visibility import VisibilityRecord

if TYPE_CHECKING:
    from perdure.history.shard import Shard

#: Bytes of recent events that a run keeps in memory, so that the usual reads need no store.
RECENT_BYTES_MAX = 256 * 1024


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


class LoadedExecution(Loaded[Transition]):
    """One workflow run that a shard holds in memory."""

    __slots__ = ("asked", "queries", "recent", "recent_size", "update_waiters")

    kind = ExecutionKind.WORKFLOW
    state_type = Execution
    new_agenda = Agenda
    new_transition = Transition

    state: Execution
    agenda: Agenda

    def __init__(
        self,
        shard: Shard,
        state: Execution,
        sequence: int = 0,
        snapshot_size: int = 0,
        tail_size: int = 0,
        kept_bytes: int = 0,
    ) -> None:
        super().__init__(shard, state, sequence, snapshot_size, tail_size, kept_bytes)
        self.recent: deque[EventBatch] = deque()
        self.recent_size = 0
        self.update_waiters: dict[str, list[asyncio.Future[UpdateNews]]] = {}
        self.queries: dict[str, PendingQuery] = {}
        #: Queries on their way by themselves, and the commit of what they cost once a worker has got them.
        self.asked: dict[str, Commit | None] = {}

    @staticmethod
    def not_found(workflow_id: str, run_id: str) -> NotFound:
        return workflow_not_found(workflow_id, run_id)

    @staticmethod
    def skipped_ns(state: Execution) -> int:
        return state.time_skipping.skipped if state.time_skipping is not None else 0

    @staticmethod
    def settle(tx: Transition) -> None:
        time_skipping.settle(tx)

    def changes_visibility(self, events: Sequence[HistoryEvent], changes: Sequence[AnyChange]) -> bool:
        return visibility.changes_visibility(self.state, events, changes)

    def visibility_record(self, namespace: Namespace) -> VisibilityRecord:
        return visibility.visibility_record(self.state, namespace)

    @property
    def metered_type(self) -> str:
        return self.state.started.workflow_type.name

    @property
    def evictable(self) -> bool:
        return super().evictable and not (self.update_waiters or self.queries or self.asked)

    def take_in(self, record: JournalRecord) -> None:
        """Keep the newest events at hand."""
        if not record.event_count:
            return
        self.recent.append(EventBatch(record.first_event_id, record.event_count, record.events))
        self.recent_size += len(record.events)
        while self.recent_size > RECENT_BYTES_MAX and len(self.recent) > 1:
            self.recent_size -= len(self.recent.popleft().blob)

    def settled(self) -> None:
        super().settled()
        if not self.state.running:
            self.release_queries()

    def lost(self) -> None:
        super().lost()
        for update_id in list(self.update_waiters):
            self.tell_update_waiters(update_id, UpdateNews(error=NotOwner("the execution")))
        for pending in self.queries.values():
            if not pending.answer.done():
                pending.answer.set_exception(NotOwner("the execution"))

    def release_queries(self) -> None:
        """No workflow task will carry the waiting queries any more: let each go to a worker by itself."""
        for pending in self.queries.values():
            if not pending.answer.done():
                pending.answer.set_result(None)

    def tell_update_waiters(self, update_id: str, news: UpdateNews) -> None:
        for waiter in self.update_waiters.pop(update_id, ()):
            if not waiter.done():
                waiter.set_result(news)
