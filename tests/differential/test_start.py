"""Starting: id policies, deduplication, delays, cron, retries, attributes."""

from datetime import timedelta
from typing import Any

from tests.differential import commands as c
from tests.differential.compare import scenario
from tests.differential.script import Script, failure, payload, payloads

_REUSE = ("ALLOW_DUPLICATE", "ALLOW_DUPLICATE_FAILED_ONLY", "REJECT_DUPLICATE", "TERMINATE_IF_RUNNING")
_CONFLICT = ("UNSPECIFIED", "FAIL", "USE_EXISTING", "TERMINATE_EXISTING")


def _policies(reuse: str, conflict: str) -> dict[str, str]:
    return {
        "workflow_id_reuse_policy": f"WORKFLOW_ID_REUSE_POLICY_{reuse}",
        "workflow_id_conflict_policy": f"WORKFLOW_ID_CONFLICT_POLICY_{conflict}",
    }


@scenario
def test_start_over_running(s: Script) -> None:
    for reuse in _REUSE:
        for conflict in _CONFLICT:
            name = f"{reuse}-{conflict}"
            s.start(name, queue="nobody")
            with s.expecting(f"{reuse} {conflict}"):
                s.start(name, queue="nobody", request_id="other", refused=True, **_policies(reuse, conflict))
                s.describe(name)


@scenario
def test_start_over_completed(s: Script) -> None:
    for reuse in _REUSE:
        for conflict in _CONFLICT:
            name = f"{reuse}-{conflict}"
            s.start(name)
            s.step(c.complete())
            with s.expecting(f"{reuse} {conflict}"):
                s.start(name, queue="nobody", request_id="other", refused=True, **_policies(reuse, conflict))


@scenario
def test_start_over_failed(s: Script) -> None:
    for reuse in _REUSE:
        for conflict in ("UNSPECIFIED", "USE_EXISTING"):
            name = f"{reuse}-{conflict}"
            s.start(name)
            s.step(c.fail())
            with s.expecting(f"{reuse} {conflict}"):
                s.start(name, queue="nobody", request_id="other", refused=True, **_policies(reuse, conflict))


@scenario
def test_request_id_deduplicates(s: Script) -> None:
    s.start("w")
    s.start("w")
    s.start("w", request_id="other", refused=True)
    s.start(
        "w",
        request_id="attached",
        on_conflict_options={"attach_request_id": True},
        **_policies(_REUSE[0], "USE_EXISTING"),
    )
    s.start(
        "w",
        request_id="attached",
        on_conflict_options={"attach_request_id": True},
        **_policies(_REUSE[0], "USE_EXISTING"),
    )
    s.describe("w")
    s.step(c.complete())
    s.start("w")
    s.history("w")


@scenario
def test_conflict_options_attach_links_and_callbacks(s: Script) -> None:
    s.start("w")
    s.start(
        "w",
        request_id="other",
        on_conflict_options={"attach_request_id": True, "attach_links": True},
        links=[{"workflow_event": {"namespace": "default", "workflow_id": "x", "run_id": "y"}}],
        **_policies(_REUSE[0], "USE_EXISTING"),
    )
    s.history("w")


@scenario
def test_every_start_field_reaches_history_and_describe(s: Script) -> None:
    s.start(
        "w",
        input=payloads("one", "two"),
        workflow_execution_timeout=timedelta(hours=2),
        workflow_run_timeout=timedelta(hours=1),
        workflow_task_timeout=timedelta(seconds=20),
        retry_policy={"maximum_attempts": 3},
        memo={"fields": {"note": payload("memo")}},
        search_attributes={"indexed_fields": {"CustomKeyword": payload("value")}},
        header={"fields": {"trace": payload("header")}},
        user_metadata={"summary": payload("summary"), "details": payload("details")},
        priority={"priority_key": 2, "fairness_key": "tenant", "fairness_weight": 2.0},
    )
    s.history("w")
    s.describe("w")
    s.poll()


@scenario
def test_timeouts_are_capped_and_defaulted(s: Script) -> None:
    s.start("run-above-execution", workflow_execution_timeout=timedelta(seconds=30), workflow_run_timeout=timedelta(60))
    s.history("run-above-execution")
    s.start("long-task", workflow_run_timeout=timedelta(seconds=50), workflow_task_timeout=timedelta(seconds=500))
    s.history("long-task")


@scenario
def test_start_delay(s: Script) -> None:
    s.start("w", workflow_start_delay=timedelta(seconds=2))
    s.describe("w")
    s.history("w")
    s.step(c.complete())
    s.history("w")


@scenario
def test_signal_during_start_delay(s: Script) -> None:
    s.start("w", workflow_start_delay=timedelta(hours=1))
    s.signal("w")
    s.history("w")
    s.terminate("w")
    s.start("x", workflow_start_delay=timedelta(hours=1))
    s.cancel("x")
    s.history("x")
    s.terminate("x")


@scenario
def test_cron_runs_again(s: Script) -> None:
    first = s.start("w", cron_schedule="@every 1s", input=payloads("in"))
    s.step(c.complete("first"))
    s.history("w", run_id=first.run_id)
    second = s.poll()
    s.complete(second, c.fail("second"))
    s.history("w", run_id=second.workflow_execution.run_id)
    third = s.poll()
    s.describe("w", run_id=third.workflow_execution.run_id)
    s.terminate("w")


