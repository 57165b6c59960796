"""The workflow task: buffering, failing, heartbeating, sticky queues, timing out, eager activities."""

from datetime import timedelta
from typing import Any

from tests.differential import commands as c
from tests.differential.compare import scenario
from tests.differential.script import Script, failure, payload, payloads


def _sticky(s: Script, seconds: float = 60, queue: str = "main") -> dict[str, Any]:
    return {
        "sticky_attributes": {
            "worker_task_queue": {"name": s.name(f"{queue}-sticky"), "kind": "TASK_QUEUE_KIND_STICKY"},
            "schedule_to_start_timeout": timedelta(seconds=seconds),
        }
    }


@scenario
def test_events_are_buffered_while_a_task_runs(s: Script) -> None:
    s.start("w")
    task = s.poll()
    for number in range(3):
        s.signal("w", f"signal {number}")
    s.cancel("w")
    s.history("w")
    s.describe("w")
    s.complete(task, c.start_timer())
    s.history("w")
    s.step()
    s.history("w")


@scenario
def test_activity_that_ends_while_a_task_runs(s: Script) -> None:
    s.start("w")
    s.step(c.schedule_activity(s.name("acts")))
    s.signal("w")
    task = s.poll()
    activity = s.poll_activity("acts")
    s.complete_activity(activity)
    s.history("w")
    s.complete(task)
    s.history("w")
    s.step(c.complete())


@scenario
def test_activity_is_cancelled_by_the_task_in_which_it_ends(s: Script) -> None:
    s.start("w")
    s.step(c.schedule_activity(s.name("acts")))
    s.signal("w")
    task = s.poll()
    s.complete_activity(s.poll_activity("acts"))
    s.complete(task, c.cancel_activity(5))
    s.history("w")
    s.step(c.complete())
    s.history("w")


@scenario
def test_failed_task_is_transient(s: Script) -> None:
    s.start("w")
    s.fail_task(s.poll())
    s.history("w")
    second = s.poll()
    s.describe("w")
    s.history("w")
    s.fail_task(second)
    third = s.poll()
    s.history("w")
    s.signal("w")
    s.complete(third, c.marker())
    s.history("w")
    s.step(c.complete())
    s.history("w")


@scenario
def test_signal_while_the_next_attempt_waits(s: Script) -> None:
    s.start("w")
    s.fail_task(s.poll())
    s.signal("w")
    s.history("w")
    task = s.poll()
    s.complete(task, c.complete())
    s.history("w")


@scenario
def test_causes_of_failure(s: Script) -> None:
    for cause in (
        "NON_DETERMINISTIC_ERROR",
        "WORKFLOW_WORKER_UNHANDLED_FAILURE",
        "RESET_STICKY_TASK_QUEUE",
        "UNSPECIFIED",
    ):
        name = cause.lower()
        s.start(name)
        s.fail_task(
            s.poll(), cause=f"WORKFLOW_TASK_FAILED_CAUSE_{cause}", failure=failure("why", details=payloads("x"))
        )
        s.history(name)
        s.terminate(name)


@scenario
def test_answers_that_come_twice_or_too_late(s: Script) -> None:
    s.start("w")
    task = s.poll()
    s.complete(task, c.start_timer())
    s.complete(task, c.start_timer(), refused=True)
    s.fail_task(task, refused=True)
    s.signal("w")
    failed = s.poll()
    s.fail_task(failed)
    s.complete(failed, c.complete(), refused=True)
    last = s.poll()
    s.terminate("w")
    s.complete(last, c.complete(), refused=True)
    s.fail_task(last, refused=True)


@scenario
def test_task_times_out(s: Script) -> None:
    s.start("w", workflow_task_timeout=timedelta(seconds=1))
    task = s.poll()
    s.await_event("w", "WORKFLOW_TASK_TIMED_OUT")
    s.complete(task, c.complete(), refused=True)
    s.history("w")
    again = s.poll()
    s.complete(again, c.complete())
    s.history("w")


@scenario
def test_heartbeat_with_a_forced_new_task(s: Script) -> None:
    s.start("w")
    task = s.poll()
    first = s.complete(task, force_create_new_workflow_task=True, return_new_workflow_task=True, **_sticky(s))
    s.history("w")
    second = s.complete(
        first.workflow_task,
        c.marker(),
        force_create_new_workflow_task=True,
        return_new_workflow_task=True,
        **_sticky(s),
    )
    s.signal("w")
    s.complete(second.workflow_task, return_new_workflow_task=True, **_sticky(s))
    s.history("w")


@scenario
def test_new_task_is_returned_only_when_there_is_one(s: Script) -> None:
    s.start("w")
    s.complete(s.poll(), return_new_workflow_task=True)
    s.signal("w")
    task = s.poll()
    s.signal("w")
    answer = s.complete(task, return_new_workflow_task=True)
    s.complete(answer.workflow_task, c.complete())
    s.history("w")


@scenario
def test_forced_task_that_is_not_returned(s: Script) -> None:
    s.start("w")
    s.complete(s.poll(), force_create_new_workflow_task=True)
    s.step(c.complete())
    s.history("w")


@scenario
def test_sticky_queue(s: Script) -> None:
    s.start("w")
    s.poll(sticky=True, timeout=3)
    s.complete(s.poll(), **_sticky(s))
    s.describe("w")
    s.signal("w")
    task = s.poll(sticky=True)
    s.complete(task, c.start_timer(), **_sticky(s))
    s.signal("w")
    s.poll("main", timeout=3)
    task = s.poll(sticky=True)
    s.complete(task)
    s.signal("w")
    s.step(c.complete())
    s.history("w")


