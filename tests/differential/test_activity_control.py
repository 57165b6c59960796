"""Activities by operator: pause, unpause, reset, changed options."""

from datetime import timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import PollActivityTaskQueueResponse

from tests.differential import commands as c
from tests.differential.compare import scenario
from tests.differential.script import Script, failure, payloads

_FAST = {"initial_interval": timedelta(milliseconds=50), "backoff_coefficient": 1.0, "maximum_attempts": 3}
_SLOW = {"initial_interval": timedelta(hours=1), "maximum_interval": timedelta(hours=3)}


def _scheduled(s: Script, name: str = "w", **attributes: Any) -> PollActivityTaskQueueResponse:
    """A workflow with one activity, which has been handed to the worker."""
    s.start(name)
    s.step(c.schedule_activity(s.name("acts"), **attributes))
    return s.poll_activity("acts")


def _control(s: Script, rpc: str, name: str = "w", **fields: Any) -> Any:
    if not fields.keys() & {"id", "type", "match_all", "unpause_all"}:
        fields["id"] = "a1"
    return s.call(rpc, execution=s.execution(name), **fields)


@scenario
def test_pause_before_a_worker_has_it(s: Script) -> None:
    s.start("w")
    s.step(c.schedule_activity(s.name("acts")))
    _control(s, "PauseActivity", reason="because", request_id="p1")
    s.describe("w")
    _control(s, "PauseActivity", reason="again", request_id="p1")
    _control(s, "PauseActivity", request_id="p2", refused=True)
    s.poll_activity("acts", timeout=3)
    _control(s, "UnpauseActivity")
    s.describe("w")
    s.complete_activity(s.poll_activity("acts"))
    s.history("w")
    _control(s, "PauseActivity", refused=True)
    s.step(c.complete())
    _control(s, "PauseActivity", refused=True)


@scenario
def test_pause_while_it_runs(s: Script) -> None:
    task = _scheduled(s, retry_policy=_FAST)
    _control(s, "PauseActivity")
    s.describe("w")
    s.heartbeat(task, details=payloads("so far"))
    s.fail_activity(task)
    s.describe("w")
    s.poll_activity("acts", timeout=3)
    _control(s, "UnpauseActivity")
    second = s.poll_activity("acts")
    s.describe("w")
    s.complete_activity(second)
    s.describe("w")
    s.history("w")


@scenario
def test_paused_attempts_do_not_run_out(s: Script) -> None:
    task = _scheduled(s, retry_policy=_FAST | {"maximum_attempts": 1})
    _control(s, "PauseActivity")
    s.fail_activity(task)
    s.describe("w")
    _control(s, "UnpauseActivity")
    s.fail_activity(s.poll_activity("acts"))
    s.history("w")


@scenario
def test_paused_and_a_failure_that_is_final(s: Script) -> None:
    task = _scheduled(s, retry_policy=_FAST)
    _control(s, "PauseActivity")
    s.fail_activity(task, failure=failure("x", non_retryable=True))
    s.describe("w")
    s.history("w")


@scenario
def test_paused_and_completed(s: Script) -> None:
    task = _scheduled(s)
    _control(s, "PauseActivity")
    s.complete_activity(task)
    s.describe("w")
    s.history("w")


@scenario
def test_paused_and_completed_by_id(s: Script) -> None:
    s.start("w")
    s.step(c.schedule_activity(s.name("acts")))
    _control(s, "PauseActivity")
    s.call("RespondActivityTaskCompletedById", workflow_id=s.name("w"), activity_id="a1", result=payloads("done"))
    s.history("w")


@scenario
def test_completed_by_id_between_attempts(s: Script) -> None:
    task = _scheduled(s, retry_policy=_SLOW)
    s.fail_activity(task)
    s.call("RespondActivityTaskCompletedById", workflow_id=s.name("w"), activity_id="a1", result=payloads("done"))
    s.history("w")


@scenario
def test_paused_and_cancelled(s: Script) -> None:
    s.start("w")
    s.step(c.schedule_activity(s.name("acts")), c.schedule_activity(s.name("others"), "a2"))
    running = s.poll_activity("acts")
    _control(s, "PauseActivity", type="Act")
    s.signal("w")
    s.step(c.cancel_activity(5), c.cancel_activity(6))
    s.describe("w")
    s.heartbeat(running)
    s.cancel_activity(running)
    s.history("w")


@scenario
def test_paused_activities_do_not_time_out(s: Script) -> None:
    task = _scheduled(s, start_to_close_timeout=timedelta(seconds=1), retry_policy=_FAST)
    _control(s, "PauseActivity")
    s.poll_activity("acts", timeout=3)
    s.describe("w")
    s.heartbeat(task)
    _control(s, "UnpauseActivity")
    s.poll_activity("acts")
    s.complete_activity(task, refused=True)
    s.describe("w")


