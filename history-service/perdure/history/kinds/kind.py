"""What a shard needs of an execution in memory, whatever its kind.

Workflows, standalone activities and schedules live on the same shards under the same rules: a decision on a transition,
folded at once, written as one journal record, and its effects after the commit. A kind brings a state (a struct with
the attributes named in `State`), a transition, an agenda and a visibility record, and is one subclass of `Loaded`.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from temporalio.api.history.v1 import HistoryEvent

from perdure.history.commits import Commit
from perdure.history.effects import Effect
from perdure.history.state.changes import AnyChange, EventsRecorded
from perdure.history.transition import BaseTransition
from perdure.kernel.entropy import Entropy
from perdure.kernel.errors import NotFound
from perdure.kernel.ids import ExecutionKey, ExecutionKind
from perdure.kernel.limits import Limits
from perdure.kernel.namespace import Namespace
from perdure.kernel.persistence.executions import JournalRecord
from perdure.kernel.persistence.visibility import VisibilityRecord

if TYPE_CHECKING:
    from perdure.history.shard import Shard

T = TypeVar("T", bound=BaseTransition[Any])
T_contra = TypeVar("T_contra", bound=BaseTransition[Any], contravariant=True)


class State(Protocol):
    """What the state of an execution has, whatever its kind. Constructed from namespace id, workflow id and run id."""

    status: int
    closed_at: int
    state_transitions: int

    @property
    def key(self) -> ExecutionKey: ...

    @property
    def running(self) -> bool: ...

    @property
    def next_event_id(self) -> int:
        """1 for a kind without a history."""
        ...


class Agenda(Protocol[T_contra]):
    """What an execution owes the world, and when it wants attention next. Derived from its state."""

    def note(self, events: Iterable[HistoryEvent], changes: Iterable[AnyChange], now: int) -> None:
        """Take in what a transition did."""
        ...

    def next_deadline(self, now: int, retention: int) -> int:
        """The earliest instant at which the execution wants attention; 0 if it wants none."""
        ...

    def expire(self, tx: T_contra) -> None:
        """Let everything happen whose instant has come."""
        ...

    @property
    def owes(self) -> bool:
        """Whether anything waits for somebody else: if the process dies now, it has to be brought up again."""
        ...

    def outstanding(self, now: int) -> list[Effect]:
        """All effects that are owed: earlier ones may have been lost."""
        ...


class Loaded(ABC, Generic[T]):
    """One execution that a shard holds in memory.

    `unwritten` is what was recorded without a commit of its own (the start of a workflow task); it goes along with the
    next write, and is lost with the process, after which the task is simply given out again.
    """

    __slots__ = (
        "agenda",
        "commit",
        "kept_bytes",
        "kept_open",
        "key",
        "restoring",
        "sequence",
        "shard",
        "snapshot_size",
        "state",
        "tail_size",
        "unwritten_changes",
        "unwritten_events",
        "waiters",
        "wake_at",
    )

    kind: ClassVar[ExecutionKind]
    #: The struct that the state is.
    state_type: ClassVar[type[Any]]

    def __init__(
        self,
        shard: Shard,
        state: Any,
        sequence: int = 0,
        snapshot_size: int = 0,
        tail_size: int = 0,
        kept_bytes: int = 0,
    ) -> None:
        self.shard = shard
        self.key: ExecutionKey = state.key
        self.state = state
        self.agenda = self.new_agenda(state)
        self.sequence = sequence
        self.snapshot_size = snapshot_size
        self.tail_size = tail_size
        #: What the tenant pays for keeping as of the last write, and whether as an open execution.
        self.kept_bytes = kept_bytes
        self.kept_open: bool = state.running
        self.commit: Commit | None = None
        self.unwritten_events: list[HistoryEvent] = []
        self.unwritten_changes: list[AnyChange] = []
        #: When the shard's alarm for this execution is set; 0 if it is not.
        self.wake_at = 0
        #: Woken after each commit.
        self.waiters: list[asyncio.Future[None]] = []
        #: Set while the state is being folded anew after a decision that raised half-way.
        self.restoring: asyncio.Future[None] | None = None

    # What a kind brings

    @staticmethod
    @abstractmethod
    def new_agenda(state: Any) -> Agenda[T]: ...

    @staticmethod
    @abstractmethod
    def not_found(workflow_id: str, run_id: str) -> NotFound:
        """The answer to whoever looks for an execution of this kind that does not exist."""

    @staticmethod
    @abstractmethod
    def new_transition(state: Any, now: int, entropy: Entropy, limits: Limits, namespace: Namespace) -> T:
        """What a decision on the state is made on."""

    @staticmethod
    def skipped_ns(state: Any) -> int:
        """How far the execution's own clock is ahead of the wall's. All instants in its state are on its own."""
        return 0

    @staticmethod
    def settle(tx: T) -> None:
        """Decide what follows from everything else that a transition has decided, at its end."""

    @abstractmethod
    def changes_visibility(self, events: Sequence[HistoryEvent], changes: Sequence[AnyChange]) -> bool:
        """Whether a list would show something else after this."""

    @abstractmethod
    def visibility_record(self, namespace: Namespace) -> VisibilityRecord:
        """What list and count see of it now."""

    @property
    @abstractmethod
    def metered_type(self) -> str:
        """The type by which its usage is told apart."""

    def take_in(self, record: JournalRecord) -> None:
        """A journal record was written or read: keep of it what will be asked for soon."""

    def settled(self) -> None:
        """A commit is durable: tell those who wait for news."""
        self.wake_waiters()

    def lost(self) -> None:
        """The shard is lost and this is worth nothing any more: tell those who wait."""
        self.wake_waiters()

    # What all have

    @property
    def now_ns(self) -> int:
        """Now, on the execution's own clock."""
        return self.shard.runtime.clock.now_ns() + self.skipped_ns(self.state)

    def wall_ns(self, instant: int) -> int:
        """When that is on the clock of everybody else; 0, for never, remains 0."""
        return instant - self.skipped_ns(self.state) if instant else 0

    async def committed(self) -> None:
        """Return when everything decided on this execution so far is durable.

        Raises:
            Unavailable: it was lost.
        """
        if self.commit is not None:
            await self.commit.wait()

    @property
    def evictable(self) -> bool:
        """Whether nothing would be lost by forgetting this execution."""
        return not (
            (self.commit is not None and not self.commit.done)
            or self.unwritten_events
            or self.unwritten_changes
            or self.waiters
            or self.restoring
        )

    def put_off(self, events: Sequence[HistoryEvent], changes: Sequence[AnyChange]) -> None:
        """Hold this back until the next write."""
        merged_events, merged_changes = self.with_unwritten(events, changes)
        self.unwritten_events, self.unwritten_changes = list(merged_events), list(merged_changes)

    def with_unwritten(
        self, events: Sequence[HistoryEvent], changes: Sequence[AnyChange]
    ) -> tuple[Sequence[HistoryEvent], Sequence[AnyChange]]:
        """What is to be written now: what was held back, and then this."""
        before = self.unwritten_changes
        if changes and self.unwritten_events:
            # Events so far come before these changes; say so, since order matters in a replay.
            accounted = sum(change.count for change in before if type(change) is EventsRecorded)
            if tail := len(self.unwritten_events) - accounted:
                before = [*before, EventsRecorded(tail)]
        return [*self.unwritten_events, *events], [*before, *changes]

    async def next_commit(self) -> None:
        """Return after the next commit, or when there is nothing to wait for any more: look again."""
        waiter = asyncio.get_running_loop().create_future()
        self.waiters.append(waiter)
        try:
            await waiter
        finally:
            if waiter in self.waiters:
                self.waiters.remove(waiter)

    def wake_waiters(self) -> None:
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
