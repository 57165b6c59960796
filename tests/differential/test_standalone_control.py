"""Standalone activities by operator: pause, unpause, reset, changed options."""

from datetime import timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration

from tests.differential import commands as c
from tests.differential.compare import scenario
from tests.differential.script import Script, failure, payloads
from tests.differential.test_standalone_activities import cancel, describe, outcome, start, started, terminate

_FAST = {"initial_interval": timedelta(milliseconds=50), "backoff_coefficient": 1.0, "maximum_attempts": 3}
_SLOW = {"initial_interval": timedelta(hours=1), "maximum_interval": timedelta(hours=3)}


def _control(s: Script, rpc: str, name: str = "a", **fields: Any) -> Any:
    return s.call(rpc, activity_id=s.name(name), **fields)


def _pause(s: Script, name: str = "a", **fields: Any) -> Any:
    return _control(s, "PauseActivityExecution", name, **fields)


def _unpause(s: Script, name: str = "a", **fields: Any) -> Any:
    return _control(s, "UnpauseActivityExecution", name, **fields)


def _reset(s: Script, name: str = "a", **fields: Any) -> Any:
    return _control(s, "ResetActivityExecution", name, **fields)


def _update(s: Script, mask: str, name: str = "a", refused: bool = False, **options: Any) -> Any:
    return _control(
        s,
        "UpdateActivityExecutionOptions",
        name,
        activity_options=options,
        update_mask={"paths": [mask]},
        refused=refused,
    )


@scenario
def test_pause_before_a_worker_has_it(s: Script) -> None:
    start(s)
    _pause(s, reason="because", request_id="p1")
    describe(s)
    _pause(s, request_id="p1")
    _pause(s, request_id="p2", refused=True)
    s.poll_activity("acts", timeout=3)
    _unpause(s, request_id="u1")
    _unpause(s, request_id="u1")
    _pause(s, request_id="p1")
    describe(s)
    s.complete_activity(s.poll_activity("acts"))
    describe(s)
    _pause(s, refused=True)
    _unpause(s, refused=True)
    _reset(s, refused=True)


@scenario
def test_pause_while_it_runs(s: Script) -> None:
    task = started(s, retry_policy=_FAST)
    _pause(s)
    describe(s)
    s.heartbeat(task, details=payloads("so far"))
    s.fail_activity(task)
    describe(s)
    s.poll_activity("acts", timeout=3)
    _unpause(s)
    s.complete_activity(s.poll_activity("acts"))
    describe(s)


@scenario
def test_unpause_while_it_runs(s: Script) -> None:
    task = started(s, retry_policy=_FAST)
    _unpause(s, refused=True)
    _pause(s)
    _unpause(s, jitter=Duration(nanos=1000))
    describe(s)
    s.heartbeat(task)
    s.complete_activity(task)


@scenario
def test_pause_and_the_last_attempt(s: Script) -> None:
    task = started(s, retry_policy={"maximum_attempts": 1})
    _pause(s)
    s.fail_activity(task)
    describe(s)


@scenario
def test_paused_activities_time_out(s: Script) -> None:
    started(s, "running", start_to_close_timeout=timedelta(seconds=1), retry_policy=_FAST)
    _pause(s, "running")
    # The later one by a second.
    start(s, "waiting", schedule_to_close_timeout=timedelta(seconds=2), start_to_close_timeout=None)
    _pause(s, "waiting")
    outcome(s, "waiting")
    describe(s, "running")
    describe(s, "waiting")


@scenario
def test_unpause_between_attempts(s: Script) -> None:
    s.fail_activity(started(s, retry_policy=_SLOW))
    _pause(s)
    describe(s)
    _unpause(s)
    describe(s)


@scenario
def test_paused_and_ended(s: Script) -> None:
    start(s, "cancelled")
    _pause(s, "cancelled")
    cancel(s, "cancelled")
    describe(s, "cancelled")
    start(s, "terminated")
    _pause(s, "terminated")
    terminate(s, "terminated")
    describe(s, "terminated")
    start(s, "completed")
    _pause(s, "completed")
    s.call("RespondActivityTaskCompletedById", activity_id=s.name("completed"), result=payloads("x"))
    describe(s, "completed")


@scenario
def test_paused_ones_in_lists(s: Script) -> None:
    start(s)
    _pause(s)
    query = f"ActivityId = '{s.name('a')}' AND ExecutionStatus = 'Paused'"
    s.await_until(lambda: s.call("CountActivityExecutions", query=query, silent=True).count == 1)
    s.call("CountActivityExecutions", query=query)


@scenario
def test_cancelled_ones_obey_no_more(s: Script) -> None:
    task = started(s)
    cancel(s)
    _pause(s, refused=True)
    _unpause(s, refused=True)
    _reset(s, refused=True)
    _update(s, "heartbeat_timeout", refused=True, heartbeat_timeout=timedelta(seconds=5))
    s.heartbeat(task)