@scenario
def test_sticky_worker_that_is_not_there(s: Script) -> None:
    s.start("w")
    s.complete(s.poll(), **_sticky(s, 30))
    s.signal("w")
    s.step(c.complete())
    s.history("w")


@scenario
def test_sticky_worker_that_does_not_come(s: Script) -> None:
    s.start("w")
    s.poll(sticky=True, timeout=3)
    s.complete(s.poll(), **_sticky(s, 1))
    s.signal("w")
    s.await_event("w", "WORKFLOW_TASK_TIMED_OUT")
    s.step(c.complete())
    s.history("w")


@scenario
def test_failed_task_leaves_the_sticky_queue(s: Script) -> None:
    s.start("w")
    s.poll(sticky=True, timeout=3)
    s.complete(s.poll(), **_sticky(s))
    s.signal("w")
    s.fail_task(s.poll(sticky=True))
    s.step(c.complete())
    s.history("w")


@scenario
def test_reset_of_stickiness(s: Script) -> None:
    s.start("w")
    s.poll(sticky=True, timeout=3)
    s.complete(s.poll(), **_sticky(s))
    s.call("ResetStickyTaskQueue", execution=s.execution("w"))
    s.signal("w")
    s.step(c.complete())
    s.history("w")
    s.call("ResetStickyTaskQueue", execution=s.execution("w"), refused=True)
    s.call("ResetStickyTaskQueue", execution=s.execution("nobody"), refused=True)


@scenario
def test_eager_activity(s: Script) -> None:
    s.start("w")
    answer = s.step(
        c.schedule_activity(s.name("main"), "eager", request_eager_execution=True),
        c.schedule_activity(s.name("main"), "lazy"),
    )
    s.history("w")
    for task in answer.activity_tasks:
        s.complete_activity(task)
    s.complete_activity(s.poll_activity())
    s.step(c.complete())
    s.history("w")


@scenario
def test_what_a_worker_says_of_itself(s: Script) -> None:
    s.start("w")
    s.complete(
        s.poll(),
        c.complete(),
        sdk_metadata={"core_used_flags": [1, 2], "lang_used_flags": [3], "sdk_name": "script", "sdk_version": "1.0"},
        metering_metadata={"nonfirst_local_activity_execution_attempts": 2},
        identity="somebody",
        binary_checksum="abc",
    )
    s.history("w")


@scenario
def test_worker_version_stamps(s: Script) -> None:
    s.start("w")
    s.complete(s.poll(), c.start_timer(), worker_version_stamp={"build_id": "1.0", "use_versioning": False})
    s.describe("w")
    s.history("w")


@scenario
def test_full_history_is_paged_to_the_worker(s: Script) -> None:
    s.start("w")
    s.complete(s.poll(silent=True), *(c.marker(f"m{number}") for number in range(300)), silent=True)
    s.signal("w")
    task = s.poll(silent=True)
    ids = [event.event_id for event in task.history.events]
    token = task.next_page_token
    while token:
        page = s.call("GetWorkflowExecutionHistory", execution=s.execution("w"), next_page_token=token, silent=True)
        ids += [event.event_id for event in page.history.events]
        token = page.next_page_token
    # Where pages end is a matter of storage: the real server counts batches of events.
    s.note(f"events {ids[0]} to {ids[-1]}" if ids == list(range(1, len(ids) + 1)) else str(ids))
    s.complete(task, c.complete())


@scenario
def test_user_metadata_of_commands(s: Script) -> None:
    s.start("w")
    summary = {"summary": payload("summary"), "details": payload("details")}
    s.step(
        c.command("START_TIMER", timer_id="t", start_to_fire_timeout=timedelta(hours=1), metadata=summary),
        c.command(
            "SCHEDULE_ACTIVITY_TASK",
            activity_id="a",
            activity_type={"name": "Act"},
            task_queue={"name": s.name("acts")},
            start_to_close_timeout=timedelta(seconds=9),
            metadata=summary,
        ),
        c.command(
            "START_CHILD_WORKFLOW_EXECUTION",
            workflow_id=s.name("child"),
            workflow_type={"name": "Child"},
            task_queue={"name": s.name("children")},
            metadata=summary,
        ),
    )
    s.await_child("w", "child")
    s.history("w")
    s.history("child")
    s.describe("child")
    s.terminate("w")


@scenario
def test_terminated_in_a_later_attempt(s: Script) -> None:
    s.start("w")
    s.fail_task(s.poll())
    s.poll()
    s.terminate("w")
    s.history("w")


@scenario
def test_signal_in_a_later_attempt(s: Script) -> None:
    s.start("w")
    s.fail_task(s.poll())
    task = s.poll()
    s.signal("w")
    s.history("w")
    s.fail_task(task)
    s.history("w")
    s.step(c.complete())
    s.history("w")


@scenario
def test_tasks_that_keep_failing_are_shown(s: Script) -> None:
    s.start("w")
    for attempt in range(6):
        s.fail_task(s.poll(silent=True))
        if attempt > 2:
            s.describe("w")
    s.complete(s.poll(silent=True), c.start_timer("t", seconds=600))
    s.describe("w")
