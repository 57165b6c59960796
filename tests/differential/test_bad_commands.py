"""Commands that the server refuses: the workflow task fails, with a cause for each kind."""

from datetime import timedelta
from typing import Any

from temporalio.api.command.v1 import Command

from tests.differential import commands as c
from tests.differential.compare import scenario
from tests.differential.script import Script, failure, payload, payloads

_LONG = "x" * 1001
_NEGATIVE = timedelta(seconds=-1)


def _each(s: Script, commands: dict[str, Command | list[Command]], *, fields: dict[str, Any] | None = None) -> None:
    """Give each of them to a fresh workflow, and see what becomes of its task."""
    for note, given in commands.items():
        with s.expecting(note):
            name = note.replace(" ", "-")
            s.start(name, silent=True, **(fields or {}))
            task = s.poll(silent=True)
            s.complete(task, *(given if isinstance(given, list) else [given]), refused=True)
            s.history(name)
            s.terminate(name, refused=True)


def _mixed_up() -> Command:
    command = c.start_timer()
    command.fail_workflow_execution_command_attributes.failure.message = "attributes of another kind"
    return command


@scenario
def test_bad_activities(s: Script) -> None:
    queue = s.name("acts")
    _each(
        s,
        {
            "no attributes": c.bare("SCHEDULE_ACTIVITY_TASK"),
            "no id": c.schedule_activity(queue, ""),
            "long id": c.schedule_activity(queue, _LONG),
            "no type": c.schedule_activity(queue, activity_type=None),
            "long type": c.schedule_activity(queue, activity_type={"name": _LONG}),
            "no timeouts": c.schedule_activity(queue, start_to_close_timeout=None),
            "only schedule to start": c.schedule_activity(
                queue, start_to_close_timeout=None, schedule_to_start_timeout=timedelta(seconds=5)
            ),
            "negative start to close": c.schedule_activity(queue, start_to_close_timeout=_NEGATIVE),
            "negative schedule to close": c.schedule_activity(queue, schedule_to_close_timeout=_NEGATIVE),
            "negative schedule to start": c.schedule_activity(queue, schedule_to_start_timeout=_NEGATIVE),
            "negative heartbeat": c.schedule_activity(queue, heartbeat_timeout=_NEGATIVE),
            "bad retry policy": c.schedule_activity(queue, retry_policy={"backoff_coefficient": 0.1}),
            "reserved queue": c.schedule_activity("/_sys/x/1"),
            "no queue": c.schedule_activity(""),
            "long queue": c.schedule_activity(_LONG),
            "id used twice": [c.schedule_activity(queue), c.schedule_activity(queue)],
            "bad priority": c.schedule_activity(queue, priority={"priority_key": -1}),
        },
    )


@scenario
def test_activity_defaults(s: Script) -> None:
    s.start("w")
    s.step(
        c.schedule_activity(
            s.name("acts"),
            "capped",
            schedule_to_close_timeout=timedelta(seconds=10),
            schedule_to_start_timeout=timedelta(seconds=60),
            heartbeat_timeout=timedelta(seconds=60),
            retry_policy={"maximum_attempts": 5},
        ),
    )
    s.history("w")
    s.describe("w")
    s.start("short", workflow_run_timeout=timedelta(seconds=30))
    s.step(c.schedule_activity(s.name("acts"), start_to_close_timeout=timedelta(hours=1)))
    s.history("short")


@scenario
def test_bad_activity_cancellations(s: Script) -> None:
    _each(
        s,
        {
            "no attributes": c.bare("REQUEST_CANCEL_ACTIVITY_TASK"),
            "no event id": c.cancel_activity(0),
            "unknown event id": c.cancel_activity(77),
        },
    )