@scenario
def test_unpause_with_everything(s: Script) -> None:
    first = _scheduled(s, retry_policy=_FAST)
    s.heartbeat(first, details=payloads("one"))
    s.fail_activity(first)
    second = s.poll_activity("acts")
    _control(s, "PauseActivity")
    s.fail_activity(second)
    s.describe("w")
    _control(s, "UnpauseActivity", reset_attempts=True, reset_heartbeat=True)
    s.describe("w")
    s.complete_activity(s.poll_activity("acts"))
    s.history("w")


@scenario
def test_unpause_with_jitter(s: Script) -> None:
    s.start("w")
    s.step(c.schedule_activity(s.name("acts")))
    _control(s, "PauseActivity")
    _control(s, "UnpauseActivity", jitter=Duration(nanos=200_000_000))
    s.complete_activity(s.poll_activity("acts"))
    s.history("w")


@scenario
def test_unpause_of_one_that_is_not_paused(s: Script) -> None:
    task = _scheduled(s, retry_policy=_SLOW)
    _control(s, "UnpauseActivity", reset_attempts=True)
    s.fail_activity(task)
    _control(s, "UnpauseActivity", reset_attempts=True)
    s.describe("w")


@scenario
def test_many_by_type_and_all(s: Script) -> None:
    s.start("w")
    queue = s.name("acts")
    s.step(
        c.schedule_activity(queue, "a1"),
        c.schedule_activity(queue, "a2"),
        c.schedule_activity(queue, "b1", activity_type={"name": "Other"}),
    )
    _control(s, "PauseActivity", type="Act")
    s.describe("w")
    _control(s, "PauseActivity", type="Other")
    _control(s, "UnpauseActivity", type="Other")
    s.describe("w")
    _control(s, "UnpauseActivity", unpause_all=True)
    s.describe("w")
    _control(s, "ResetActivity", match_all=True)
    _control(s, "ResetActivity", type="Act")
    for _ in range(3):
        # In which order they come is chance.
        task = s.call("PollActivityTaskQueue", task_queue={"name": queue}, silent=True)
        s.complete_activity(task)
    _control(s, "ResetActivity", match_all=True, refused=True)


@scenario
def test_paused_runs_in_lists(s: Script) -> None:
    s.start("w")
    s.step(c.schedule_activity(s.name("acts")))
    _control(s, "PauseActivity")
    query = f"WorkflowId = '{s.name('w')}' AND TemporalPauseInfo = 'property:activityType=Act'"
    count = {"query": query}

    def shown() -> bool:
        return bool(s.call("CountWorkflowExecutions", silent=True, **count).count)

    s.await_until(shown)
    s.call("CountWorkflowExecutions", **count)
    _control(s, "UnpauseActivity")
    s.await_until(lambda: not shown())
    s.call("CountWorkflowExecutions", **count)


@scenario
def test_reset_while_it_runs(s: Script) -> None:
    first = _scheduled(s, retry_policy=_FAST)
    s.heartbeat(first, details=payloads("one"))
    _control(s, "ResetActivity", reset_heartbeat=True)
    s.describe("w")
    s.heartbeat(first, details=payloads("two"))
    s.describe("w")
    s.fail_activity(first)
    second = s.poll_activity("acts")
    s.describe("w")
    s.heartbeat(second)
    s.complete_activity(second)
    s.history("w")


@scenario
def test_reset_of_a_later_attempt_that_runs(s: Script) -> None:
    s.fail_activity(_scheduled(s, retry_policy=_FAST))
    second = s.poll_activity("acts")
    _control(s, "ResetActivity")
    s.describe("w")
    s.heartbeat(second, refused=True)
    s.complete_activity(second, refused=True)
    s.call("RespondActivityTaskCompletedById", workflow_id=s.name("w"), activity_id="a1", result=payloads("done"))
    s.history("w")


@scenario
def test_reset_between_attempts(s: Script) -> None:
    task = _scheduled(s, retry_policy=_SLOW)
    s.heartbeat(task, details=payloads("one"))
    s.fail_activity(task)
    _control(s, "ResetActivity", reset_heartbeat=True)
    s.describe("w")
    s.complete_activity(s.poll_activity("acts"))
    s.history("w")


@scenario
def test_reset_between_attempts_keeps_the_heartbeat(s: Script) -> None:
    task = _scheduled(s, retry_policy=_SLOW)
    s.heartbeat(task, details=payloads("one"))
    s.fail_activity(task)
    _control(s, "ResetActivity", jitter=Duration(nanos=100_000_000))
    s.complete_activity(s.poll_activity("acts"))
    s.history("w")


