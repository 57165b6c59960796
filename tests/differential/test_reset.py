"""Reset: to which points, what is repeated, what becomes of activities, timers, children, updates and parents."""

from datetime import timedelta
from typing import Any

from temporalio.api.protocol.v1 import Message

from tests.differential import commands as c
from tests.differential import updates as u
from tests.differential.compare import scenario
from tests.differential.script import Script, payloads


def _reset(s: Script, name: str, event_id: int, *, run_id: str = "", **fields: Any) -> str:
    fields.setdefault("request_id", f"reset-{name}-{event_id}")
    fields.setdefault("reason", "wrong turn")
    response = s.call(
        "ResetWorkflowExecution",
        workflow_execution=s.execution(name, run_id),
        workflow_task_finish_event_id=event_id,
        **fields,
    )
    return str(response.run_id)


def _show(s: Script, name: str, *run_ids: str) -> None:
    for run_id in run_ids:
        s.history(name, run_id=run_id)
        s.describe(name, run_id=run_id)


def _answer(s: Script) -> None:
    """A worker accepts the update that comes with the next task, and completes it."""
    task = s.poll()
    if task.messages:
        request = task.messages[0]
    else:
        # It comes as an event.
        admitted = task.history.events[4].workflow_execution_update_admitted_event_attributes
        update_id = admitted.request.meta.update_id
        request = Message(id=f"{update_id}/request", protocol_instance_id=update_id, event_id=6)
        request.body.Pack(admitted.request)
    u.say(s, task, u.accepted(request), u.completed(request))


@scenario
def test_running_workflow(s: Script) -> None:
    base = s.start("w", memo={"fields": {"m": payloads("1").payloads[0]}}).run_id
    s.step(c.start_timer("t", seconds=600))
    s.signal("w")
    s.step()
    new = _reset(s, "w", 4)
    _show(s, "w", base, new)
    s.step(c.complete())
    _show(s, "w", new)


@scenario
def test_signals_are_repeated(s: Script) -> None:
    base = s.start("w").run_id
    s.step()
    s.signal("w", "one", input=payloads("x"), request_id="r1")
    s.step()
    s.signal("w", "two", request_id="r2")
    new = _reset(s, "w", 4)
    s.history("w", run_id=base)
    s.history("w", run_id=new)


@scenario
def test_a_signal_sent_again_is_recognised(s: Script) -> None:
    s.start("w")
    s.step()
    s.signal("w", "one", request_id="r1")
    new = _reset(s, "w", 4)
    s.signal("w", "one", request_id="r1")
    s.history("w", run_id=new)


@scenario
def test_signals_held_back_are_repeated(s: Script) -> None:
    s.start("w")
    s.step(c.start_timer("t", seconds=600))
    s.signal("w", "before")
    s.poll()
    s.signal("w", "held back")
    new = _reset(s, "w", 4)
    s.history("w", run_id=new)


@scenario
def test_signals_are_excluded(s: Script) -> None:
    for name, fields in (
        ("a", {"reset_reapply_type": "RESET_REAPPLY_TYPE_NONE"}),
        ("b", {"reset_reapply_exclude_types": ["RESET_REAPPLY_EXCLUDE_TYPE_SIGNAL"]}),
        ("c", {"reset_reapply_type": "RESET_REAPPLY_TYPE_SIGNAL"}),
    ):
        s.start(name)
        s.step()
        s.signal(name)
        s.step()
        new = _reset(s, name, 4, **fields)
        s.history(name, run_id=new)
        s.terminate(name)


@scenario
def test_points_that_cannot_be_reset_to(s: Script) -> None:
    s.start("w")
    s.step(c.start_timer("t", seconds=600))
    for event_id in (-1, 0, 1, 6, 100):
        _reset(s, "w", event_id, refused=True)
    s.call("ResetWorkflowExecution", workflow_execution=s.execution("w"), workflow_task_finish_event_id=4, refused=True)
    _reset(s, "nobody", 4, refused=True)
    _reset(s, "w", 4, run_id="00000000-0000-0000-0000-000000000000", refused=True)
    s.history("w")


@scenario
def test_points_between_tasks(s: Script) -> None:
    s.start("w")
    s.step(c.start_timer("t", seconds=600))
    for event_id in (2, 5):
        _reset(s, "w", event_id, refused=True)


@scenario
def test_before_the_task_started(s: Script) -> None:
    s.start("w")
    s.step()
    new = _reset(s, "w", 3)
    s.history("w", run_id=new)


@scenario
def test_closed_workflow(s: Script) -> None:
    base = s.start("w", workflow_execution_timeout=timedelta(hours=1)).run_id
    s.step(c.complete())
    new = _reset(s, "w", 4)
    _show(s, "w", base, new)
    s.step(c.complete())


