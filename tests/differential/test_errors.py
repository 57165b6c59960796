"""Requests that make no sense: tokens that are none, ids of nobody, fields left out."""

from typing import Any

from tests.differential import commands as c
from tests.differential.compare import scenario
from tests.differential.script import IDENTITY, Script, payloads

_TOKEN_RPCS: dict[str, dict[str, Any]] = {
    "RespondWorkflowTaskCompleted": {},
    "RespondWorkflowTaskFailed": {},
    "RespondActivityTaskCompleted": {},
    "RespondActivityTaskFailed": {},
    "RespondActivityTaskCanceled": {},
    "RecordActivityTaskHeartbeat": {},
}


@scenario
def test_tokens(s: Script) -> None:
    for rpc, fields in _TOKEN_RPCS.items():
        with s.expecting(rpc):
            s.call(rpc, task_token=b"", refused=True, **fields)
            s.call(rpc, task_token=b"garbage", refused=True, **fields)
            s.call(rpc, task_token=b"\x00" * 50, refused=True, **fields)


@scenario
def test_tokens_of_another_kind(s: Script) -> None:
    s.start("w")
    workflow_task = s.poll()
    s.complete(workflow_task, c.schedule_activity(s.name("acts")))
    activity = s.poll_activity("acts")
    s.signal("w")
    workflow_task = s.poll()
    s.call("RespondActivityTaskCompleted", task_token=workflow_task.task_token, refused=True)
    s.call("RecordActivityTaskHeartbeat", task_token=workflow_task.task_token, refused=True)
    s.call("RespondWorkflowTaskCompleted", task_token=activity.task_token, refused=True)
    s.call("RespondWorkflowTaskFailed", task_token=activity.task_token, refused=True)
    s.complete(workflow_task, c.complete())


@scenario
def test_identities_and_namespaces(s: Script) -> None:
    s.start("w")
    task = s.poll()
    s.complete(task, identity="x" * 1001, refused=True)
    s.call("RespondWorkflowTaskCompleted", task_token=task.task_token, namespace="nowhere", refused=True)
    s.call("RespondWorkflowTaskCompleted", task_token=task.task_token, namespace="", refused=True)
    s.call("PollWorkflowTaskQueue", task_queue={"name": s.name("q")}, identity="x" * 1001, refused=True)
    s.call("PollActivityTaskQueue", task_queue={"name": s.name("q")}, identity="x" * 1001, refused=True)
    s.start("x", identity="x" * 1001, refused=True)
    s.signal("w", identity="x" * 1001, refused=True)
    s.terminate("w", identity="x" * 1001, refused=True)


@scenario
def test_tokens_say_their_namespace(s: Script) -> None:
    s.start("w")
    s.step(c.schedule_activity(s.name("acts")))
    s.heartbeat(s.poll_activity("acts"), namespace="")
    s.signal("w")
    task = s.poll()
    s.complete(task, namespace="nowhere", refused=True)
    s.call("RespondWorkflowTaskCompleted", task_token=b"garbage", namespace="", refused=True)
    s.call("RespondWorkflowTaskCompleted", namespace="", refused=True)
    s.fail_task(task, namespace="")
    s.history("w")


@scenario
def test_polls(s: Script) -> None:
    for rpc in ("PollWorkflowTaskQueue", "PollActivityTaskQueue"):
        with s.expecting(rpc):
            s.call(rpc, refused=True)
            s.call(rpc, task_queue={"name": ""}, refused=True)
            s.call(rpc, task_queue={"name": "x" * 1001}, refused=True)
            s.call(rpc, task_queue={"name": "/_sys/x/1"}, timeout=3, refused=True)
            s.call(rpc, task_queue={"name": s.name("x")}, timeout=0.5, refused=True)
            s.call(rpc, task_queue={"name": s.name("x")}, namespace="nowhere", refused=True)
            s.call(rpc, task_queue={"name": s.name("x")}, namespace="", refused=True)
            s.call(rpc, task_queue={"name": s.name("x"), "kind": 9}, timeout=3, refused=True)
            s.call(rpc, task_queue={"name": s.name("x"), "kind": "TASK_QUEUE_KIND_STICKY"}, timeout=3, refused=True)


@scenario
def test_empty_requests(s: Script) -> None:
    for rpc in (
        "StartWorkflowExecution",
        "SignalWorkflowExecution",
        "SignalWithStartWorkflowExecution",
        "RequestCancelWorkflowExecution",
        "TerminateWorkflowExecution",
        "DeleteWorkflowExecution",
        "DescribeWorkflowExecution",
        "QueryWorkflow",
        "UpdateWorkflowExecution",
        "PollWorkflowExecutionUpdate",
        "ExecuteMultiOperation",
        "ResetWorkflowExecution",
        "ResetStickyTaskQueue",
        "GetWorkflowExecutionHistory",
        "GetWorkflowExecutionHistoryReverse",
        "RespondQueryTaskCompleted",
        "RespondActivityTaskCompletedById",
        "RespondActivityTaskFailedById",
        "RespondActivityTaskCanceledById",
        "RecordActivityTaskHeartbeatById",
        "DescribeTaskQueue",
        "ListTaskQueuePartitions",
    ):
        with s.expecting(rpc):
            s.call(rpc, refused=True)
            s.call(rpc, namespace="", refused=True)


@scenario
def test_heartbeat_and_results_of_a_finished_workflow(s: Script) -> None:
    s.start("w")
    s.step(c.schedule_activity(s.name("acts")))
    task = s.poll_activity("acts")
    s.terminate("w")
    s.heartbeat(task, details=payloads("x"), refused=True)
    s.complete_activity(task, refused=True)
    s.call("RespondActivityTaskFailed", task_token=task.task_token, identity=IDENTITY, refused=True)