@scenario
def test_reset_of_a_paused_one(s: Script) -> None:
    task = _scheduled(s, retry_policy=_SLOW)
    s.fail_activity(task)
    _control(s, "PauseActivity")
    _control(s, "ResetActivity", keep_paused=True)
    s.describe("w")
    _control(s, "ResetActivity")
    s.describe("w")
    s.complete_activity(s.poll_activity("acts"))
    s.history("w")


@scenario
def test_reset_of_a_paused_one_that_runs(s: Script) -> None:
    task = _scheduled(s, retry_policy=_FAST)
    _control(s, "PauseActivity")
    _control(s, "ResetActivity", keep_paused=True, reset_heartbeat=True)
    s.heartbeat(task, details=payloads("x"))
    s.fail_activity(task)
    s.describe("w")
    _control(s, "UnpauseActivity")
    s.describe("w")
    s.complete_activity(s.poll_activity("acts"))


@scenario
def test_options_one_by_one(s: Script) -> None:
    s.start("w")
    s.step(
        c.schedule_activity(
            s.name("acts"),
            retry_policy=_SLOW | {"non_retryable_error_types": ["Fatal"]},
            schedule_to_close_timeout=timedelta(seconds=100),
        )
    )
    for mask, options in {
        "heartbeat_timeout": {"heartbeat_timeout": timedelta(seconds=5)},
        "start_to_close_timeout": {"start_to_close_timeout": timedelta(seconds=50)},
        "scheduleToStartTimeout": {"schedule_to_start_timeout": timedelta(seconds=40)},
        "ScheduleToCloseTimeout": {"schedule_to_close_timeout": timedelta(seconds=30)},
        "priority": {"priority": {"priority_key": 2, "fairness_key": "f"}},
        "priority.priority_key": {"priority": {"priority_key": 4}},
        "priority.fairness_key": {"priority": {"fairness_key": "g"}},
        "priority.fairness_weight": {"priority": {"fairness_weight": 2.0}},
        "retry_policy.maximum_attempts": {"retry_policy": {"maximum_attempts": 7}},
        "retry_policy.initial_interval": {"retry_policy": {"initial_interval": timedelta(seconds=3)}},
        "retryPolicy.backoffCoefficient": {"retry_policy": {"backoff_coefficient": 3.0}},
        "retry_policy.maximum_interval": {"retry_policy": {"maximum_interval": timedelta(seconds=9)}},
        "nothing.known": {"priority": {"priority_key": 1}},
    }.items():
        with s.expecting(mask):
            _control(s, "UpdateActivityOptions", activity_options=options, update_mask={"paths": [mask]})
    s.describe("w")
    task = s.poll_activity("acts")
    s.fail_activity(task, failure=failure("x", type="Fatal"))
    s.history("w")


@scenario
def test_options_that_are_cleared(s: Script) -> None:
    s.start("w")
    s.step(c.schedule_activity(s.name("acts"), priority={"priority_key": 1}, heartbeat_timeout=timedelta(seconds=5)))
    _control(
        s,
        "UpdateActivityOptions",
        activity_options={},
        update_mask={"paths": ["priority", "heartbeat_timeout"]},
    )
    s.describe("w")
    s.poll_activity("acts")


@scenario
def test_options_of_a_whole_retry_policy(s: Script) -> None:
    s.start("w")
    s.step(c.schedule_activity(s.name("acts")))
    policy = _SLOW | {"backoff_coefficient": 2.5, "maximum_attempts": 4, "non_retryable_error_types": ["Fatal"]}
    _control(
        s, "UpdateActivityOptions", activity_options={"retry_policy": policy}, update_mask={"paths": ["retry_policy"]}
    )
    s.describe("w")


@scenario
def test_another_task_queue(s: Script) -> None:
    s.start("w")
    s.step(c.schedule_activity(s.name("acts")))
    _control(
        s,
        "UpdateActivityOptions",
        activity_options={"task_queue": {"name": s.name("others")}},
        update_mask={"paths": ["task_queue.name"]},
    )
    s.describe("w")
    s.poll_activity("acts", timeout=3)
    s.complete_activity(s.poll_activity("others"))
    s.history("w")


@scenario
def test_options_between_attempts(s: Script) -> None:
    task = _scheduled(s, retry_policy=_SLOW)
    s.fail_activity(task)
    _control(
        s,
        "UpdateActivityOptions",
        activity_options={"retry_policy": {"initial_interval": timedelta(milliseconds=50)}},
        update_mask={"paths": ["retry_policy.initial_interval"]},
    )
    s.complete_activity(s.poll_activity("acts"))
    s.history("w")


@scenario
def test_options_while_it_runs(s: Script) -> None:
    task = _scheduled(s, retry_policy=_FAST)
    _control(
        s,
        "UpdateActivityOptions",
        activity_options={"start_to_close_timeout": timedelta(seconds=2)},
        update_mask={"paths": ["start_to_close_timeout"]},
    )
    s.heartbeat(task)
    s.poll_activity("acts")
    s.describe("w")
    s.complete_activity(task, refused=True)


