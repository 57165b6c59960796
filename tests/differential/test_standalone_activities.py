"""Standalone activities: start policies, endings, retries, time-outs, cancellation, waiting, answers by id, lists."""

from datetime import timedelta
from functools import partial
from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import PollActivityTaskQueueResponse

from tests.differential.compare import scenario
from tests.differential.script import IDENTITY, Script, failure, payload, payloads

_FAST = {"initial_interval": timedelta(milliseconds=50), "backoff_coefficient": 1.0, "maximum_attempts": 2}
_ONCE = {"maximum_attempts": 1}
_SLOW = {"initial_interval": timedelta(hours=1), "maximum_interval": timedelta(hours=3)}


def start(s: Script, name: str = "a", **fields: Any) -> Any:
    defaults: dict[str, Any] = {
        "request_id": f"start-{name}",
        "activity_type": {"name": "Act"},
        "task_queue": {"name": s.name("acts")},
        "start_to_close_timeout": timedelta(seconds=60),
        "input": payloads("in"),
    }
    fields = {key: value for key, value in (defaults | fields).items() if value is not None}
    return s.call("StartActivityExecution", activity_id=s.name(name), **fields)


def started(s: Script, name: str = "a", **fields: Any) -> PollActivityTaskQueueResponse:
    """An activity that has been handed to a worker."""
    start(s, name, **fields)
    return s.poll_activity("acts")


def describe(s: Script, name: str = "a", **fields: Any) -> Any:
    everything = {"include_input": True, "include_outcome": True}
    everything |= {"include_heartbeat_details": True, "include_last_failure": True}
    return s.call("DescribeActivityExecution", activity_id=s.name(name), **(everything | fields))


def outcome(s: Script, name: str = "a", **fields: Any) -> Any:
    return s.call("PollActivityExecution", activity_id=s.name(name), **fields)


def cancel(s: Script, name: str = "a", **fields: Any) -> Any:
    fields.setdefault("request_id", "cancel")
    return s.call("RequestCancelActivityExecution", activity_id=s.name(name), reason="enough", **fields)


def terminate(s: Script, name: str = "a", **fields: Any) -> Any:
    fields.setdefault("request_id", "terminate")
    return s.call("TerminateActivityExecution", activity_id=s.name(name), reason="away with it", **fields)


@scenario
def test_completed(s: Script) -> None:
    start(
        s,
        header={"fields": {"h": payload("x")}},
        heartbeat_timeout=timedelta(seconds=30),
        schedule_to_close_timeout=timedelta(seconds=90),
        priority={"priority_key": 2, "fairness_key": "f"},
        user_metadata={"summary": payload("sum"), "details": payload("det")},
        search_attributes={"indexed_fields": {"CustomKeyword": payload("k")}},
        links=[{"workflow_event": {"namespace": "default", "workflow_id": "x", "run_id": "r"}}],
    )
    describe(s)
    task = s.poll_activity("acts")
    describe(s)
    s.heartbeat(task, details=payloads("half"))
    describe(s)
    describe(s, include_input=False, include_outcome=False, include_heartbeat_details=False)
    s.complete_activity(task)
    describe(s)
    outcome(s)
    s.complete_activity(task, refused=True)
    s.heartbeat(task, refused=True)


@scenario
def test_completed_without_a_result(s: Script) -> None:
    task = started(s, input=None)
    s.call("RespondActivityTaskCompleted", task_token=task.task_token)
    describe(s)
    outcome(s)


@scenario
def test_failed_and_retried(s: Script) -> None:
    first = started(s, retry_policy=_FAST)
    s.fail_activity(first, last_heartbeat_details=payloads("progress"))
    second = s.poll_activity("acts")
    describe(s)
    s.complete_activity(first, refused=True)
    s.fail_activity(second)
    describe(s)
    outcome(s)


