"""Batch jobs: what they do, how they are shown, and what is refused."""

from typing import Any

from temporalio.api.batch.v1 import BatchOperationInfo

from tests.differential import commands as c
from tests.differential.compare import scenario
from tests.differential.script import IDENTITY, Script, payloads

_OPEN = "BATCH_OPERATION_STATE_RUNNING"


def _batch(s: Script, job: str, *names: str, refused: bool = False, **fields: Any) -> None:
    """Start a job on these workflows, and wait for its end."""
    fields.setdefault("reason", "spring cleaning")
    if names:
        fields["executions"] = [s.execution(name) for name in names]
    s.call("StartBatchOperation", job_id=s.name(job), refused=refused, **fields)
    if not refused:
        s.await_until(lambda: s.call("DescribeBatchOperation", job_id=s.name(job), silent=True).HasField("close_time"))
        s.call("DescribeBatchOperation", job_id=s.name(job))


def _start(s: Script, *names: str) -> None:
    for name in names:
        s.start(name)
        s.step()


@scenario
def test_terminate(s: Script) -> None:
    _start(s, "a", "b")
    _batch(s, "job", "a", "b", termination_operation={"identity": IDENTITY})
    s.describe("a")
    s.describe("b")


@scenario
def test_cancel(s: Script) -> None:
    _start(s, "a", "b")
    _batch(s, "job", "a", "b", cancellation_operation={"identity": IDENTITY})
    for name in ("a", "b"):
        s.await_event(name, "WORKFLOW_EXECUTION_CANCEL_REQUESTED")


@scenario
def test_signal(s: Script) -> None:
    _start(s, "a")
    operation = {"identity": IDENTITY, "signal": "go", "input": payloads("x")}
    _batch(s, "job", "a", signal_operation=operation)
    s.await_event("a", "WORKFLOW_EXECUTION_SIGNALED")


@scenario
def test_delete(s: Script) -> None:
    _start(s, "a")
    s.terminate("a")
    _batch(s, "job", "a", deletion_operation={"identity": IDENTITY})
    s.await_gone("a")


@scenario
def test_reset(s: Script) -> None:
    for number, operation in enumerate(
        [
            {"reset_type": "RESET_TYPE_FIRST_WORKFLOW_TASK"},
            {"reset_type": "RESET_TYPE_LAST_WORKFLOW_TASK"},
            {"options": {"first_workflow_task": {}}},
            {"options": {"last_workflow_task": {}}},
            {"options": {"workflow_task_id": 7}},
        ]
    ):
        name = f"w{number}"
        s.start(name)
        s.step(c.start_timer("t", seconds=600))
        s.signal(name)
        s.step()
        _batch(s, f"job{number}", name, reset_operation={"identity": IDENTITY, **operation})
        s.history(name)
        s.terminate(name)


@scenario
def test_by_query(s: Script) -> None:
    _start(s, "a", "b")
    query = f"WorkflowId IN ('{s.name('a')}', '{s.name('b')}')"
    s.await_until(lambda: s.call("CountWorkflowExecutions", query=query, silent=True).count == 2)
    _batch(s, "job", visibility_query=query, termination_operation={"identity": IDENTITY})
    s.describe("a")
    s.describe("b")


@scenario
def test_those_that_are_gone_count_as_done(s: Script) -> None:
    _start(s, "a")
    s.terminate("a")
    _batch(s, "job", "a", "nobody", termination_operation={"identity": IDENTITY})


@scenario
def test_paused_activities(s: Script) -> None:
    s.start("w")
    s.step(c.schedule_activity(s.name("acts"), "a"))
    s.call("PauseActivity", execution=s.execution("w"), id="a")
    _batch(s, "job", "w", unpause_activities_operation={"identity": IDENTITY, "match_all": True})
    s.describe("w")


@scenario
def test_bad_requests(s: Script) -> None:
    job: dict[str, Any] = {"job_id": s.name("job"), "reason": "why", "visibility_query": "WorkflowId = 'a'"}
    end = {"termination_operation": {"identity": IDENTITY}}
    for fields in (
        {},
        job,
        {**job, **end, "reason": ""},
        {**job, **end, "job_id": ""},
        {**job, **end, "visibility_query": ""},
        {**job, **end, "executions": [{"workflow_id": "a"}]},
        {**job, "signal_operation": {}},
        {**job, "reset_operation": {}},
        {**job, "reset_operation": {"options": {}}},
        {**job, "unpause_activities_operation": {}},
        {**job, "unpause_activities_operation": {"type": ""}},
        {**job, "unpause_activities_operation": {"match_all": False}},
        {**job, "reset_activities_operation": {}},
        {**job, "reset_activities_operation": {"type": ""}},
        {**job, "update_activity_options_operation": {"match_all": True}},
        {**job, "update_activity_options_operation": {"type": "", "restore_original": True}},
        {**job, "update_workflow_options_operation": {}},
    ):
        s.call("StartBatchOperation", refused=True, **fields)
    for rpc in ("DescribeBatchOperation", "StopBatchOperation"):
        s.call(rpc, refused=True)
        s.call(rpc, refused=True, job_id=s.name("nobody"), **({"reason": "why"} if rpc.startswith("Stop") else {}))
    s.call("StopBatchOperation", job_id=s.name("nobody"), refused=True)


@scenario
def test_stopped_after_its_end(s: Script) -> None:
    _start(s, "a")
    _batch(s, "job", "a", termination_operation={"identity": IDENTITY})
    s.call("StopBatchOperation", job_id=s.name("job"), reason="enough", refused=True)


@scenario
def test_job_ids_are_used_once(s: Script) -> None:
    _start(s, "a")
    _batch(s, "job", "a", termination_operation={"identity": IDENTITY})
    _batch(s, "job", "a", termination_operation={"identity": IDENTITY}, refused=True)


@scenario
def test_list(s: Script) -> None:
    _start(s, "a")
    _batch(s, "job", "a", termination_operation={"identity": IDENTITY})

    def ours() -> list[BatchOperationInfo]:
        token, found = b"first", []
        while token:
            page = s.call("ListBatchOperations", page_size=2, next_page_token=token.removeprefix(b"first"), silent=True)
            found += [each for each in page.operation_info if each.job_id == s.name("job")]
            token = page.next_page_token
        return found

    s.await_until(lambda: any(each.HasField("close_time") for each in ours()))
    s.part("ListBatchOperations", f"{len(ours())} times", ours()[0])
    s.call("ListBatchOperations", namespace="nowhere", refused=True)