@scenario
def test_bad_timers(s: Script) -> None:
    _each(
        s,
        {
            "no attributes": c.bare("START_TIMER"),
            "no id": c.start_timer(""),
            "long id": c.start_timer(_LONG),
            "negative timeout": c.start_timer(start_to_fire_timeout=_NEGATIVE),
            "id used twice": [c.start_timer("t"), c.start_timer("t")],
            "cancel without attributes": c.bare("CANCEL_TIMER"),
            "cancel without id": c.cancel_timer(""),
            "cancel unknown": c.cancel_timer("nope"),
            "cancel long id": c.cancel_timer(_LONG),
        },
    )


@scenario
def test_bad_endings(s: Script) -> None:
    _each(
        s,
        {
            "complete without attributes": c.bare("COMPLETE_WORKFLOW_EXECUTION"),
            "fail without attributes": c.bare("FAIL_WORKFLOW_EXECUTION"),
            "fail without failure": c.command("FAIL_WORKFLOW_EXECUTION"),
            "cancel without attributes": c.bare("CANCEL_WORKFLOW_EXECUTION"),
        },
    )


@scenario
def test_bad_markers(s: Script) -> None:
    _each(
        s,
        {
            "no attributes": c.bare("RECORD_MARKER"),
            "no name": c.marker(""),
            "long name": c.marker(_LONG),
        },
    )


@scenario
def test_bad_children(s: Script) -> None:
    queue = s.name("children")
    child = s.name("child")
    _each(
        s,
        {
            "no id": c.start_child("", queue),
            "long id": c.start_child(_LONG, queue),
            "no type": c.start_child(child, queue, workflow_type=None),
            "long type": c.start_child(child, queue, workflow_type={"name": _LONG}),
            "reserved queue": c.start_child(child, "/_sys/x/1"),
            "negative run timeout": c.start_child(child, queue, workflow_run_timeout=_NEGATIVE),
            "negative execution timeout": c.start_child(child, queue, workflow_execution_timeout=_NEGATIVE),
            "negative task timeout": c.start_child(child, queue, workflow_task_timeout=_NEGATIVE),
            "bad cron": c.start_child(child, queue, cron_schedule="every day"),
            "bad retry policy": c.start_child(child, queue, retry_policy={"maximum_attempts": -1}),
            "unknown namespace": c.start_child(child, queue, namespace="nowhere"),
            "unknown search attribute": c.start_child(
                child, queue, search_attributes={"indexed_fields": {"Nope": payload("x")}}
            ),
        },
    )


@scenario
def test_bad_external_commands(s: Script) -> None:
    target = s.name("target")
    _each(
        s,
        {
            "signal without attributes": c.bare("SIGNAL_EXTERNAL_WORKFLOW_EXECUTION"),
            "signal without execution": c.signal_external("", execution=None),
            "signal without id": c.signal_external(""),
            "signal long id": c.signal_external(_LONG),
            "signal bad run": c.signal_external(target, execution={"workflow_id": target, "run_id": "no-uuid"}),
            "signal without name": c.signal_external(target, signal_name=""),
            "signal unknown namespace": c.signal_external(target, namespace="nowhere"),
            "cancel without attributes": c.bare("REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION"),
            "cancel without id": c.cancel_external(""),
            "cancel long id": c.cancel_external(_LONG),
            "cancel bad run": c.cancel_external(target, run_id="no-uuid"),
            "cancel unknown namespace": c.cancel_external(target, namespace="nowhere"),
        },
    )


@scenario
def test_commands_that_only_look_bad(s: Script) -> None:
    s.start("w")
    s.step(c.start_timer(start_to_fire_timeout=None))
    s.await_event("w", "TIMER_FIRED")
    s.step(c.signal_external(s.name("nobody"), signal_name=_LONG))
    s.await_event("w", "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED")
    s.step(c.start_child(s.name("w"), s.name("children")))
    s.await_event("w", "START_CHILD_WORKFLOW_EXECUTION_FAILED")
    s.history("w")


@scenario
def test_commands_to_oneself(s: Script) -> None:
    s.start("w")
    s.step(c.signal_external(s.name("w")))
    s.await_event("w", "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED")
    s.step(c.cancel_external(s.name("w")))
    s.await_event("w", "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED")
    s.history("w")