@scenario
def test_failures_that_are_not_retried(s: Script) -> None:
    for name, reason in {
        "said-so": failure("x", non_retryable=True),
        "type": failure("x", type="Fatal"),
    }.items():
        task = started(s, name, retry_policy=_FAST | {"non_retryable_error_types": ["Fatal"]})
        s.fail_activity(task, failure=reason)
        outcome(s, name)


@scenario
def test_failed_without_a_failure(s: Script) -> None:
    task = started(s, retry_policy=_ONCE)
    s.call("RespondActivityTaskFailed", task_token=task.task_token)
    outcome(s)


@scenario
def test_next_retry_delay(s: Script) -> None:
    task = started(s, retry_policy=_SLOW)
    s.fail_activity(task, failure=failure("x", next_retry_delay=timedelta(milliseconds=50)))
    s.complete_activity(s.poll_activity("acts"))
    describe(s)


@scenario
def test_waiting_for_the_next_attempt(s: Script) -> None:
    s.fail_activity(started(s, retry_policy=_SLOW))
    describe(s)


@scenario
def test_retry_that_would_come_too_late(s: Script) -> None:
    task = started(s, schedule_to_close_timeout=timedelta(seconds=30), retry_policy=_SLOW)
    s.fail_activity(task)
    describe(s)


@scenario
def test_schedule_to_start_timeout(s: Script) -> None:
    start(s, schedule_to_start_timeout=timedelta(seconds=1), retry_policy=_FAST)
    outcome(s)
    describe(s)


@scenario
def test_schedule_to_close_timeout(s: Script) -> None:
    task = started(s, schedule_to_close_timeout=timedelta(seconds=1), start_to_close_timeout=None)
    s.heartbeat(task, details=payloads("x"))
    outcome(s)
    describe(s)
    s.complete_activity(task, refused=True)


@scenario
def test_start_to_close_timeout(s: Script) -> None:
    started(s, start_to_close_timeout=timedelta(seconds=1), retry_policy=_ONCE)
    outcome(s)
    describe(s)


@scenario
def test_start_to_close_timeout_with_retry(s: Script) -> None:
    first = started(s, start_to_close_timeout=timedelta(seconds=2), retry_policy=_FAST)
    s.heartbeat(first, details=payloads("one"))
    second = s.poll_activity("acts")
    describe(s)
    s.fail_activity(second)
    outcome(s)


@scenario
def test_time_out_too_late_for_another_attempt(s: Script) -> None:
    started(
        s,
        start_to_close_timeout=timedelta(seconds=1),
        schedule_to_close_timeout=timedelta(seconds=30),
        retry_policy=_SLOW,
    )
    outcome(s)
    describe(s)


@scenario
def test_heartbeat_timeout(s: Script) -> None:
    task = started(s, heartbeat_timeout=timedelta(seconds=1), retry_policy=_ONCE)
    s.heartbeat(task, details=payloads("x"))
    outcome(s)
    describe(s)


@scenario
def test_start_delay(s: Script) -> None:
    start(s, start_delay=timedelta(seconds=2), schedule_to_close_timeout=timedelta(seconds=20))
    describe(s)
    s.complete_activity(s.poll_activity("acts"))
    describe(s)


@scenario
def test_cancelled_before_a_worker_has_it(s: Script) -> None:
    start(s)
    cancel(s)
    cancel(s)
    cancel(s, request_id="other", refused=True)
    describe(s)
    outcome(s)
    s.poll_activity("acts", timeout=3)


@scenario
def test_cancelled_while_it_runs(s: Script) -> None:
    task = started(s, retry_policy=_FAST)
    s.cancel_activity(task, refused=True)
    cancel(s)
    cancel(s)
    cancel(s, request_id="other", refused=True)
    describe(s)
    s.heartbeat(task)
    s.cancel_activity(task, details=payloads("done so far"))
    describe(s)
    outcome(s)