@scenario
def test_options_of_a_paused_one(s: Script) -> None:
    s.start("w")
    s.step(c.schedule_activity(s.name("acts")))
    _control(s, "PauseActivity")
    _control(
        s,
        "UpdateActivityOptions",
        activity_options={"heartbeat_timeout": timedelta(seconds=9)},
        update_mask={"paths": ["heartbeat_timeout"]},
    )
    s.describe("w")
    s.poll_activity("acts", timeout=3)


@scenario
def test_original_options_come_back(s: Script) -> None:
    s.start("w")
    s.step(c.schedule_activity(s.name("acts"), retry_policy=_SLOW | {"non_retryable_error_types": ["Fatal"]}))
    changed = {
        "activity_options": {"heartbeat_timeout": timedelta(seconds=9), "retry_policy": {"maximum_attempts": 9}},
        "update_mask": {"paths": ["heartbeat_timeout", "retry_policy.maximum_attempts"]},
    }
    _control(s, "UpdateActivityOptions", **changed)
    _control(s, "UpdateActivityOptions", restore_original=True)
    s.describe("w")
    _control(s, "UpdateActivityOptions", **changed)
    _control(s, "ResetActivity", restore_original_options=True)
    s.describe("w")
    s.complete_activity(s.poll_activity("acts"))


@scenario
def test_refused(s: Script) -> None:
    _scheduled(s)
    execution = s.execution("w")
    for rpc in ("PauseActivity", "UnpauseActivity", "ResetActivity", "UpdateActivityOptions"):
        options = (
            {"activity_options": {}, "update_mask": {"paths": ["heartbeat_timeout"]}} if rpc.startswith("Up") else {}
        )
        for note, fields in {
            "no execution": {"id": "a1"},
            "no workflow id": {"execution": {}, "id": "a1"},
            "no activity": {"execution": execution},
            "unknown id": {"execution": execution, "id": "a9"},
            "empty id": {"execution": execution, "id": ""},
            "unknown type": {"execution": execution, "type": "Nope"},
            "empty type": {"execution": execution, "type": ""},
            "unknown workflow": {"execution": s.execution("nobody"), "id": "a1"},
            "unknown run": {"execution": s.execution("w", "3b4a9e1c-7d0f-4c8e-9a55-0d1c2b3a4f5e"), "id": "a1"},
            "another namespace": {"namespace": "nowhere", "execution": execution, "id": "a1"},
        }.items():
            with s.expecting(f"{rpc}: {note}"):
                s.call(rpc, refused=True, **(options | fields))


@scenario
def test_options_that_are_refused(s: Script) -> None:
    _scheduled(s)
    for note, fields in {
        "no options": {"update_mask": {"paths": ["priority"]}},
        "no mask": {"activity_options": {"heartbeat_timeout": timedelta(seconds=9)}},
        "both": {"restore_original": True, "update_mask": {"paths": ["priority"]}},
        "no queue": {"activity_options": {}, "update_mask": {"paths": ["task_queue.name"]}},
        "empty queue": {"activity_options": {"task_queue": {}}, "update_mask": {"paths": ["task_queue.name"]}},
        "reserved queue": {
            "activity_options": {"task_queue": {"name": "/_sys/x"}},
            "update_mask": {"paths": ["task_queue.name"]},
        },
        "no policy": {"activity_options": {}, "update_mask": {"paths": ["retry_policy"]}},
        "no policy for a field": {"activity_options": {}, "update_mask": {"paths": ["retry_policy.maximum_attempts"]}},
        "no priority": {"activity_options": {}, "update_mask": {"paths": ["priority.priority_key"]}},
        "bad priority": {
            "activity_options": {"priority": {"priority_key": -1}},
            "update_mask": {"paths": ["heartbeat_timeout"]},
        },
        "bad coefficient": {
            "activity_options": {"retry_policy": {"backoff_coefficient": 0.5}},
            "update_mask": {"paths": ["retry_policy.backoff_coefficient"]},
        },
        "negative attempts": {
            "activity_options": {"retry_policy": {"maximum_attempts": -1}},
            "update_mask": {"paths": ["retry_policy.maximum_attempts"]},
        },
        "negative timeout": {
            "activity_options": {"heartbeat_timeout": Duration(seconds=-1)},
            "update_mask": {"paths": ["heartbeat_timeout"]},
        },
        "no timeout": {
            "activity_options": {},
            "update_mask": {"paths": ["start_to_close_timeout", "schedule_to_close_timeout"]},
        },
    }.items():
        with s.expecting(note):
            _control(s, "UpdateActivityOptions", refused=True, **fields)
