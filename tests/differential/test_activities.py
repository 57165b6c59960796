"""Activities: endings, the four timeouts, retries, cancellation, answers by id."""

from datetime import timedelta
from typing import Any

from temporalio.api.workflowservice.v1 import PollActivityTaskQueueResponse

from tests.differential import commands as c
from tests.differential.compare import scenario
from tests.differential.script import Script, failure, payload, payloads

_ONCE = {"maximum_attempts": 1}
_FAST = {"initial_interval": timedelta(milliseconds=50), "backoff_coefficient": 1.0, "maximum_attempts": 3}


def _scheduled(s: Script, name: str = "w", **attributes: Any) -> PollActivityTaskQueueResponse:
    """A workflow with one activity, which has been handed to the worker."""
    s.start(name)
    s.step(c.schedule_activity(s.name("acts"), **attributes))
    return s.poll_activity("acts")


@scenario
def test_completed(s: Script) -> None:
    task = _scheduled(s, header={"fields": {"h": payload("x")}}, heartbeat_timeout=timedelta(seconds=30))
    s.describe("w")
    s.history("w")
    s.complete_activity(task)
    s.history("w")
    s.step(c.complete())
    s.complete_activity(task, refused=True)


@scenario
def test_failed_without_retry(s: Script) -> None:
    task = _scheduled(s, retry_policy=_ONCE)
    s.fail_activity(task, failure=failure("why", details=payloads("x")))
    s.history("w")
    s.fail_activity(task, refused=True)


@scenario
def test_failed_and_retried(s: Script) -> None:
    task = _scheduled(s, retry_policy=_FAST)
    s.fail_activity(task, last_heartbeat_details=payloads("progress"))
    second = s.poll_activity("acts")
    s.describe("w")
    s.fail_activity(second)
    third = s.poll_activity("acts")
    s.complete_activity(task, refused=True)
    s.fail_activity(third)
    s.history("w")
    s.describe("w")


@scenario
def test_completed_on_the_second_attempt(s: Script) -> None:
    s.fail_activity(_scheduled(s, retry_policy=_FAST))
    s.complete_activity(s.poll_activity("acts"))
    s.history("w")


@scenario
def test_failures_that_are_not_retried(s: Script) -> None:
    policy = {**_FAST, "non_retryable_error_types": ["Fatal"]}
    for note, reason in {
        "said so": failure("x", non_retryable=True),
        "type": failure("x", type="Fatal"),
        "another type": failure("x", type="Mild"),
        "no information": {"message": "x"},
    }.items():
        name = note.replace(" ", "-")
        with s.expecting(note):
            s.start(name)
            s.step(c.schedule_activity(s.name(name), retry_policy=policy))
            s.fail_activity(s.poll_activity(name), failure=reason, refused=True)
            s.history(name)
            s.terminate(name)


@scenario
def test_next_retry_delay(s: Script) -> None:
    task = _scheduled(s, retry_policy={"initial_interval": timedelta(hours=1)})
    s.fail_activity(task, failure=failure("x", next_retry_delay=timedelta(milliseconds=50)))
    s.complete_activity(s.poll_activity("acts"))
    s.history("w")


@scenario
def test_waiting_for_the_next_attempt(s: Script) -> None:
    task = _scheduled(s, retry_policy={"initial_interval": timedelta(hours=1), "maximum_interval": timedelta(hours=2)})
    s.fail_activity(task)
    s.describe("w")
    s.history("w")
    s.terminate("w")


@scenario
def test_retry_that_would_come_too_late(s: Script) -> None:
    task = _scheduled(
        s, schedule_to_close_timeout=timedelta(seconds=30), retry_policy={"initial_interval": timedelta(hours=1)}
    )
    s.fail_activity(task)
    s.history("w")


@scenario
def test_schedule_to_start_timeout(s: Script) -> None:
    s.start("w")
    s.step(c.schedule_activity(s.name("acts"), schedule_to_start_timeout=timedelta(seconds=1), retry_policy=_FAST))
    s.await_event("w", "ACTIVITY_TASK_TIMED_OUT")
    s.history("w")
    s.poll_activity("acts", timeout=3)