@scenario
def test_cancellation_that_is_ignored(s: Script) -> None:
    task = started(s, retry_policy=_FAST)
    cancel(s)
    s.complete_activity(task)
    describe(s)
    failing = started(s, "b", retry_policy=_FAST)
    cancel(s, "b")
    s.fail_activity(failing)
    describe(s, "b")


@scenario
def test_cancelled_between_attempts(s: Script) -> None:
    s.fail_activity(started(s, retry_policy=_SLOW))
    cancel(s)
    describe(s)


@scenario
def test_terminated(s: Script) -> None:
    task = started(s)
    terminate(s)
    terminate(s)
    terminate(s, request_id="other", refused=True)
    cancel(s, refused=True)
    describe(s)
    outcome(s)
    s.complete_activity(task, refused=True)


@scenario
def test_terminated_after_its_end(s: Script) -> None:
    s.complete_activity(started(s))
    terminate(s, refused=True)
    cancel(s, refused=True)
    failed = started(s, "b", retry_policy=_ONCE)
    s.fail_activity(failed)
    terminate(s, "b", refused=True)


@scenario
def test_deleted(s: Script) -> None:
    s.complete_activity(started(s))
    start(s, "b")
    for name in ("a", "b"):
        s.call("DeleteActivityExecution", activity_id=s.name(name))

        def gone(name: str = name) -> bool:
            listed = s.call("CountActivityExecutions", query=f"ActivityId = '{s.name(name)}'", silent=True)
            return not listed.count

        s.await_until(gone, at_most_s=40)
    s.call("DeleteActivityExecution", activity_id=s.name("nobody"), refused=True)


@scenario
def test_conflicts(s: Script) -> None:
    start(s)
    start(s)
    start(s, request_id="two", refused=True)
    start(s, request_id="three", id_conflict_policy="ACTIVITY_ID_CONFLICT_POLICY_USE_EXISTING")
    start(
        s,
        request_id="four",
        id_conflict_policy="ACTIVITY_ID_CONFLICT_POLICY_USE_EXISTING",
        on_conflict_options={"attach_links": True, "attach_request_id": True},
        links=[{"workflow_event": {"namespace": "default", "workflow_id": "x", "run_id": "r"}}],
    )
    describe(s)


@scenario
def test_ids_that_are_used_again(s: Script) -> None:
    for ending in ("completed", "failed", "terminated"):
        for policy in ("ALLOW_DUPLICATE", "ALLOW_DUPLICATE_FAILED_ONLY", "REJECT_DUPLICATE"):
            with s.expecting(f"{policy} after {ending}"):
                name = f"{policy}-{ending}"
                task = started(s, name, retry_policy=_ONCE)
                if ending == "completed":
                    s.complete_activity(task)
                elif ending == "failed":
                    s.fail_activity(task)
                else:
                    terminate(s, name)
                start(s, name, request_id="again", id_reuse_policy=f"ACTIVITY_ID_REUSE_POLICY_{policy}", refused=True)
                terminate(s, name, request_id="last", refused=True)


@scenario
def test_runs_of_one_id(s: Script) -> None:
    first = start(s)
    s.complete_activity(s.poll_activity("acts"))
    second = start(s, request_id="again")
    describe(s, run_id=first.run_id)
    describe(s, run_id=second.run_id)
    describe(s)
    outcome(s, run_id=first.run_id)
    terminate(s, run_id=first.run_id, refused=True)
    cancel(s, run_id=second.run_id)
    start(s, request_id="again")


@scenario
def test_an_id_that_a_workflow_has_too(s: Script) -> None:
    s.start("a")
    start(s)
    s.describe("a")
    describe(s)
    s.terminate("a")
    s.complete_activity(s.poll_activity("acts"))
    describe(s)