@scenario
def test_reset_while_it_runs(s: Script) -> None:
    s.fail_activity(started(s, retry_policy=_FAST))
    second = s.poll_activity("acts")
    s.heartbeat(second, details=payloads("x"))
    _reset(s, reset_heartbeat=True, request_id="r1")
    _reset(s, request_id="r1")
    _reset(s, request_id="r2", refused=True)
    _pause(s, refused=True)
    describe(s)
    s.heartbeat(second, details=payloads("y"))
    s.fail_activity(second, failure=failure("x", non_retryable=True))
    describe(s)
    s.complete_activity(s.poll_activity("acts"))
    describe(s)


@scenario
def test_reset_while_it_runs_and_completed(s: Script) -> None:
    task = started(s, retry_policy=_FAST)
    _reset(s)
    s.complete_activity(task)
    describe(s)


@scenario
def test_reset_and_out_of_time(s: Script) -> None:
    started(s, schedule_to_close_timeout=timedelta(seconds=1), retry_policy=_FAST)
    _reset(s)
    outcome(s)
    describe(s)
    started(s, "b", start_to_close_timeout=timedelta(seconds=1), retry_policy={"maximum_attempts": 1})
    _reset(s, "b")
    s.poll_activity("acts")
    describe(s, "b")


@scenario
def test_reset_between_attempts(s: Script) -> None:
    task = started(s, retry_policy=_SLOW)
    s.heartbeat(task, details=payloads("x"))
    s.fail_activity(task)
    _reset(s)
    describe(s)
    s.complete_activity(s.poll_activity("acts"))


@scenario
def test_reset_of_paused_ones(s: Script) -> None:
    task = started(s, retry_policy=_SLOW)
    s.heartbeat(task, details=payloads("x"))
    s.fail_activity(task)
    _pause(s)
    _reset(s, keep_paused=True, reset_heartbeat=True)
    describe(s)
    _reset(s)
    describe(s)
    s.complete_activity(s.poll_activity("acts"))
    running = started(s, "b", retry_policy=_FAST)
    _pause(s, "b")
    _reset(s, "b", keep_paused=True)
    describe(s, "b")
    s.heartbeat(running)
    s.fail_activity(running)
    describe(s, "b")


@scenario
def test_commands_in_the_start_delay(s: Script) -> None:
    start(s, start_delay=timedelta(seconds=4))
    _pause(s)
    _unpause(s)
    describe(s)
    _reset(s)
    describe(s)
    _update(s, "start_delay", start_delay=timedelta(seconds=3))
    describe(s)
    s.complete_activity(s.poll_activity("acts"))
    describe(s)
    started(s, "b")
    _update(s, "start_delay", "b", refused=True, start_delay=timedelta(seconds=1))


@scenario
def test_options_one_by_one(s: Script) -> None:
    start(
        s,
        retry_policy=_SLOW | {"non_retryable_error_types": ["Fatal"]},
        schedule_to_close_timeout=timedelta(seconds=100),
    )
    for mask, options in {
        "heartbeat_timeout": {"heartbeat_timeout": timedelta(seconds=5)},
        "start_to_close_timeout": {"start_to_close_timeout": timedelta(seconds=50)},
        "scheduleToStartTimeout": {"schedule_to_start_timeout": timedelta(seconds=40)},
        "ScheduleToCloseTimeout": {"schedule_to_close_timeout": timedelta(seconds=30)},
        "priority": {"priority": {"priority_key": 2, "fairness_key": "f"}},
        "priority.priority_key": {"priority": {"priority_key": 4}},
        "retry_policy.maximum_attempts": {"retry_policy": {"maximum_attempts": 7}},
        "retryPolicy.backoffCoefficient": {"retry_policy": {"backoff_coefficient": 3.0}},
        "retry_policy": {"retry_policy": {"maximum_attempts": 5, "non_retryable_error_types": ["Other"]}},
    }.items():
        with s.expecting(mask):
            _update(s, mask, **options)
    describe(s)
    s.poll_activity("acts")
    _control(s, "UpdateActivityExecutionOptions", restore_original=True)
    describe(s)


@scenario
def test_another_task_queue(s: Script) -> None:
    start(s)
    _update(s, "task_queue.name", task_queue={"name": s.name("others")})
    s.poll_activity("acts", timeout=3)
    s.complete_activity(s.poll_activity("others"))
    describe(s)