@scenario
def test_schedule_to_close_timeout(s: Script) -> None:
    task = _scheduled(s, schedule_to_close_timeout=timedelta(seconds=1), start_to_close_timeout=None)
    s.await_event("w", "ACTIVITY_TASK_TIMED_OUT")
    s.history("w")
    s.complete_activity(task, refused=True)


@scenario
def test_schedule_to_close_timeout_between_attempts(s: Script) -> None:
    task = _scheduled(
        s,
        schedule_to_close_timeout=timedelta(seconds=3),
        retry_policy={"initial_interval": timedelta(seconds=1), "backoff_coefficient": 1.0},
    )
    s.fail_activity(task)
    s.fail_activity(s.poll_activity("acts"))
    s.await_event("w", "ACTIVITY_TASK_TIMED_OUT")
    s.history("w")


@scenario
def test_start_to_close_timeout(s: Script) -> None:
    task = _scheduled(s, start_to_close_timeout=timedelta(seconds=1), retry_policy=_ONCE)
    s.await_event("w", "ACTIVITY_TASK_TIMED_OUT")
    s.history("w")
    s.complete_activity(task, refused=True)


@scenario
def test_start_to_close_timeout_with_retry(s: Script) -> None:
    first = _scheduled(s, start_to_close_timeout=timedelta(seconds=2), retry_policy={**_FAST, "maximum_attempts": 2})
    s.heartbeat(first, details=payloads("one"))
    second = s.poll_activity("acts")
    s.describe("w")
    s.complete_activity(first, refused=True)
    s.complete_activity(second)
    s.history("w")


@scenario
def test_heartbeat_timeout(s: Script) -> None:
    task = _scheduled(s, heartbeat_timeout=timedelta(seconds=1), retry_policy=_ONCE)
    s.heartbeat(task, details=payloads("one", "two"))
    s.describe("w")
    s.await_event("w", "ACTIVITY_TASK_TIMED_OUT")
    s.history("w")
    s.heartbeat(task, refused=True)


@scenario
def test_heartbeat_details_reach_the_next_attempt(s: Script) -> None:
    task = _scheduled(s, retry_policy=_FAST)
    s.heartbeat(task, details=payloads("progress"))
    s.fail_activity(task)
    s.complete_activity(s.poll_activity("acts"))


@scenario
def test_cancellation_is_told_by_heartbeat(s: Script) -> None:
    task = _scheduled(s)
    s.heartbeat(task)
    s.signal("w")
    s.step(c.cancel_activity(5))
    s.describe("w")
    s.heartbeat(task)
    s.cancel_activity(task, details=payloads("stopped"))
    s.history("w")


@scenario
def test_cancellation_that_is_ignored(s: Script) -> None:
    task = _scheduled(s)
    s.signal("w")
    s.step(c.cancel_activity(5))
    s.complete_activity(task)
    s.history("w")


@scenario
def test_cancellation_stops_retries(s: Script) -> None:
    task = _scheduled(s, retry_policy=_FAST)
    s.signal("w")
    s.step(c.cancel_activity(5))
    s.fail_activity(task)
    s.history("w")


@scenario
def test_cancellation_before_the_start(s: Script) -> None:
    s.start("w")
    s.step(c.schedule_activity(s.name("acts")))
    s.signal("w")
    s.step(c.cancel_activity(5))
    s.history("w")
    s.poll_activity("acts", timeout=3)


@scenario
def test_cancellation_between_attempts(s: Script) -> None:
    task = _scheduled(s, retry_policy={"initial_interval": timedelta(hours=1)})
    s.fail_activity(task)
    s.signal("w")
    s.step(c.cancel_activity(5))
    s.history("w")


@scenario
def test_cancelled_without_being_asked(s: Script) -> None:
    task = _scheduled(s)
    s.cancel_activity(task, refused=True)
    s.history("w")


@scenario
def test_scheduled_and_cancelled_in_one_task(s: Script) -> None:
    s.start("w")
    s.step(c.schedule_activity(s.name("acts")), c.cancel_activity(5))
    s.history("w")