@scenario
def test_answers_by_id(s: Script) -> None:
    def answer(rpc: str, name: str, **fields: Any) -> Any:
        return s.call(rpc, activity_id=s.name(name), **fields)

    started(s, "done", retry_policy=_FAST)
    answer("RecordActivityTaskHeartbeatById", "done", details=payloads("x"))
    answer("RespondActivityTaskCanceledById", "done", refused=True)
    answer("RespondActivityTaskCompletedById", "done", result=payloads("yes"))
    answer("RespondActivityTaskCompletedById", "done", result=payloads("yes"), refused=True)
    describe(s, "done")
    started(s, "failed", retry_policy=_FAST)
    answer("RespondActivityTaskFailedById", "failed", failure=failure("no", non_retryable=True))
    outcome(s, "failed")
    started(s, "gone", retry_policy=_FAST)
    cancel(s, "gone")
    answer("RecordActivityTaskHeartbeatById", "gone")
    answer("RespondActivityTaskCanceledById", "gone", details=payloads("x"))
    outcome(s, "gone")
    start(s, "early")
    answer("RecordActivityTaskHeartbeatById", "early", refused=True)
    answer("RespondActivityTaskFailedById", "early", failure=failure("no"), refused=True)
    answer("RespondActivityTaskCompletedById", "early", result=payloads("yes"))
    describe(s, "early")
    for rpc in ("RecordActivityTaskHeartbeat", "RespondActivityTaskCompleted", "RespondActivityTaskCanceled"):
        answer(f"{rpc}ById", "nobody", refused=True)


@scenario
def test_waiting_for_news(s: Script) -> None:
    start(s)
    first = describe(s)
    waiting = s.later(
        "DescribeActivityExecution",
        activity_id=s.name("a"),
        run_id=first.run_id,
        long_poll_token=first.long_poll_token,
    )
    s.settle_behind(lambda: describe(s, silent=True))
    task = s.poll_activity("acts")
    second = waiting()
    ended = s.later("PollActivityExecution", activity_id=s.name("a"))
    s.settle_behind(lambda: describe(s, silent=True))
    s.complete_activity(task)
    ended()
    s.call(
        "DescribeActivityExecution",
        activity_id=s.name("a"),
        run_id=second.run_id,
        long_poll_token=second.long_poll_token,
    )


@scenario
def test_waiting_in_vain(s: Script) -> None:
    first = start(s)
    seen = describe(s)
    outcome(s, timeout=3)
    s.call(
        "DescribeActivityExecution",
        activity_id=s.name("a"),
        run_id=first.run_id,
        long_poll_token=seen.long_poll_token,
        timeout=3,
    )


def _counts(s: Script, query: str, count: int) -> bool:
    return bool(s.call("CountActivityExecutions", query=query, silent=True).count == count)


def _list(s: Script, query: str) -> None:
    """Note what is listed, without the search attribute by which the real server tells kinds of executions apart."""
    for found in s.call("ListActivityExecutions", query=query, silent=True).executions:
        found.search_attributes.indexed_fields.pop("TemporalNamespaceDivision", None)
        s.note(str(found.activity_id), found)


@scenario
def test_lists(s: Script) -> None:
    attributes = {"indexed_fields": {"CustomKeyword": payload(s.name("k"))}}
    start(s, "one", activity_type={"name": s.name("Kind")}, search_attributes=attributes)
    s.complete_activity(s.poll_activity("acts"))
    start(s, "two", activity_type={"name": s.name("Kind")})
    start(s, "three", activity_type={"name": s.name("Other")})
    ours = f"ActivityType = '{s.name('Kind')}'"
    done = f"{ours} AND ExecutionStatus = 'Completed'"
    all_three = f"TaskQueue = '{s.name('acts')}'"
    for query, count in ((ours, 2), (done, 1), (all_three, 3)):
        s.await_until(partial(_counts, s, query, count))
    s.call("CountActivityExecutions", query=ours)
    _list(s, done)
    _list(s, f"{ours} AND ExecutionStatus = 'Running'")
    _list(s, f"CustomKeyword = '{s.name('k')}'")
    s.call("CountActivityExecutions", query=f"ActivityId = '{s.name('three')}'")
    s.call("CountActivityExecutions", query=f"{ours} GROUP BY ExecutionStatus")
    s.call("CountActivityExecutions", query=all_three)
    s.call("CountWorkflowExecutions", query=f"WorkflowId = '{s.name('one')}'")
    s.call("ListActivityExecutions", query="Nonsense = 1", refused=True)
    s.call("CountActivityExecutions", query="ActivityType =", refused=True)


