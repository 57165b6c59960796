"""What must be true once everything has come to its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
from temporalio.api.enums.v1 import ActivityExecutionStatus, EventType
from temporalio.api.history.v1 import History, HistoryEvent
from temporalio.api.workflowservice.v1 import DescribeActivityExecutionRequest

from perdure.history.engine import Engine
from perdure.history.fold import evolve
from perdure.history.kinds.workflow import LoadedExecution
from perdure.history.state.execution import Execution
from perdure.infra.sqlite import SqliteDatabase
from perdure.kernel.ids import NamespaceId, RunId, WorkflowId, WorkflowKey
from tests.simulation.actors import CLOSING, Promises, Server, insist
from tests.simulation.workflows import ACTIVITIES, ENDED, GO, child_of, kinds_of

#: What no event records, and a fold over the history alone therefore cannot know.
_NOT_IN_EVENTS = {
    "requests",
    "signal_request_ids",
    "cancel_request_id",
    "state_transitions",
    "history_size",
    "sticky_queue",
    "sticky_timeout",
    # They do not count what failed on a sticky worker, nor what was tried again without an event.
    "problems",
    "problem",
    "solved_event_id",
}
#: A task that was never tried again, because the run was terminated, is not in the history.
_OF_TASKS = {"workflow_task", "workflow_task_attempt"}
#: What a closed run owes others. It is done at some time, which no event says.
_OWED = {"orphans", "owes_parent"}


def check_any(workflow_id: str, events: Sequence[HistoryEvent]) -> None:
    """What holds for the history of every workflow that has ended."""
    numbers = [event.event_id for event in events]
    assert numbers == list(range(1, len(events) + 1)), f"a gap in the history of {workflow_id}: {numbers}"
    kinds = kinds_of(events)
    assert sum(kinds[kind] for kind in CLOSING) == 1, f"{workflow_id} has ended more than once"
    assert events[-1].event_type in CLOSING, f"{workflow_id} went on after its end"
    assert kinds[EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED] == 0, f"{workflow_id}: no child"


def check_busy(workflow_id: str, promises: Promises, events: Sequence[HistoryEvent]) -> None:
    """Everything that was promised is there, once."""
    check_any(workflow_id, events)
    kinds = kinds_of(events)
    assert events[-1].event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED
    signals = Counter(
        event.workflow_execution_signaled_event_attributes.signal_name
        for event in events
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
    )
    for owner, name in promises.signaled:
        if owner == workflow_id:
            assert signals[name] == 1, f"{name} of {workflow_id} was acknowledged and is there {signals[name]} times"
    for owner, name in promises.sent_once:
        if owner == workflow_id:
            assert signals[name] <= 1, f"{name} of {workflow_id} was sent once and is there {signals[name]} times"
    updates = Counter(
        event.workflow_execution_update_completed_event_attributes.meta.update_id
        for event in events
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED
    )
    assert all(number == 1 for number in updates.values()), f"updates of {workflow_id}: {updates}"
    for owner, name in promises.updated:
        if owner == workflow_id:
            assert updates[name] == 1, f"{name} of {workflow_id} was acknowledged and is not there"
    for kind, number in {
        EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED: len(ACTIVITIES),
        EventType.EVENT_TYPE_TIMER_FIRED: 1,
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED: 1,
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED: 1,
        EventType.EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_SIGNALED: 1,
    }.items():
        assert kinds[kind] == number, f"{workflow_id} has {kinds[kind]} of {EventType.Name(kind)}"
    assert sum(kinds[kind] for kind in ENDED) == len(ACTIVITIES)
    handed_out = promises.handed_out[workflow_id, "once"]
    assert handed_out <= 1, f"an activity of {workflow_id} that may run once was handed out {handed_out} times"


def check_child(workflow_id: str, events: Sequence[HistoryEvent]) -> None:
    """The one signal has come once."""
    check_any(workflow_id, events)
    signals = [
        event.workflow_execution_signaled_event_attributes.signal_name
        for event in events
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
    ]
    assert signals == [GO], f"{workflow_id} was to get one signal and got {signals}"


def check_one_run(database: SqliteDatabase, workflow_ids: Sequence[str]) -> None:
    """None of these was started twice."""
    with database.reading() as cursor:
        runs = dict(cursor.execute("SELECT workflow_id, count(*) FROM heads GROUP BY workflow_id"))
    for workflow_id in workflow_ids:
        assert runs.get(workflow_id, 0) <= 1, f"{workflow_id} was started {runs[workflow_id]} times"


def check_journals(database: SqliteDatabase) -> None:
    """Records of each run follow each other without gaps or repetitions, and the head has heard of the last."""
    with database.reading() as cursor:
        rows = cursor.execute(
            "SELECT run_id, sequence, first_event_id, event_count FROM journal ORDER BY run_id, sequence"
        ).fetchall()
        heads = dict(cursor.execute("SELECT run_id, sequence FROM heads"))
    expected: dict[str, tuple[int, int]] = {}
    for run_id, sequence, first_event_id, event_count in rows:
        number, event_id = expected.get(run_id, (1, 1))
        assert sequence == number, f"run {run_id}: record {sequence} where {number} should be"
        if event_count:
            assert first_event_id == event_id, f"run {run_id}: event {first_event_id} where {event_id} should be"
        expected[run_id] = number + 1, event_id + event_count
    for run_id, sequence in heads.items():
        assert expected[run_id][0] == sequence + 1, f"run {run_id}: the head is at {sequence}"


async def check_standalone(server: Server, promises: Promises, activity_id: str, kind: str) -> None:
    """Its outcome is what was told, and it ran as often as it may."""
    request = DescribeActivityExecutionRequest(activity_id=activity_id, include_outcome=True)
    described = await insist(server, "DescribeActivityExecution", request)
    assert described.outcome == promises.ended[activity_id], f"an outcome of {activity_id} that was told has changed"
    if kind == "once":
        assert promises.handed_out[activity_id, kind] <= 1, f"{activity_id} may run once and was handed out twice"
    else:
        assert described.info.status == ActivityExecutionStatus.ACTIVITY_EXECUTION_STATUS_COMPLETED


async def check_state(
    engine: Engine, namespace_id: NamespaceId, workflow_id: str, events: Sequence[HistoryEvent]
) -> None:
    """The state that the owner of its shard holds is the fold over the history."""
    key = WorkflowKey(namespace_id, WorkflowId(workflow_id))
    while True:
        # Looked for each time: what is held of a shard that has been given away does not change any more.
        shard = engine.shard_of(key)
        loaded = await shard.find(LoadedExecution, key.run(RunId(await shard.current_run(key) or "")))
        assert loaded is not None
        if not any(getattr(loaded.state, name) for name in _OWED):
            break
        await loaded.next_commit()
    folded = Execution(*loaded.key[:3])
    for event in events:
        evolve(folded, event)
    unknown = _NOT_IN_EVENTS | _OWED
    if events[-1].event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED:
        unknown |= _OF_TASKS
    for name in Execution.__struct_fields__:
        if name not in unknown:
            there, here = getattr(folded, name), getattr(loaded.state, name)
            assert there == here, f"{name} of {workflow_id} is {here}, the history says {there}"
    assert msgspec.structs.asdict(folded).keys() == msgspec.structs.asdict(loaded.state).keys()


__all__ = [
    "check_any",
    "check_busy",
    "check_child",
    "check_journals",
    "check_one_run",
    "check_standalone",
    "check_state",
    "child_of",
]


def open_ends(database: SqliteDatabase) -> str:
    """The workflows that have not ended, and their events, for whoever wants to know why."""
    with database.reading() as cursor:
        rows = cursor.execute(
            "SELECT j.workflow_id, h.needs_dispatch, h.wake_at_ns, j.events FROM journal j JOIN heads h USING (run_id)"
            " WHERE h.status = 1 AND j.workflow_id NOT LIKE 'probe%' ORDER BY j.workflow_id, j.sequence"
        ).fetchall()
    found: dict[str, list[str]] = {}
    for workflow_id, owes, wake_at_ns, events in rows:
        kinds = [EventType.Name(e.event_type).removeprefix("EVENT_TYPE_") for e in History.FromString(events).events]
        found.setdefault(f"{workflow_id} (owes {owes}, wakes at {wake_at_ns})", []).extend(kinds)
    return "\n".join(f"  {name}: {' '.join(kinds)}" for name, kinds in found.items())
