"""Queries: direct, attached to workflow tasks, sticky and cold, on closed workflows, rejected."""

from datetime import timedelta
from typing import Any

from temporalio.api.workflowservice.v1 import PollWorkflowTaskQueueResponse

from tests.differential import commands as c
from tests.differential.compare import scenario
from tests.differential.script import Script, failure, payload, payloads


def _answer(s: Script, task: PollWorkflowTaskQueueResponse, **fields: Any) -> Any:
    fields.setdefault("completed_type", "QUERY_RESULT_TYPE_ANSWERED")
    if fields["completed_type"] == "QUERY_RESULT_TYPE_ANSWERED":
        fields.setdefault("query_result", payloads("answer"))
    return s.call("RespondQueryTaskCompleted", task_token=task.task_token, **fields)


def _attached(task: PollWorkflowTaskQueueResponse, **result: Any) -> dict[str, Any]:
    """Answers for all queries that came with a workflow task."""
    result = result or {"result_type": "QUERY_RESULT_TYPE_ANSWERED", "answer": payloads("answer")}
    return {"query_results": dict.fromkeys(task.queries, result)}


@scenario
def test_direct(s: Script) -> None:
    s.start("w")
    s.step()
    query = s.later(
        "QueryWorkflow",
        execution=s.execution("w"),
        query={"query_type": "state", "query_args": payloads("arg"), "header": {"fields": {"h": payload("x")}}},
    )
    task = s.poll()
    _answer(s, task)
    query()
    _answer(s, task, refused=True)
    s.history("w")


@scenario
def test_direct_that_fails(s: Script) -> None:
    s.start("w")
    s.step()
    query = s.query("w", refused=True)
    _answer(
        s,
        s.poll(),
        completed_type="QUERY_RESULT_TYPE_FAILED",
        error_message="unknown query",
        failure=failure("unknown query"),
    )
    query()


@scenario
def test_result_that_is_too_large(s: Script) -> None:
    s.start("w")
    s.step()
    query = s.query("w", refused=True)
    _answer(s, s.poll(), query_result=payloads("x" * 2_100_000))
    query()


@scenario
def test_before_the_first_task_has_completed(s: Script) -> None:
    s.start("w")
    query = s.query("w")
    s.settle("w")
    task = s.poll()
    s.complete(task, **_attached(task))
    query()
    s.history("w")


@scenario
def test_while_a_task_runs(s: Script) -> None:
    s.start("w")
    s.step()
    s.signal("w")
    task = s.poll()
    query = s.query("w")
    s.settle("w")
    s.complete(task)
    direct = s.poll()
    _answer(s, direct)
    query()
    s.history("w")


@scenario
def test_attached_that_fails(s: Script) -> None:
    s.start("w")
    query = s.query("w", refused=True)
    s.settle("w")
    task = s.poll()
    s.complete(task, **_attached(task, result_type="QUERY_RESULT_TYPE_FAILED", error_message="unknown query"))
    query()


@scenario
def test_attached_that_is_not_answered(s: Script) -> None:
    s.start("w")
    query = s.query("w")
    s.settle("w")
    s.complete(s.poll())
    _answer(s, s.poll())
    query()


@scenario
def test_attached_to_a_task_that_fails(s: Script) -> None:
    s.start("w")
    query = s.query("w")
    s.settle("w")
    s.fail_task(s.poll())
    task = s.poll()
    s.complete(task, **_attached(task))
    query()


@scenario
def test_attached_to_the_last_task(s: Script) -> None:
    s.start("w")
    query = s.query("w")
    s.settle("w")
    task = s.poll()
    s.complete(task, c.complete(), **_attached(task))
    query()


@scenario
def test_too_many_while_a_task_runs(s: Script) -> None:
    s.start("w")
    first = s.query("w")
    s.settle("w")
    s.query("w", "second", refused=True)()
    task = s.poll()
    s.complete(task, **_attached(task))
    first()