@scenario
def test_refused_starts(s: Script) -> None:
    for note, fields in {
        "no type": {"activity_type": None},
        "no queue": {"task_queue": None},
        "empty queue": {"task_queue": {}},
        "reserved queue": {"task_queue": {"name": "/_sys/x"}},
        "no time-out": {"start_to_close_timeout": None},
        "negative time-out": {"heartbeat_timeout": Duration(seconds=-1)},
        "negative delay": {"start_delay": Duration(seconds=-1)},
        "bad policy": {"retry_policy": {"backoff_coefficient": 0.5}},
        "bad priority": {"priority": {"priority_key": -1}},
        "long type": {"activity_type": {"name": "x" * 1001}},
        "long request id": {"request_id": "x" * 1001},
        "long identity": {"identity": "x" * 1001},
        "unknown reuse policy": {"id_reuse_policy": 77},
        "unknown conflict policy": {"id_conflict_policy": 77},
        "large input": {"input": payloads("x" * 2_100_000)},
        "large summary": {"user_metadata": {"summary": payload("x" * 401)}},
        "large details": {"user_metadata": {"details": payload("x" * 20_001)}},
        "unknown attribute": {"search_attributes": {"indexed_fields": {"Nope": payload("x")}}},
        "bad attribute": {"search_attributes": {"indexed_fields": {"CustomInt": payload("x")}}},
        "bad link": {"links": [{"workflow_event": {}}]},
        "attach callbacks": {"on_conflict_options": {"attach_completion_callbacks": True}},
        "attach request": {"on_conflict_options": {"attach_request_id": True}},
    }.items():
        with s.expecting(note):
            start(s, refused=True, **fields)
    with s.expecting("no id"):
        start(s, "", refused=True)
    with s.expecting("long id"):
        start(s, "x" * 1001, refused=True)


@scenario
def test_refused(s: Script) -> None:
    run = start(s)
    for rpc in (
        "DescribeActivityExecution",
        "PollActivityExecution",
        "RequestCancelActivityExecution",
        "TerminateActivityExecution",
        "DeleteActivityExecution",
    ):
        for note, fields in {
            "no id": {},
            "long id": {"activity_id": "x" * 1001},
            "unknown id": {"activity_id": s.name("nobody")},
            "bad run": {"activity_id": s.name("a"), "run_id": "x"},
            "unknown run": {"activity_id": s.name("a"), "run_id": "3b4a9e1c-7d0f-4c8e-9a55-0d1c2b3a4f5e"},
            "another namespace": {"namespace": "nowhere", "activity_id": s.name("a")},
        }.items():
            with s.expecting(f"{rpc}: {note}"):
                s.call(rpc, refused=True, **fields)
    for rpc in ("RequestCancelActivityExecution", "TerminateActivityExecution"):
        for note, fields in {
            "long request id": {"request_id": "x" * 1001},
            "long identity": {"identity": "x" * 1001},
            "long reason": {"reason": "x" * 2_100_000},
        }.items():
            with s.expecting(f"{rpc}: {note}"):
                s.call(rpc, activity_id=s.name("a"), refused=True, **fields)
    with s.expecting("tokens"):
        describe(s, long_poll_token=b"x", refused=True)
        describe(s, long_poll_token=b"x", run_id=run.run_id, refused=True)
        other = start(s, "b")
        seen = describe(s, "b")
        describe(s, long_poll_token=seen.long_poll_token, run_id=run.run_id, refused=True)
        terminate(s, "b", run_id=other.run_id, identity=IDENTITY)