@scenario
def test_reset_again(s: Script) -> None:
    base = s.start("w").run_id
    s.step(c.start_timer("t", seconds=600))
    first = _reset(s, "w", 4)
    s.step(c.start_timer("t", seconds=600))
    second = _reset(s, "w", 7)
    _show(s, "w", base, first, second)
    third = _reset(s, "w", 4, run_id=base, request_id="third")
    _show(s, "w", base, first, second, third)


@scenario
def test_failed_task_as_the_point(s: Script) -> None:
    s.start("w")
    s.fail_task(s.poll())
    s.step(c.start_timer("t", seconds=600))
    new = _reset(s, "w", 4)
    s.history("w", run_id=new)


@scenario
def test_activities(s: Script) -> None:
    s.start("w")
    s.step(c.schedule_activity(s.name("acts"), "waiting"), c.schedule_activity(s.name("other"), "done"))
    s.complete_activity(s.poll_activity("other"))
    s.step(c.start_timer("t", seconds=600))
    new = _reset(s, "w", 11)
    s.history("w", run_id=new)
    s.describe("w", run_id=new)
    s.complete_activity(s.poll_activity("acts"))
    s.history("w", run_id=new)


@scenario
def test_activity_that_ran_is_given_out_again(s: Script) -> None:
    s.start("w")
    s.step(c.schedule_activity(s.name("acts"), "a"))
    old = s.poll_activity("acts")
    s.signal("w")
    s.step()
    new = _reset(s, "w", 8)
    s.complete_activity(old, refused=True)
    s.history("w", run_id=new)
    s.complete_activity(s.poll_activity("acts"))
    s.step(c.complete())
    s.history("w", run_id=new)


@scenario
def test_updates_are_repeated(s: Script) -> None:
    s.start("w")
    s.step()
    result = s.update("w", "u1")
    s.await_update("w", "u1")
    _answer(s)
    result()
    new = _reset(s, "w", 4)
    s.history("w", run_id=new)
    _answer(s)
    s.history("w", run_id=new)
    s.update("w", "u1")()


@scenario
def test_updates_are_excluded(s: Script) -> None:
    s.start("w")
    s.step()
    result = s.update("w", "u1")
    s.await_update("w", "u1")
    _answer(s)
    result()
    new = _reset(s, "w", 4, reset_reapply_exclude_types=["RESET_REAPPLY_EXCLUDE_TYPE_UPDATE"])
    s.history("w", run_id=new)


@scenario
def test_events_of_later_runs_are_repeated(s: Script) -> None:
    base = s.start("w").run_id
    s.step()
    s.signal("w", "one")
    s.step(c.continue_as_new())
    s.signal("w", "two")
    s.step()
    new = _reset(s, "w", 4, run_id=base)
    s.history("w", run_id=new)


@scenario
def test_children_go_on(s: Script) -> None:
    s.start("parent")
    s.step(c.start_child(s.name("child"), s.name("children")))
    s.await_child("parent", "child")
    s.step()
    s.signal("parent")
    s.step()
    new = _reset(s, "parent", 9)
    s.history("parent", run_id=new)
    s.step(c.complete("from child"), queue="children")
    s.await_event("parent", "CHILD_WORKFLOW_EXECUTION_COMPLETED")
    s.history("parent", run_id=new)


@scenario
def test_what_children_did_meanwhile_is_repeated(s: Script) -> None:
    s.start("parent")
    s.step(c.start_child(s.name("child"), s.name("children")))
    s.await_child("parent", "child")
    s.step()
    s.step(c.complete("from child"), queue="children")
    s.await_event("parent", "CHILD_WORKFLOW_EXECUTION_COMPLETED")
    s.step()
    new = _reset(s, "parent", 9)
    s.history("parent", run_id=new)


@scenario
def test_child_is_reset(s: Script) -> None:
    s.start("parent")
    s.step(c.start_child(s.name("child"), s.name("children")))
    s.await_child("parent", "child")
    s.step()
    s.step(c.start_timer("t", seconds=600), queue="children")
    new = _reset(s, "child", 4)
    s.step(c.complete("after reset"), queue="children")
    s.await_event("parent", "CHILD_WORKFLOW_EXECUTION_COMPLETED")
    s.history("parent")
    _show(s, "child", new)


@scenario
def test_cancel_requests_are_forgotten(s: Script) -> None:
    s.start("w")
    s.step()
    s.cancel("w")
    s.step()
    new = _reset(s, "w", 4)
    s.history("w", run_id=new)
    s.describe("w", run_id=new)
