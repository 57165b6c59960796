"""Updates: accepted, rejected, completed, waited for, deduplicated, aborted."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from temporalio.api.protocol.v1 import Message

from tests.differential import commands as c
from tests.differential import updates as u
from tests.differential.compare import scenario
from tests.differential.script import Script


def _running(s: Script, name: str = "w", queue: str = "main") -> None:
    """A workflow that waits for something to happen."""
    s.start(name, queue=queue)
    s.step(queue=queue)


def _poll_update(s: Script, update_id: str, stage: str, **fields: Any) -> Any:
    return s.call(
        "PollWorkflowExecutionUpdate",
        update_ref={"workflow_execution": s.execution("w"), "update_id": update_id},
        wait_policy={"lifecycle_stage": f"UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_{stage}"},
        **fields,
    )


@scenario
def test_accepted_and_completed_in_one_task(s: Script) -> None:
    _running(s)
    update = s.update("w", "u1")
    task = s.poll()
    [message] = task.messages
    u.say(s, task, u.accepted(message), u.completed(message))
    update()
    s.history("w")
    s.describe("w")


@scenario
def test_accepted_first_and_completed_later(s: Script) -> None:
    _running(s)
    update = s.update("w", "u1", stage="ACCEPTED")
    task = s.poll()
    [message] = task.messages
    u.say(s, task, u.accepted(message))
    update()
    s.history("w")
    s.describe("w")
    s.signal("w")
    outcome = s.later(
        "PollWorkflowExecutionUpdate",
        update_ref={"workflow_execution": s.execution("w"), "update_id": "u1"},
        wait_policy={"lifecycle_stage": "UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED"},
    )
    u.say(s, s.poll(), u.completed(message))
    outcome()
    s.history("w")


@scenario
def test_rejected_leaves_no_trace(s: Script) -> None:
    _running(s)
    update = s.update("w", "u1")
    task = s.poll()
    [message] = task.messages
    u.say(s, task, u.rejected(message))
    update()
    s.history("w")
    s.signal("w")
    s.step()
    s.history("w")


@scenario
def test_rejected_while_something_else_happened(s: Script) -> None:
    _running(s)
    s.signal("w")
    update = s.update("w", "u1")
    s.await_update("w", "u1")
    task = s.poll()
    [message] = task.messages
    u.say(s, task, u.rejected(message))
    update()
    s.history("w")


@scenario
def test_completed_with_a_failure(s: Script) -> None:
    _running(s)
    update = s.update("w", "u1")
    task = s.poll()
    [message] = task.messages
    u.say(s, task, u.accepted(message), u.failed(message))
    update()
    s.history("w")


@scenario
def test_comes_with_the_first_task(s: Script) -> None:
    s.start("w")
    update = s.update("w", "u1")
    s.await_update("w", "u1")
    task = s.poll()
    [message] = task.messages
    u.say(s, task, u.accepted(message), u.completed(message))
    update()
    s.history("w")


@scenario
def test_comes_while_a_task_runs(s: Script) -> None:
    s.start("w")
    first = s.poll()
    update = s.update("w", "u1")
    s.await_update("w", "u1")
    s.complete(first, c.start_timer())
    task = s.poll()
    [message] = task.messages
    u.say(s, task, u.accepted(message), u.completed(message))
    update()
    s.history("w")


@scenario
def test_two_at_once(s: Script) -> None:
    _running(s)
    first = s.update("w", "u1")
    s.await_update("w", "u1")
    second = s.update("w", "u2")
    s.await_update("w", "u2")
    task = s.poll()
    one, two = task.messages
    u.say(s, task, u.accepted(one), u.rejected(two), u.completed(one))
    first()
    second()
    s.history("w")


@scenario
def test_same_id_is_the_same_update(s: Script) -> None:
    _running(s)
    first = s.update("w", "u1")
    task = s.poll()
    again = s.update("w", "u1")
    s.settle("w")
    [message] = task.messages
    u.say(s, task, u.accepted(message), u.completed(message))
    first()
    again()
    s.update("w", "u1")()
    s.update("w", "u1", stage="ACCEPTED")()
    _poll_update(s, "u1", "COMPLETED")
    _poll_update(s, "u1", "ACCEPTED")
    s.history("w")


@scenario
def test_without_an_id_gets_one(s: Script) -> None:
    _running(s)
    update = s.update("w", "")
    task = s.poll()
    [message] = task.messages
    u.say(s, task, u.accepted(message), u.completed(message))
    update()


@scenario
def test_task_fails_and_the_update_comes_again(s: Script) -> None:
    _running(s)
    update = s.update("w", "u1")
    s.fail_task(s.poll())
    task = s.poll()
    [message] = task.messages
    u.say(s, task, u.accepted(message), u.completed(message))
    update()
    s.history("w")


@scenario
def test_speculative_task_meets_a_signal(s: Script) -> None:
    _running(s)
    update = s.update("w", "u1")
    task = s.poll()
    s.signal("w")
    s.history("w")
    [message] = task.messages
    u.say(s, task, u.rejected(message))
    update()
    s.step()
    s.history("w")


@scenario
def test_speculative_task_with_commands(s: Script) -> None:
    _running(s)
    update = s.update("w", "u1")
    task = s.poll()
    [message] = task.messages
    commands = [c.protocol_message("u1/accept"), c.start_timer(), c.protocol_message("u1/complete")]
    s.complete(task, *commands, messages=[u.accepted(message), u.completed(message)])
    update()
    s.history("w")


@scenario
def test_messages_without_commands(s: Script) -> None:
    _running(s)
    update = s.update("w", "u1")
    task = s.poll()
    [message] = task.messages
    s.complete(task, messages=[u.accepted(message), u.completed(message)])
    update()
    s.history("w")


@scenario
def test_worker_that_says_nothing(s: Script) -> None:
    _running(s)
    update = s.update("w", "u1", refused=True)
    s.complete(s.poll())
    update()
    s.history("w")


@scenario
def test_bad_messages(s: Script) -> None:
    cases: dict[str, Callable[[Message], list[Message]]] = {
        "completed before accepted": lambda message: [u.completed(message)],
        "accepted twice": lambda message: [u.accepted(message), u.accepted(message)],
    }
    waiting = []
    for note, build in cases.items():
        name = note.replace(" ", "-")
        with s.expecting(note):
            _running(s, name, queue=name)
            # Held on to, since a call that nobody holds is cancelled.
            waiting.append(
                s.later(
                    "UpdateWorkflowExecution",
                    workflow_execution=s.execution(name),
                    request={"meta": {"update_id": "u1"}, "input": {"name": "change"}},
                    wait_policy={"lifecycle_stage": "UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ACCEPTED"},
                )
            )
            task = s.poll(name)
            [message] = task.messages
            u.say(s, task, *build(message), refused=True)
            s.history(name)
            s.terminate(name)


@scenario
def test_message_without_body(s: Script) -> None:
    _running(s)
    s.signal("w")
    s.complete(s.poll(), messages=[Message(id="x", protocol_instance_id="u1")], refused=True)
    s.terminate("w")


@scenario
def test_workflow_completes_and_aborts_the_rest(s: Script) -> None:
    _running(s)
    admitted = s.update("w", "u1", refused=True)
    task = s.poll()
    s.complete(task, c.complete())
    admitted()
    s.history("w")
    s.update("w", "u2", refused=True)()


@scenario
def test_workflow_completes_before_the_update_is_sent(s: Script) -> None:
    s.start("w")
    task = s.poll()
    update = s.update("w", "u1", refused=True)
    s.await_update("w", "u1")
    s.complete(task, c.complete(), refused=True)
    update()
    s.history("w")


@scenario
def test_workflow_completes_after_accepting(s: Script) -> None:
    _running(s)
    update = s.update("w", "u1", refused=True)
    task = s.poll()
    [message] = task.messages
    s.complete(task, c.protocol_message("u1/accept"), c.complete(), messages=[u.accepted(message)])
    update()
    s.history("w")
    _poll_update(s, "u1", "COMPLETED", refused=True)


@scenario
def test_workflow_is_terminated(s: Script) -> None:
    _running(s)
    update = s.update("w", "u1", refused=True)
    s.poll()
    s.terminate("w")
    update()
    s.history("w")


@scenario
def test_workflow_continues_as_new(s: Script) -> None:
    _running(s)
    s.signal("w")
    task = s.poll()
    update = s.update("w", "u1", refused=True)
    s.await_update("w", "u1")
    s.complete(task, c.continue_as_new(), refused=True)
    s.history("w")
    again = s.poll()
    for message in again.messages:
        u.say(s, again, u.accepted(message), u.completed(message))
    update()


@scenario
def test_workflow_continues_as_new_after_accepting(s: Script) -> None:
    _running(s)
    update = s.update("w", "u1", refused=True)
    task = s.poll()
    [message] = task.messages
    s.complete(task, c.protocol_message("u1/accept"), c.continue_as_new(), messages=[u.accepted(message)])
    update()
    s.step(c.complete())
    s.history("w")


@scenario
def test_sticky_worker_is_gone(s: Script) -> None:
    s.start("w")
    s.poll(sticky=True, timeout=3)
    sticky = {
        "sticky_attributes": {
            "worker_task_queue": {"name": s.name("main-sticky"), "kind": "TASK_QUEUE_KIND_STICKY"},
            "schedule_to_start_timeout": timedelta(seconds=1),
        }
    }
    s.complete(s.poll(), **sticky)
    update = s.update("w", "u1")
    task = s.poll()
    [message] = task.messages
    u.say(s, task, u.accepted(message), u.completed(message))
    update()
    s.history("w")


@scenario
def test_task_times_out(s: Script) -> None:
    s.start("w", workflow_task_timeout=timedelta(seconds=1))
    s.step()
    update = s.update("w", "u1")
    s.poll()
    task = s.poll()
    [message] = task.messages
    u.say(s, task, u.accepted(message), u.completed(message))
    update()
    s.history("w")


@scenario
def test_completed_updates_are_known_after_the_end(s: Script) -> None:
    _running(s)
    update = s.update("w", "u1")
    task = s.poll()
    [message] = task.messages
    s.complete(
        task,
        c.protocol_message("u1/accept"),
        c.protocol_message("u1/complete"),
        c.complete(),
        messages=[u.accepted(message), u.completed(message)],
    )
    update()
    s.update("w", "u1")()
    _poll_update(s, "u1", "COMPLETED")
    _poll_update(s, "u2", "COMPLETED", refused=True)


@scenario
def test_first_run_id(s: Script) -> None:
    first = s.start("w").run_id
    s.step()
    s.update("w", "u1", first_execution_run_id="11111111-2222-4333-8444-555555555555", refused=True)()
    update = s.update("w", "u2", first_execution_run_id=first)
    task = s.poll()
    [message] = task.messages
    u.say(s, task, u.accepted(message), u.completed(message))
    update()


@scenario
def test_update_by_a_sticky_worker(s: Script) -> None:
    s.start("w")
    s.poll(sticky=True, timeout=3)
    sticky = {
        "sticky_attributes": {
            "worker_task_queue": {"name": s.name("main-sticky"), "kind": "TASK_QUEUE_KIND_STICKY"},
            "schedule_to_start_timeout": timedelta(seconds=30),
        }
    }
    s.complete(s.poll(), **sticky)
    update = s.update("w", "u1")
    task = s.poll(sticky=True)
    [message] = task.messages
    u.say(s, task, u.accepted(message), u.completed(message), **sticky)
    update()
    s.history("w")


@scenario
def test_refused(s: Script) -> None:
    s.update("nobody", "u1", refused=True)()
    s.start("w", queue="nobody")
    cases: dict[str, dict[str, Any]] = {
        "no name": {"request": {"meta": {"update_id": "u"}, "input": {"name": ""}}},
        "no input": {"request": {"meta": {"update_id": "u"}}},
        "no request": {"request": None},
        "long id": {"request": {"meta": {"update_id": "x" * 1001}, "input": {"name": "change"}}},
        "stage admitted": {"wait_policy": {"lifecycle_stage": "UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ADMITTED"}},
        "bad run id": {"workflow_execution": s.execution("w", "no-uuid")},
        "no workflow id": {"workflow_execution": {"workflow_id": ""}},
        "no execution": {"workflow_execution": None},
    }
    for note, fields in cases.items():
        request: dict[str, Any] = {
            "workflow_execution": s.execution("w"),
            "request": {"meta": {"update_id": "u"}, "input": {"name": "change"}},
            "wait_policy": {"lifecycle_stage": "UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ACCEPTED"},
            **fields,
        }
        with s.expecting(note):
            s.call("UpdateWorkflowExecution", refused=True, timeout=3, **request)
    _poll_update(s, "nope", "COMPLETED", refused=True)
    _poll_update(s, "", "COMPLETED", refused=True)
    s.call("PollWorkflowExecutionUpdate", refused=True)


@scenario
def test_too_many_in_flight(s: Script) -> None:
    _running(s)
    # Held, and not looked at: what the real server answers to them in the end depends on who is faster inside it.
    held = []
    for number in range(10):
        held.append(s.update("w", f"u{number}", refused=True))
        s.await_update("w", f"u{number}")
    s.update("w", "one-more", refused=True)()
    s.terminate("w")