@scenario
def test_retry_policy_of_a_workflow(s: Script) -> None:
    policy = {
        "initial_interval": timedelta(milliseconds=100),
        "maximum_attempts": 2,
        "non_retryable_error_types": ["Fatal"],
    }
    first = s.start("w", retry_policy=policy)
    s.step(c.fail("one"))
    s.history("w", run_id=first.run_id)
    second = s.poll()
    s.complete(second, c.fail("two"))
    s.history("w", run_id=second.workflow_execution.run_id)
    s.describe("w")
    other = s.start("x", retry_policy=policy)
    s.step(c.fail("one", type="Fatal"))
    s.history("x", run_id=other.run_id)


@scenario
def test_retry_delay_named_by_the_failure(s: Script) -> None:
    first = s.start("w", retry_policy={"initial_interval": timedelta(hours=1), "maximum_attempts": 3})
    s.step(c.fail("one", next_retry_delay=timedelta(milliseconds=50)))
    s.history("w", run_id=first.run_id)
    second = s.poll(timeout=6)
    s.complete(second, c.fail("two", non_retryable=True))
    s.history("w", run_id=second.workflow_execution.run_id)


@scenario
def test_run_timeout_with_retry(s: Script) -> None:
    first = s.start(
        "w",
        workflow_run_timeout=timedelta(seconds=2),
        retry_policy={"initial_interval": timedelta(milliseconds=50), "maximum_attempts": 2},
    )
    s.await_event("w", "WORKFLOW_EXECUTION_TIMED_OUT", run_id=first.run_id)
    s.history("w", run_id=first.run_id)
    second = s.poll()
    s.complete(second, c.complete())
    s.history("w", run_id=second.workflow_execution.run_id)


@scenario
def test_execution_timeout_spans_runs(s: Script) -> None:
    s.start("w", workflow_execution_timeout=timedelta(seconds=2), input=payloads("in"))
    s.step(c.continue_as_new())
    second = s.poll()
    run_id = second.workflow_execution.run_id
    s.await_event("w", "WORKFLOW_EXECUTION_TIMED_OUT", run_id=run_id)
    s.history("w", run_id=run_id)
    s.complete(second, c.complete(), refused=True)


@scenario
def test_eager_start(s: Script) -> None:
    started = s.start("w", request_eager_execution=True)
    s.complete(started.eager_workflow_task, c.complete())
    s.history("w")
    s.start("delayed", request_eager_execution=True, workflow_start_delay=timedelta(seconds=1))
    s.terminate("delayed")


@scenario
def test_refused_starts(s: Script) -> None:
    refused: dict[str, dict[str, Any]] = {
        "no id": {"workflow_id": ""},
        "long id": {"workflow_id": "x" * 1001},
        "no type": {"workflow_type": {"name": ""}},
        "long type": {"workflow_type": {"name": "x" * 1001}},
        "no queue": {"task_queue": {"name": ""}},
        "long queue": {"task_queue": {"name": "x" * 1001}},
        "reserved queue": {"task_queue": {"name": "/_sys/x/1"}},
        "sticky queue": {"task_queue": {"name": "x", "kind": "TASK_QUEUE_KIND_STICKY"}},
        "long request id": {"request_id": "x" * 1001},
        "negative run timeout": {"workflow_run_timeout": timedelta(seconds=-1)},
        "negative execution timeout": {"workflow_execution_timeout": timedelta(seconds=-1)},
        "negative task timeout": {"workflow_task_timeout": timedelta(seconds=-1)},
        "negative delay": {"workflow_start_delay": timedelta(seconds=-1)},
        "bad cron": {"cron_schedule": "every day"},
        "cron and delay": {"cron_schedule": "@every 1h", "workflow_start_delay": timedelta(seconds=1)},
        "unknown search attribute": {"search_attributes": {"indexed_fields": {"Nope": payload("x")}}},
        "search attribute of the wrong type": {"search_attributes": {"indexed_fields": {"CustomInt": payload("x")}}},
        "system search attribute": {"search_attributes": {"indexed_fields": {"RunId": payload("x")}}},
        "negative retry interval": {"retry_policy": {"initial_interval": timedelta(seconds=-1)}},
        "retry coefficient below one": {"retry_policy": {"backoff_coefficient": 0.5}},
        "negative attempts": {"retry_policy": {"maximum_attempts": -1}},
        "interval above maximum": {
            "retry_policy": {"initial_interval": timedelta(seconds=9), "maximum_interval": timedelta(seconds=2)}
        },
        "conflicting policies": _policies("TERMINATE_IF_RUNNING", "FAIL"),
        "reject and terminate": _policies("REJECT_DUPLICATE", "TERMINATE_EXISTING"),
        "priority too high": {"priority": {"priority_key": 99}},
        "negative priority": {"priority": {"priority_key": -1}},
        "long fairness key": {"priority": {"fairness_key": "x" * 100}},
        "unknown namespace": {"namespace": "nowhere"},
        "no namespace": {"namespace": ""},
        "reuse policy out of range": {"workflow_id_reuse_policy": 77},
        "large memo": {"memo": {"fields": {"x": {"data": b"x" * 2_100_000}}}},
        "large input": {"input": {"payloads": [{"data": b"x" * 2_100_000}]}},
        "long summary": {"user_metadata": {"summary": {"data": b"x" * 500}}},
        "failure without last result": {"continued_failure": failure("x"), "cron_schedule": "@every 1h"},
    }
    for note, fields in refused.items():
        request: dict[str, Any] = {
            "workflow_id": s.name(note.replace(" ", "-")),
            "request_id": "r",
            "workflow_type": {"name": "Scripted"},
            "task_queue": {"name": s.name("nobody")},
            **fields,
        }
        with s.expecting(note):
            s.call("StartWorkflowExecution", refused=True, **request)