@scenario
def test_options_between_attempts(s: Script) -> None:
    s.fail_activity(started(s, retry_policy=_SLOW))
    _update(s, "retry_policy.initial_interval", retry_policy={"initial_interval": timedelta(milliseconds=50)})
    s.complete_activity(s.poll_activity("acts"))
    own = failure("x", next_retry_delay=timedelta(hours=2))
    s.fail_activity(started(s, "b", retry_policy=_SLOW), failure=own)
    _update(s, "retry_policy.initial_interval", "b", retry_policy={"initial_interval": timedelta(seconds=2)})
    describe(s, "b")


@scenario
def test_options_while_it_runs(s: Script) -> None:
    started(s, retry_policy=_FAST | {"maximum_attempts": 1})
    _update(s, "start_to_close_timeout", start_to_close_timeout=timedelta(seconds=1))
    outcome(s)
    _update(s, "start_to_close_timeout", refused=True, start_to_close_timeout=timedelta(seconds=1))


@scenario
def test_options_restored_by_a_reset(s: Script) -> None:
    start(s, heartbeat_timeout=timedelta(seconds=5))
    _update(s, "heartbeat_timeout", heartbeat_timeout=timedelta(seconds=9))
    _reset(s, restore_original_options=True)
    describe(s)
    task = s.poll_activity("acts")
    _update(s, "heartbeat_timeout", heartbeat_timeout=timedelta(seconds=9))
    _reset(s, restore_original_options=True)
    _update(s, "heartbeat_timeout", refused=True, heartbeat_timeout=timedelta(seconds=9))
    s.fail_activity(task)
    describe(s)


@scenario
def test_activities_of_workflows(s: Script) -> None:
    s.start("w")
    s.step(c.schedule_activity(s.name("acts")))
    address = {"workflow_id": s.name("w"), "activity_id": "a1"}
    s.call("PauseActivityExecution", reason="why", **address)
    s.describe("w")
    s.call("UnpauseActivityExecution", **address)
    s.call("ResetActivityExecution", **address)
    s.call(
        "UpdateActivityExecutionOptions",
        activity_options={"heartbeat_timeout": timedelta(seconds=9)},
        update_mask={"paths": ["heartbeat_timeout"]},
        **address,
    )
    s.describe("w")


@scenario
def test_refused(s: Script) -> None:
    start(s)
    options = {"activity_options": {}, "update_mask": {"paths": ["heartbeat_timeout"]}}
    for rpc in (
        "PauseActivityExecution",
        "UnpauseActivityExecution",
        "ResetActivityExecution",
        "UpdateActivityExecutionOptions",
    ):
        more = options if rpc.startswith("Update") else {}
        for note, fields in {
            "no id": {},
            "long id": {"activity_id": "x" * 1001},
            "unknown id": {"activity_id": s.name("nobody")},
            "bad run": {"activity_id": s.name("a"), "run_id": "x"},
            "unknown run": {"activity_id": s.name("a"), "run_id": "3b4a9e1c-7d0f-4c8e-9a55-0d1c2b3a4f5e"},
            "long request id": {"activity_id": s.name("a"), "request_id": "x" * 1001},
            "long identity": {"activity_id": s.name("a"), "identity": "x" * 1001},
            "unknown workflow": {"activity_id": "a1", "workflow_id": s.name("nobody")},
        }.items():
            with s.expecting(f"{rpc}: {note}"):
                s.call(rpc, refused=True, **(more | fields))
    _unpause(s, jitter=Duration(seconds=-1), refused=True)
    _reset(s, jitter=Duration(seconds=-1), refused=True)
    _pause(s, reason="x" * 2_100_000, refused=True)


@scenario
def test_options_that_are_refused(s: Script) -> None:
    start(s)
    for note, fields in {
        "no options": {"update_mask": {"paths": ["priority"]}},
        "no mask": {"activity_options": {}},
        "empty mask": {"activity_options": {}, "update_mask": {}},
        "both": {"restore_original": True, "update_mask": {"paths": ["priority"]}},
        "unknown path": {"activity_options": {}, "update_mask": {"paths": ["nope"]}},
        "no queue": {"activity_options": {}, "update_mask": {"paths": ["task_queue.name"]}},
        "no policy": {"activity_options": {}, "update_mask": {"paths": ["retry_policy.maximum_attempts"]}},
        "no priority": {"activity_options": {}, "update_mask": {"paths": ["priority.priority_key"]}},
        "bad priority": {
            "activity_options": {"priority": {"priority_key": -1}},
            "update_mask": {"paths": ["priority.priority_key"]},
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
        "negative delay": {
            "activity_options": {"start_delay": Duration(seconds=-1)},
            "update_mask": {"paths": ["start_delay"]},
        },
        "no timeout": {"activity_options": {}, "update_mask": {"paths": ["start_to_close_timeout"]}},
    }.items():
        with s.expecting(note):
            _control(s, "UpdateActivityExecutionOptions", refused=True, **fields)
