"""PURE: the unit of work in which a decision is made.

A decision is a plain function over a `Transition`. It reads `state`, and says what happens with `record` (an event),
`change` (what no event records), `effect` (for the world, after the commit) and `successor` (a next run, created in the
same commit). Events and changes take effect on the state at once, so a batch of commands simply alternates deciding
and folding. A decision that raises leaves no trace: the shard throws the changed state away and folds it anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from temporalio.api.common.v1 import Link
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.sdk.v1 import UserMetadata

from perdure.history.effects import Effect
from perdure.history.fold import amend, evolve, number_buffered
from perdure.history.state.changes import AnyChange, EventBuffered, EventsRecorded
from perdure.history.state.execution import Activity, Execution
from perdure.kernel.entropy import Entropy
from perdure.kernel.limits import Limits
from perdure.kernel.namespace import Namespace
from perdure.kernel.prototime import timestamp

S = TypeVar("S")

_ATTRIBUTES = {
    number: f"{name.removeprefix('EVENT_TYPE_').lower()}_event_attributes" for name, number in EventType.items()
}

#: Outcomes come last when the buffer is flushed, so that a signal sent before an activity's result is seen before it.
_OUTCOMES = frozenset(
    number
    for name, number in EventType.items()
    if name.startswith(("EVENT_TYPE_ACTIVITY_TASK_", "EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_"))
    and name.endswith(("_COMPLETED", "_FAILED", "_TIMED_OUT", "_CANCELED", "_TERMINATED"))
)


#: Events that an SDK which does not know them can pass over.
_IGNORABLE = frozenset(
    {
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_PAUSED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UNPAUSED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIME_SKIPPING_TRANSITIONED,
        EventType.EVENT_TYPE_NEXUS_OPERATION_CANCEL_REQUEST_COMPLETED,
        EventType.EVENT_TYPE_NEXUS_OPERATION_CANCEL_REQUEST_FAILED,
    }
)


class EventBatch(NamedTuple):
    """Consecutive events of a run, serialised as a `History`."""

    first_event_id: int
    event_count: int
    blob: bytes

    @property
    def end(self) -> int:
        return self.first_event_id + self.event_count


class BaseTransition(Generic[S]):
    """One decision in the making, on an execution of any kind. `now` is the same instant for all of it (ns)."""

    __slots__ = (
        "changes",
        "effects",
        "ended",
        "entropy",
        "events",
        "inherited",
        "limits",
        "namespace",
        "now",
        "state",
        "successor",
    )

    def __init__(self, state: S, now: int, entropy: Entropy, limits: Limits, namespace: Namespace) -> None:
        self.state = state
        self.now = now
        self.entropy = entropy
        self.limits = limits
        self.namespace = namespace
        #: Stays empty for kinds that have no history.
        self.events: list[HistoryEvent] = []
        #: Events of another run with which a new one begins: `state` has them folded.
        self.inherited: Sequence[EventBatch] = ()
        self.changes: list[AnyChange] = []
        self.effects: list[Effect] = []
        #: Activities that ended in it, and how, to be counted once it is durable.
        self.ended: list[tuple[Activity, str]] = []
        #: A next run, created in the same commit.
        self.successor: BaseTransition[Any] | None = None

    @property
    def dirty(self) -> bool:
        """Whether anything happened that must be written."""
        return bool(self.events or self.changes)

    def change(self, change: AnyChange) -> None:
        """Note and fold what no event records."""
        self.changes.append(change)
        amend(self.state, change)

    def effect(self, effect: Effect) -> None:
        self.effects.append(effect)


class Transition(BaseTransition[Execution]):
    """One decision in the making on a workflow run, whose history it may add to."""

    __slots__ = ("_tail", "user_metadata")

    def __init__(self, state: Execution, now: int, entropy: Entropy, limits: Limits, namespace: Namespace) -> None:
        super().__init__(state, now, entropy, limits, namespace)
        #: Summary and details that the command being applied wants on its events.
        self.user_metadata: UserMetadata | None = None
        #: Events at the end of `events` that no `EventsRecorded` change accounts for yet.
        self._tail = 0

    def record(
        self,
        event_type: EventType.ValueType,
        *,
        links: Iterable[Link] = (),
        user_metadata: UserMetadata | None = None,
        **attributes: Any,
    ) -> HistoryEvent:
        """Append an event to the history, now. `attributes` are the fields of the event's attributes message."""
        fields: dict[str, Any] = {_ATTRIBUTES[event_type]: attributes}
        event = HistoryEvent(
            event_time=timestamp(self.now),
            event_type=event_type,
            links=links,
            user_metadata=user_metadata if user_metadata is not None else self.user_metadata,
            **fields,
        )
        self._append(event)
        return event

    def arrive(self, event_type: EventType.ValueType, *, links: Iterable[Link] = (), **attributes: Any) -> HistoryEvent:
        """Something happened to the run from outside. While a workflow task runs it is held back in the buffer."""
        fields: dict[str, Any] = {_ATTRIBUTES[event_type]: attributes}
        event = HistoryEvent(event_time=timestamp(self.now), event_type=event_type, links=links, **fields)
        self._stamp(event)
        task = self.state.workflow_task
        if task is not None and task.started_event_id:
            self.change(EventBuffered(event))
        else:
            self._append(event)
        return event

    def change(self, change: AnyChange) -> None:
        if self._tail:
            self.changes.append(EventsRecorded(self._tail))
            self._tail = 0
        super().change(change)

    def flush_buffer(self) -> None:
        """Let the buffered events enter the history: no workflow task is running any more."""
        buffered = self.state.buffered
        if not buffered:
            return
        ordered = [event for event in buffered if event.event_type not in _OUTCOMES]
        ordered += [event for event in buffered if event.event_type in _OUTCOMES]
        if self._tail:
            self.changes.append(EventsRecorded(self._tail))
            self._tail = 0
        started: dict[int, int] = {}
        for event in ordered:
            event.event_id = self.state.next_event_id
            _wire(event, started)
            self.events.append(event)
            number_buffered(self.state, event)
        self.changes.append(EventsRecorded(len(ordered), folded=True))

    def _stamp(self, event: HistoryEvent) -> None:
        if event.event_type in _IGNORABLE:
            event.worker_may_ignore = True
        if self.namespace.failover_version:
            event.version = self.namespace.failover_version

    def _append(self, event: HistoryEvent) -> None:
        event.event_id = self.state.next_event_id
        self._stamp(event)
        self.events.append(event)
        evolve(self.state, event)
        self._tail += 1


def _wire(event: HistoryEvent, started: dict[int, int]) -> None:
    """Point a buffered outcome at the buffered start that it belongs to, whose id is known only now."""
    kind = event.event_type
    if kind == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
        started[event.activity_task_started_event_attributes.scheduled_event_id] = event.event_id
    elif kind == EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED:
        started[event.child_workflow_execution_started_event_attributes.initiated_event_id] = event.event_id
    elif kind in _OUTCOMES:
        attributes = getattr(event, _ATTRIBUTES[kind])
        if not attributes.started_event_id:
            origin = getattr(attributes, "scheduled_event_id", 0) or getattr(attributes, "initiated_event_id", 0)
            attributes.started_event_id = started.get(origin, 0)
