"""Playbooks: a run that decisions are made on without shard, store or loop. Decision in; events, changes, effects out.

    run = start()
    run.turn(c.start_timer("t", seconds=5))
    run.wake().expect(
        event("TimerFired", id=6, timer_id="t"),
        event("WorkflowTaskScheduled", id=7),
        OfferWorkflowTask(),
    )

A playbook names the fields that matter to it; whatever else an event says is for the differential suite. What holds for
every machine is checked after each decision, see `Run._check`.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.command.v1 import Command
from temporalio.api.common.v1 import Payload, Payloads, WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent, WorkflowExecutionStartedEventAttributes
from temporalio.api.protocol.v1 import Message as ProtocolMessage
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest, RespondWorkflowTaskCompletedRequest

from perdure.history import completion
from perdure.history.commands import CommandFailure
from perdure.history.effects import (
    CancelNexusOperation,
    Effect,
    OfferActivityTask,
    OfferWorkflowTask,
    StartNexusOperation,
)
from perdure.history.fold import replay
from perdure.history.kinds.workflow import LoadedExecution
from perdure.history.kinds.workflow_agenda import Agenda
from perdure.history.machines import nexus_events, nexus_operation, reset, update, workflow, workflow_task
from perdure.history.machines.nexus_operation import News
from perdure.history.state.changes import AnyChange, Change, EventBuffered, EventsInherited, EventsRecorded
from perdure.history.state.codec import decode_changes, decode_events, encode_changes, encode_events
from perdure.history.state.execution import Activity, Child, Execution, WorkflowTask
from perdure.history.transition import Transition
from perdure.kernel.clock import SECOND_NS, VirtualClock
from perdure.kernel.entropy import Entropy
from perdure.kernel.ids import NamespaceId, NamespaceName, RunId, WorkflowId
from perdure.kernel.limits import Limits
from perdure.kernel.namespace import Namespace
from perdure.kernel.nexus import NexusEndpoint
from perdure.kernel.tokens import WorkflowTaskToken
from tests.differential.commands import protocol_message

NAMESPACE = Namespace(NamespaceId("namespace-1"), NamespaceName("default"))
WORKER = "worker"
#: What commands can start Nexus operations at.
ENDPOINTS = {"pay": NexusEndpoint("endpoint-1", "pay", NAMESPACE.id, "payments")}

# What is expected -----------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Expected:
    """Something that happens, with those of its fields that matter."""

    name: str
    fields: dict[str, Any]


def event(name: str, /, **fields: Any) -> Expected:
    """An event enters the history: `id`, and fields of its attributes. Durations are seconds, enums short names."""
    return Expected(name, fields)


def buffered(name: str, /, **fields: Any) -> Expected:
    """An event is held back, since a workflow task is running."""
    return Expected(f"buffered {name}", fields)


def change(kind: type[Change], /, **fields: Any) -> Expected:
    """Something is noted that no event records."""
    return Expected(kind.__name__, fields)


def effect(kind: type[Effect], /, **fields: Any) -> Expected:
    """Something is to be done in the world. An instance will do where all of its fields matter."""
    return Expected(kind.__name__, fields)


# What happened --------------------------------------------------------------------------------------------------------

Happening = HistoryEvent | AnyChange | Effect


def _name(happening: Happening | Expected) -> str:
    if isinstance(happening, Expected):
        return happening.name
    if isinstance(happening, HistoryEvent):
        words = EventType.Name(happening.event_type).removeprefix("EVENT_TYPE_").split("_")
        return "".join(word.capitalize() for word in words)
    if isinstance(happening, EventBuffered):
        return f"buffered {_name(happening.event)}"
    return type(happening).__name__


def _field(happening: Happening | Expected, name: str) -> Any:
    if isinstance(happening, Expected):
        return happening.fields[name]
    if isinstance(happening, EventBuffered):
        return _field(happening.event, name)
    if not isinstance(happening, HistoryEvent):
        return getattr(happening, name)
    if name == "id":
        return happening.event_id
    attributes = getattr(happening, cast(str, happening.WhichOneof("attributes")))
    return shown(getattr(attributes, name), attributes.DESCRIPTOR.fields_by_name[name].enum_type)


def _fields(happening: Happening | Expected) -> Sequence[str]:
    """All that there is to be said."""
    if isinstance(happening, Expected):
        return list(happening.fields)
    if isinstance(happening, EventBuffered):
        return _fields(happening.event)
    if isinstance(happening, HistoryEvent):
        attributes = getattr(happening, cast(str, happening.WhichOneof("attributes")))
        return ["id", *(field.name for field, _ in attributes.ListFields())]
    if dataclasses.is_dataclass(happening):
        return [field.name for field in dataclasses.fields(happening)]
    return cast(Sequence[str], cast(Any, happening).__struct_fields__)


def shown(value: Any, enum_type: Any = None) -> Any:
    """A value as a playbook writes it."""
    if enum_type is not None and not isinstance(value, int):
        return [shown(each, enum_type) for each in value]
    if enum_type is not None:
        prefix = "".join(f"_{letter}" if letter.isupper() else letter for letter in enum_type.name).upper()[1:]
        return enum_type.values_by_number[value].name.removeprefix(f"{prefix}_")
    if isinstance(value, Duration):
        return value.ToNanoseconds() / SECOND_NS
    if isinstance(value, Timestamp):
        return value.ToNanoseconds()
    if isinstance(value, Payload):
        return json.loads(value.data)
    if isinstance(value, Payloads):
        return [shown(payload) for payload in value.payloads]
    if isinstance(value, Failure):
        return value.message
    if isinstance(value, WorkflowExecution):
        return f"{value.workflow_id}/{value.run_id}"
    if isinstance(value, Message):
        if "name" in value.DESCRIPTOR.fields_by_name:
            return cast(Any, value).name
        return {field.name: shown(each, field.enum_type) for field, each in value.ListFields()}
    if hasattr(value, "items"):
        return {key: shown(each) for key, each in sorted(value.items())}
    return value


def _line(happening: Happening | Expected, fields: Sequence[str]) -> str:
    texts = []
    for name in fields:
        value = shown(_field(happening, name))
        texts.append(f"{name}={int(value) if isinstance(value, float) and value.is_integer() else value!r}")
    return f"{_name(happening)}({', '.join(texts)})"


@dataclasses.dataclass
class Play:
    """What a decision led to: events and changes in the order of things, then effects."""

    happened: list[Happening]
    result: Any = None
    #: The run after this one, if it was created.
    successor: Run | None = None

    def expect(self, *expected: Expected | Effect) -> Play:
        """Fail unless exactly this happened, in this order."""
        matcher = difflib.SequenceMatcher(None, [*map(_name, expected)], [*map(_name, self.happened)], autojunk=False)
        counterparts = {
            block.b + offset: expected[block.a + offset]
            for block in matcher.get_matching_blocks()
            for offset in range(block.size)
        }
        wanted = [_line(each, _fields(each)) for each in expected]
        actual = [_line(each, _fields(counterparts.get(n, each))) for n, each in enumerate(self.happened)]
        if wanted != actual:
            raise AssertionError("- expected, + happened\n" + "\n".join(difflib.ndiff(wanted, actual)))
        return self

    def events(self) -> list[str]:
        """The names of the events that entered the history, where nothing else matters."""
        return [_name(each) for each in self.happened if isinstance(each, HistoryEvent)]


# The run --------------------------------------------------------------------------------------------------------------


class Run:
    """One run on a clock of its own, with a worker that does as it is told."""

    def __init__(
        self, state: Execution, clock: VirtualClock, entropy: Entropy, limits: Limits, namespace: Namespace
    ) -> None:
        self.clock = clock
        self.entropy = entropy
        self.limits = limits
        self.namespace = namespace
        self.history: list[HistoryEvent] = []
        #: What `start` led to.
        self.beginning = Play([])
        self._journal: list[tuple[bytes, bytes]] = []
        #: What is owed and was said so, see `_owed`.
        self._said: set[Any] = set()
        #: Attempts of activities that were still to come when they were last looked at.
        self._later: set[Any] = set()
        self._loaded = LoadedExecution(cast(Any, None), state)

    @property
    def state(self) -> Execution:
        return self._loaded.state

    @property
    def agenda(self) -> Agenda:
        return self._loaded.agenda

    # Deciding

    def decide(self, decision: Callable[..., Any], *arguments: Any, put_off: bool = False, **options: Any) -> Play:
        """Make a decision at this instant. One that raises leaves no trace."""
        tx = Transition(self.state, self.clock.now_ns(), self.entropy, self.limits, self.namespace)
        try:
            result = decision(tx, *arguments, **options)
        except BaseException:
            self._loaded.state = self._folded()
            self._loaded.agenda = Agenda(self.state)
            raise
        return self._take_in(tx, result, put_off=put_off)

    def _take_in(self, tx: Transition, result: Any = None, *, put_off: bool = False) -> Play:
        """As the shard does it."""
        self.history += tx.events
        self.agenda.note(tx.events, tx.changes, tx.now)
        if put_off and not tx.effects and tx.successor is None:
            self._loaded.put_off(tx.events, tx.changes)
        elif tx.dirty:
            events, changes = self._loaded.with_unwritten(tx.events, tx.changes)
            self._loaded.unwritten_events, self._loaded.unwritten_changes = [], []
            self._journal.append((encode_events(events), encode_changes(changes)))
            self.state.state_transitions += 1
        self._said = {each for each in self._owed() if each in self._said or each[0] in tx.effects}
        self._later |= {
            (OfferActivityTask(key), each.stamp)
            for key, each in self.state.activities.items()
            if each.waiting and each.attempt_scheduled_at > tx.now
        }
        for key, operation in self.state.operations.items():
            if nexus_operation.next_attempt_at(operation) > tx.now:
                wanted = CancelNexusOperation(key) if operation.started else StartNexusOperation(key)
                self._later.add((wanted, self._attempt(wanted)))
        self._check(tx.now)
        play = Play([*_in_order(tx), *tx.effects], result)
        if tx.successor is not None:
            assert isinstance(tx.successor, Transition)
            successor = Run(tx.successor.state, self.clock, self.entropy, self.limits, self.namespace)
            successor.beginning = successor._take_in(tx.successor)
            play.successor = successor
        return play

    def _folded(self) -> Execution:
        """The state as the journal has it, together with what is not written yet."""
        state = Execution(self.state.namespace_id, self.state.workflow_id, self.state.run_id)
        for events, changes in self._journal:
            replay(state, decode_events(events), decode_changes(changes))
        transitions = state.state_transitions
        unwritten = encode_events(self._loaded.unwritten_events), encode_changes(self._loaded.unwritten_changes)
        replay(state, decode_events(unwritten[0]), decode_changes(unwritten[1]))
        state.state_transitions = transitions
        return state

    def _owed(self) -> set[Any]:
        """The effects that are owed now, each with what tells it from an earlier one for the same thing."""
        return {(effect, self._attempt(effect)) for effect in self.agenda.outstanding(self.clock.now_ns())}

    def _attempt(self, effect: Effect) -> Any:
        match effect:
            case OfferWorkflowTask():
                return self.task.scheduled_event_id, self.task.attempt, self.task.queue
            case OfferActivityTask(scheduled_event_id):
                return self.state.activities[scheduled_event_id].stamp
            case StartNexusOperation(scheduled_event_id):
                return self.state.operations[scheduled_event_id].attempts
            case CancelNexusOperation(scheduled_event_id):
                cancel = self.state.operations[scheduled_event_id].cancel
                return cancel.attempts if cancel else 0
        return None

    def _check(self, now: int) -> None:
        """What holds after every decision, whatever it was."""
        assert self._folded() == self.state, "the journal does not fold to the state"
        ids = [each.event_id for each in self.history]
        assert ids == list(range(1, self.state.next_event_id)), "a gap in the history"
        fresh = Agenda(self.state)
        kept, anew = (each.next_deadline(now, self.namespace.retention_ns) for each in (self.agenda, fresh))
        # One made anew cannot know whether an attempt that has become due was offered, and does it again.
        due = {each.attempt_scheduled_at for each in self.state.activities.values() if each.waiting}
        due |= set(map(nexus_operation.next_attempt_at, self.state.operations.values()))
        assert kept == anew or (anew <= now and anew in due), "the agenda missed a deadline"
        assert self.agenda.owes == fresh.owes
        assert self.agenda.outstanding(now) == fresh.outstanding(now)
        assert self.agenda.owes or not fresh.outstanding(now), "a restart would not find what is owed"
        # What comes with time alone is said when the run is woken for it.
        assert self._owed() <= self._said | self._later, "owed, but not said"

    # Time

    def at(self, seconds: float) -> int:
        """The instant that lies so far ahead."""
        return self.clock.now_ns() + int(seconds * SECOND_NS)

    def wait(self, seconds: float) -> None:
        """Let time pass, in which nothing happens."""
        self.clock.advance(int(seconds * SECOND_NS))

    @property
    def wakes_after(self) -> float | None:
        """In how many seconds the run wants attention, if at all."""
        at = self.agenda.next_deadline(self.clock.now_ns(), self.namespace.retention_ns)
        return (at - self.clock.now_ns()) / SECOND_NS if at else None

    def wake(self) -> Play:
        """Let time pass until the run wants attention, and give it that."""
        at = self.agenda.next_deadline(self.clock.now_ns(), self.namespace.retention_ns)
        assert at, "the run waits for nothing"
        self.clock.advance_to(at)
        play = self.decide(self.agenda.expire)
        assert self.wakes_after is None or self.wakes_after > 0, "an alarm that rings again at once"
        assert self._owed() == self._said, "owed, but not said"
        return play

    # What is pending

    @property
    def task(self) -> WorkflowTask:
        task = self.state.workflow_task
        assert task is not None, "no workflow task is pending"
        return task

    def activity(self, activity_id: str) -> Activity:
        return self.state.activities[self.state.activity_ids[activity_id]]

    def child(self, workflow_id: str) -> Child:
        return next(each for each in self.state.children.values() if each.initiated.workflow_id == workflow_id)

    # The worker

    def take_task(self) -> Play:
        """A worker takes the pending workflow task; the result is the messages that come with it."""
        task = self.task

        def take(tx: Transition) -> Any:
            started = workflow_task.start(tx, WORKER, "poll", task.scheduled_event_id, task.attempt)
            return update.send(tx, started)

        return self.decide(take, put_off=True)

    def token(self) -> WorkflowTaskToken:
        """What the worker proves with that it has the running workflow task."""
        state, task = self.state, self.task
        return WorkflowTaskToken(
            state.namespace_id,
            state.workflow_id,
            state.run_id,
            task.scheduled_event_id,
            task.started_event_id,
            task.attempt,
            task.started_at,
        )

    def answer(self, *commands: Command, messages: Sequence[ProtocolMessage] = (), **fields: Any) -> Play:
        """The worker completes the running workflow task; if a command makes no sense, that fails it.

        Messages are put in order by commands, as workers do it, but for rejections.
        """
        token = self.token()
        placed = [protocol_message(each.id) for each in messages if not each.id.endswith("/reject")]
        request = RespondWorkflowTaskCompletedRequest(
            commands=[*placed, *commands], messages=messages, identity=WORKER, **fields
        )
        try:
            return self.decide(completion.complete, token, request, {}, ENDPOINTS)
        except CommandFailure as failure:
            return self.decide(completion.fail, token, failure, WORKER, "")

    def turn(self, *commands: Command, **fields: Any) -> Play:
        """The worker takes the pending workflow task and completes it with these commands."""
        self.take_task()
        return self.answer(*commands, **fields)


def _in_order(tx: Transition) -> Iterator[HistoryEvent | AnyChange]:
    position = 0
    for each in tx.changes:
        if isinstance(each, EventsRecorded):
            yield from tx.events[position : position + each.count]
            position += each.count
        else:
            yield each
    yield from tx.events[position:]


def start(
    *, limits: Limits | None = None, namespace: Namespace = NAMESPACE, seed: int = 1, offer: bool = True, **fields: Any
) -> Run:
    """A run that has just begun. `fields` are those of its started event."""
    clock, entropy = VirtualClock(), Entropy(seed)
    state = Execution(namespace.id, WorkflowId("order"), RunId("run-1"))
    run = Run(state, clock, entropy, limits or Limits(), namespace)
    usual: dict[str, Any] = {
        "workflow_type": {"name": "Order"},
        "task_queue": {"name": "orders"},
        "workflow_task_timeout": Duration(seconds=10),
        "original_execution_run_id": "run-1",
        "first_execution_run_id": "run-1",
        "attempt": 1,
    }
    attributes = WorkflowExecutionStartedEventAttributes(**(usual | fields))
    run.beginning = run.decide(workflow.begin, attributes, request_id="", offer=offer)
    return run


def recorded(decision: Callable[[Any, Any, Any], list[News]]) -> Callable[[Transition, Any, Any], None]:
    """A decision on an operation, together with the events that it leads to."""

    def decide(tx: Transition, operation: Any, told: Any) -> None:
        for news in decision(tx, operation, told):
            nexus_events.record(tx, operation, news)

    return decide


def failure(message: str = "boom", *, type: str = "Oops", non_retryable: bool = False, **info: Any) -> Failure:
    """An application failure."""
    application: Any = {"type": type, "non_retryable": non_retryable, **info}
    return Failure(message=message, application_failure_info=application)


def wind_back(run: Run, event_id: int) -> tuple[Run, Play]:
    """Reset: a new run that goes on from this one as it was before this event."""
    inherited, changes = run.history[: event_id - 1], [EventsInherited()]
    state = Execution(run.state.namespace_id, run.state.workflow_id, RunId(run.entropy.uuid()))
    replay(state, inherited, changes)
    new = Run(state, run.clock, run.entropy, run.limits, run.namespace)
    new.history += inherited
    new._journal.append((encode_events(inherited), encode_changes(changes)))
    started = {
        each.activity_task_started_event_attributes.scheduled_event_id: each
        for each in inherited
        if each.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED
    }
    base = reset.Base(run.state, "start", inherited[-1].event_id, 0, started)
    request = ResetWorkflowExecutionRequest(request_id="request", reason="wrong turn")

    def decide(tx: Transition) -> None:
        reset.begin(tx, base, request.request_id, request.reason)
        reset.repeat(tx, reset.from_outside(run.history[event_id - 1 :], request))
        workflow_task.schedule(tx)
        for effect in new.agenda.outstanding(tx.now):
            tx.effect(effect)

    return new, new.decide(decide)