@scenario
def test_sticky(s: Script) -> None:
    s.start("w")
    s.poll(sticky=True, timeout=3)
    s.complete(s.poll(), **_sticky(s))
    query = s.query("w")
    _answer(s, s.poll(sticky=True))
    query()


@scenario
def test_sticky_worker_that_is_gone(s: Script) -> None:
    s.start("w")
    s.complete(s.poll(), **_sticky(s))
    query = s.query("w")
    _answer(s, s.poll())
    query()
    # Nobody waits for it any more.
    s.signal("w")
    s.history("w")
    s.poll()


@scenario
def test_sticky_worker_that_does_not_come(s: Script) -> None:
    s.start("w")
    s.poll(sticky=True, timeout=3)
    s.complete(s.poll(), **_sticky(s, seconds=2))
    query = s.query("w")
    _answer(s, s.poll())
    query()
    s.signal("w")
    s.history("w")
    s.poll()


@scenario
def test_closed_workflow(s: Script) -> None:
    s.start("w")
    s.step(c.complete())
    query = s.query("w")
    _answer(s, s.poll())
    query()


@scenario
def test_rejected_by_condition(s: Script) -> None:
    s.start("open")
    s.step()
    s.start("completed")
    s.step(c.complete())
    s.start("failed")
    s.step(c.fail())
    for name in ("completed", "failed"):
        for condition in ("NOT_OPEN", "NOT_COMPLETED_CLEANLY"):
            if (name, condition) != ("completed", "NOT_COMPLETED_CLEANLY"):
                with s.expecting(f"{name} {condition}"):
                    s.query(name, query_reject_condition=f"QUERY_REJECT_CONDITION_{condition}")()
    query = s.query("open", query_reject_condition="QUERY_REJECT_CONDITION_NOT_OPEN")
    _answer(s, s.poll())
    query()


@scenario
def test_terminated_before_the_first_task(s: Script) -> None:
    s.start("w")
    s.terminate("w")
    s.query("w", refused=True)()


@scenario
def test_delayed_start(s: Script) -> None:
    s.start("w", workflow_start_delay=timedelta(hours=1))
    s.query("w", refused=True)()
    s.terminate("w")


@scenario
def test_short_delay_is_waited_out(s: Script) -> None:
    s.start("w", workflow_start_delay=timedelta(seconds=1))
    query = s.query("w")
    s.settle("w")
    task = s.poll()
    s.complete(task, **_attached(task))
    query()


@scenario
def test_while_tasks_fail(s: Script) -> None:
    s.start("w")
    for _ in range(3):
        s.fail_task(s.poll(silent=True))
    s.query("w", refused=True)()
    s.terminate("w")


@scenario
def test_no_worker(s: Script) -> None:
    s.start("w", request_eager_execution=True)
    s.start("eager")
    started = s.start("queried", queue="unpolled", request_eager_execution=True)
    s.complete(started.eager_workflow_task)
    s.query("queried", timeout=3, refused=True)()


@scenario
def test_refused(s: Script) -> None:
    s.query("nobody", refused=True)()
    s.query("", refused=True)()
    s.start("w")
    s.query("w", "", refused=True)()
    s.call("QueryWorkflow", execution=s.execution("w"), refused=True)
    s.call("QueryWorkflow", execution=s.execution("w", "no-uuid"), query={"query_type": "x"}, refused=True)
    s.call("QueryWorkflow", query={"query_type": "x"}, refused=True)
    s.call("RespondQueryTaskCompleted", task_token=b"garbage", refused=True)
    s.call("RespondQueryTaskCompleted", task_token=b"", refused=True)


def _sticky(s: Script, seconds: float = 30) -> dict[str, Any]:
    return {
        "sticky_attributes": {
            "worker_task_queue": {"name": s.name("main-sticky"), "kind": "TASK_QUEUE_KIND_STICKY"},
            "schedule_to_start_timeout": timedelta(seconds=seconds),
        }
    }