@scenario
def test_answers_by_id(s: Script) -> None:
    for note, rpc, fields in (
        ("complete", "RespondActivityTaskCompletedById", {"result": payloads("done")}),
        ("fail", "RespondActivityTaskFailedById", {"failure": failure("x", non_retryable=True)}),
        ("cancel", "RespondActivityTaskCanceledById", {"details": payloads("x")}),
    ):
        with s.expecting(note):
            s.start(note)
            s.step(c.schedule_activity(s.name(note), "by-id"))
            s.poll_activity(note)
            s.call(
                "RecordActivityTaskHeartbeatById", workflow_id=s.name(note), activity_id="by-id", details=payloads("h")
            )
            if note == "cancel":
                s.signal(note)
                s.step(c.cancel_activity(5))
            s.call(rpc, workflow_id=s.name(note), activity_id="by-id", **fields)
            s.history(note)
            s.call(rpc, workflow_id=s.name(note), activity_id="by-id", refused=True, **fields)
            s.terminate(note)


@scenario
def test_answers_by_id_that_go_nowhere(s: Script) -> None:
    s.start("w")
    s.step(c.schedule_activity(s.name("acts")))
    for rpc in (
        "RespondActivityTaskCompletedById",
        "RespondActivityTaskFailedById",
        "RespondActivityTaskCanceledById",
        "RecordActivityTaskHeartbeatById",
    ):
        with s.expecting(rpc):
            s.call(rpc, workflow_id=s.name("w"), activity_id="a1", refused=True)
            s.call(rpc, workflow_id=s.name("w"), activity_id="nope", refused=True)
            s.call(rpc, workflow_id=s.name("nobody"), activity_id="a1", refused=True)
            s.call(rpc, workflow_id=s.name("w"), activity_id="", refused=True)
            s.call(rpc, workflow_id=s.name("w"), run_id="no-uuid", activity_id="a1", refused=True)
    s.history("w")


@scenario
def test_async_completion_after_the_workflow_has_ended(s: Script) -> None:
    task = _scheduled(s)
    s.signal("w")
    s.step(c.complete())
    s.heartbeat(task, refused=True)
    s.complete_activity(task, refused=True)
    s.fail_activity(task, refused=True)
    s.cancel_activity(task, refused=True)


@scenario
def test_many_at_once_end_in_any_order(s: Script) -> None:
    s.start("w")
    s.step(*(c.schedule_activity(s.name(f"acts{number}"), f"a{number}") for number in range(4)))
    tasks = [s.poll_activity(f"acts{number}") for number in range(4)]
    for number in (2, 0, 3, 1):
        s.complete_activity(tasks[number], result=payloads(str(number)))
    s.history("w")
    s.step(c.complete())


@scenario
def test_large_results(s: Script) -> None:
    large = payloads("x" * 2_100_000)
    s.complete_activity(_scheduled(s, "result"), result=large, refused=True)
    s.history("result")
    s.terminate("result")
    s.fail_activity(_scheduled(s, "failure", retry_policy=_ONCE), failure=failure("x", details=large), refused=True)
    s.history("failure")
    s.terminate("failure")
    task = _scheduled(s, "heartbeat")
    s.heartbeat(task, details=large, refused=True)
    s.history("heartbeat")


@scenario
def test_activity_commands_from_outside(s: Script) -> None:
    task = _scheduled(s, retry_policy={"initial_interval": timedelta(hours=1)})
    s.fail_activity(task)
    s.call("PauseActivity", execution=s.execution("w"), id="a1", reason="look", refused=True)
    s.describe("w")
    s.call("UnpauseActivity", execution=s.execution("w"), id="a1", refused=True)
    s.call(
        "UpdateActivityOptions",
        execution=s.execution("w"),
        id="a1",
        activity_options={"start_to_close_timeout": timedelta(seconds=5)},
        update_mask={"paths": ["start_to_close_timeout"]},
        refused=True,
    )
    s.call("ResetActivity", execution=s.execution("w"), id="a1", refused=True)
    s.complete_activity(s.poll_activity("acts"))
    s.history("w")