@scenario
def test_bad_continue_as_new(s: Script) -> None:
    _each(
        s,
        {
            "no attributes": c.bare("CONTINUE_AS_NEW_WORKFLOW_EXECUTION"),
            "long type": c.continue_as_new(workflow_type={"name": _LONG}),
            "reserved queue": c.continue_as_new(task_queue={"name": "/_sys/x/1"}),
            "negative run timeout": c.continue_as_new(workflow_run_timeout=_NEGATIVE),
            "negative task timeout": c.continue_as_new(workflow_task_timeout=_NEGATIVE),
            "negative backoff": c.continue_as_new(backoff_start_interval=_NEGATIVE),
            "bad retry policy": c.continue_as_new(retry_policy={"initial_interval": _NEGATIVE}),
            "bad cron": c.continue_as_new(cron_schedule="every day"),
            "unknown search attribute": c.continue_as_new(search_attributes={"indexed_fields": {"Nope": payload("x")}}),
        },
    )


@scenario
def test_bad_upserts(s: Script) -> None:
    _each(
        s,
        {
            "no attributes": c.bare("UPSERT_WORKFLOW_SEARCH_ATTRIBUTES"),
            "no search attributes": c.command("UPSERT_WORKFLOW_SEARCH_ATTRIBUTES"),
            "none": c.upsert_search_attributes(),
            "unknown": c.upsert_search_attributes(Nope=payload("x")),
            "wrong type": c.upsert_search_attributes(CustomInt=payload("x")),
            "system": c.upsert_search_attributes(RunId=payload("x")),
            "large": c.upsert_search_attributes(CustomKeyword=payload("x" * 3000)),
            "large for a child": c.start_child(
                s.name("c"), "q", search_attributes={"indexed_fields": {"CustomText": payload("x" * 3000)}}
            ),
            "large for the next run": c.continue_as_new(
                search_attributes={"indexed_fields": {"CustomText": payload("x" * 3000)}}
            ),
            "modify without attributes": c.bare("MODIFY_WORKFLOW_PROPERTIES"),
            "modify without memo": c.command("MODIFY_WORKFLOW_PROPERTIES"),
            "modify nothing": c.modify_properties(),
        },
    )


@scenario
def test_commands_of_no_kind(s: Script) -> None:
    _each(
        s,
        {
            "unspecified": Command(),
            "attributes of another kind": _mixed_up(),
            "protocol message without attributes": c.bare("PROTOCOL_MESSAGE"),
            "protocol message without id": c.protocol_message(""),
            "protocol message that is not there": c.protocol_message("nope"),
        },
    )


@scenario
def test_large_payloads(s: Script) -> None:
    large = payloads("x" * 2_100_000)
    queue = s.name("acts")
    _each(
        s,
        {
            "activity input": c.schedule_activity(queue, input=large),
            "marker details": c.marker(details={"data": large}),
            "result": c.command("COMPLETE_WORKFLOW_EXECUTION", result=large),
            "failure": c.command("FAIL_WORKFLOW_EXECUTION", failure=failure("x", details=large)),
            "memo": c.modify_properties(large=large.payloads[0]),
            "memo of a child": c.start_child(s.name("c"), queue, memo={"fields": {"large": large.payloads[0]}}),
            "memo of the next run": c.continue_as_new(memo={"fields": {"large": large.payloads[0]}}),
            "search attribute": c.upsert_search_attributes(CustomText=large.payloads[0]),
            "search attribute of a child": c.start_child(
                s.name("c"), queue, search_attributes={"indexed_fields": {"CustomText": large.payloads[0]}}
            ),
            "search attribute of the next run": c.continue_as_new(
                search_attributes={"indexed_fields": {"CustomText": large.payloads[0]}}
            ),
        },
    )


@scenario
def test_a_bad_command_discards_the_good_ones(s: Script) -> None:
    s.start("w")
    s.step(c.start_timer("t1"), c.marker(), c.start_timer(""), c.complete(), refused=True)
    s.history("w")
    s.describe("w")
    s.step(c.complete())
    s.history("w")
