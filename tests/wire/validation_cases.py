"""Requests that the reference server refuses before it looks at any execution, by name.

Each is a valid request of `BASE` with some fields replaced; None removes the field.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

LONG = "x" * 1001
BIG = {"payloads": [{"data": "AAAA" * 800_000}]}
EXECUTION = {"workflowId": "absent"}
START: dict[str, Any] = {
    "namespace": "default",
    "workflowId": "w",
    "workflowType": {"name": "T"},
    "taskQueue": {"name": "q"},
}
UPDATE: dict[str, Any] = {
    "namespace": "default",
    "workflowExecution": {"workflowId": "w"},
    "request": {"meta": {"updateId": "u"}, "input": {"name": "n"}},
}
BY_ID: dict[str, Any] = {"namespace": "default", "workflowId": "absent", "activityId": "a"}
POLL: dict[str, Any] = {"namespace": "default", "taskQueue": {"name": "q"}}

BASE: dict[str, dict[str, Any]] = {
    "StartWorkflowExecution": START,
    "SignalWithStartWorkflowExecution": {**START, "signalName": "s"},
    "SignalWorkflowExecution": {"namespace": "default", "workflowExecution": EXECUTION, "signalName": "s"},
    "RequestCancelWorkflowExecution": {"namespace": "default", "workflowExecution": EXECUTION},
    "TerminateWorkflowExecution": {"namespace": "default", "workflowExecution": EXECUTION},
    "DeleteWorkflowExecution": {"namespace": "default", "workflowExecution": EXECUTION},
    "DescribeWorkflowExecution": {"namespace": "default", "execution": EXECUTION},
    "GetWorkflowExecutionHistory": {"namespace": "default", "execution": EXECUTION},
    "GetWorkflowExecutionHistoryReverse": {"namespace": "default", "execution": EXECUTION},
    "ResetStickyTaskQueue": {"namespace": "default", "execution": EXECUTION},
    "ResetWorkflowExecution": {"namespace": "default", "workflowExecution": EXECUTION, "requestId": "r"},
    "QueryWorkflow": {"namespace": "default", "execution": EXECUTION, "query": {"queryType": "q"}},
    "UpdateWorkflowExecution": UPDATE,
    "PollWorkflowExecutionUpdate": {"namespace": "default"},
    "PollWorkflowTaskQueue": POLL,
    "PollActivityTaskQueue": POLL,
    "RespondWorkflowTaskCompleted": {"namespace": "default"},
    "RespondActivityTaskCompleted": {"namespace": "default"},
    "RecordActivityTaskHeartbeat": {"namespace": "default"},
    "RespondQueryTaskCompleted": {"namespace": "default"},
    "RecordActivityTaskHeartbeatById": BY_ID,
    "RespondActivityTaskCompletedById": BY_ID,
    "RespondActivityTaskFailedById": BY_ID,
    "RespondActivityTaskCanceledById": BY_ID,
    "DescribeTaskQueue": POLL,
    "ListTaskQueuePartitions": POLL,
    "ListWorkflowExecutions": {"namespace": "default"},
    "ListOpenWorkflowExecutions": {"namespace": "default"},
    "ListClosedWorkflowExecutions": {"namespace": "default"},
    "ListArchivedWorkflowExecutions": {"namespace": "default"},
    "CountWorkflowExecutions": {"namespace": "default"},
    "DescribeNamespace": {"namespace": "default"},
    "RegisterNamespace": {"namespace": "fresh", "workflowExecutionRetentionPeriod": "86400s"},
    "UpdateNamespace": {"namespace": "default"},
    "DeprecateNamespace": {"namespace": "default"},
    "AddSearchAttributes": {"namespace": "default", "searchAttributes": {"Mine": 2}},
    "RemoveSearchAttributes": {"namespace": "default", "searchAttributes": ["Mine"]},
    "ListSearchAttributes": {"namespace": "default"},
    "DeleteNamespace": {},
}

_NAMESPACED = [rpc for rpc, fields in BASE.items() if "namespace" in fields and rpc != "RegisterNamespace"]
_TOKEN = {
    "RespondWorkflowTaskCompleted",
    "RespondActivityTaskCompleted",
    "RecordActivityTaskHeartbeat",
    "RespondQueryTaskCompleted",
}
_EXECUTION_FIELD = {
    rpc: field for rpc, fields in BASE.items() for field in ("execution", "workflowExecution") if field in fields
}

_SHARED_BY_STARTS: list[tuple[str, dict[str, Any]]] = [
    ("no workflow id", {"workflowId": ""}),
    ("long workflow id", {"workflowId": LONG}),
    ("long workflow id in UTF-8", {"workflowId": "\N{EURO SIGN}" * 334}),
    ("no type", {"workflowType": None}),
    ("long type", {"workflowType": {"name": LONG}}),
    ("no task queue", {"taskQueue": None}),
    ("unnamed task queue", {"taskQueue": {}}),
    ("long task queue", {"taskQueue": {"name": LONG}}),
    ("reserved task queue", {"taskQueue": {"name": "/_sys/q/1"}}),
    ("internal task queue", {"taskQueue": {"name": "temporal-sys-per-ns-tq"}}),
    ("long request id", {"requestId": LONG}),
    ("negative execution timeout", {"workflowExecutionTimeout": "-1s"}),
    ("negative run timeout", {"workflowRunTimeout": "-1s"}),
    ("negative task timeout", {"workflowTaskTimeout": "-1s"}),
    ("negative start delay", {"workflowStartDelay": "-1s"}),
    ("start delay with cron", {"workflowStartDelay": "1s", "cronSchedule": "* * * * *"}),
    ("malformed cron", {"cronSchedule": "every day"}),
    ("impossible cron", {"cronSchedule": "0 0 31 2 *"}),
    ("cron of an unknown zone", {"cronSchedule": "CRON_TZ=Nowhere/At_All 0 9 * * *"}),
    ("negative first interval", {"retryPolicy": {"initialInterval": "-1s"}}),
    ("backoff below one", {"retryPolicy": {"backoffCoefficient": 0.5}}),
    ("negative attempts", {"retryPolicy": {"maximumAttempts": -1}}),
    ("negative longest interval", {"retryPolicy": {"maximumInterval": "-1s"}}),
    ("longest below first interval", {"retryPolicy": {"initialInterval": "10s", "maximumInterval": "1s"}}),
    ("unknown timeout type", {"retryPolicy": {"nonRetryableErrorTypes": ["TemporalTimeout:Never"]}}),
    ("terminate-if-running with a conflict policy", {"workflowIdReusePolicy": 4, "workflowIdConflictPolicy": 2}),
    ("reject-duplicate with terminate-existing", {"workflowIdReusePolicy": 3, "workflowIdConflictPolicy": 3}),
    ("negative priority", {"priority": {"priorityKey": -1}}),
    ("long fairness key", {"priority": {"fairnessKey": "k" * 65}}),
    ("negative fairness weight", {"priority": {"fairnessWeight": -1}}),
    ("too many links", {"links": [{"batchJob": {"jobId": "j"}}] * 11}),
    ("link of no kind", {"links": [{}]}),
    ("large link", {"links": [{"batchJob": {"jobId": "j" * 5000}}]}),
    ("link without namespace", {"links": [{"workflowEvent": {}}]}),
    ("link without workflow", {"links": [{"workflowEvent": {"namespace": "n"}}]}),
    ("link without run", {"links": [{"workflowEvent": {"namespace": "n", "workflowId": "w"}}]}),
    (
        "link to an event of no type",
        {"links": [{"workflowEvent": {"namespace": "n", "workflowId": "w", "runId": "r", "eventRef": {"eventId": 3}}}]},
    ),
    ("link without job", {"links": [{"batchJob": {}}]}),
    ("large input", {"input": BIG}),
]

_SINGLE: list[tuple[str, str, dict[str, Any]]] = [
    (
        "StartWorkflowExecution",
        "callbacks without request id",
        {"onConflictOptions": {"attachCompletionCallbacks": True}},
    ),
    ("StartWorkflowExecution", "large memo", {"memo": {"fields": {"k": {"data": "AAAA" * 800_000}}}}),
    ("SignalWithStartWorkflowExecution", "no signal name", {"signalName": ""}),
    ("SignalWithStartWorkflowExecution", "long signal name", {"signalName": LONG}),
    ("SignalWithStartWorkflowExecution", "conflict policy fail", {"workflowIdConflictPolicy": 1}),
    ("SignalWithStartWorkflowExecution", "large signal input", {"signalInput": BIG}),
    ("SignalWorkflowExecution", "no signal name", {"signalName": ""}),
    ("SignalWorkflowExecution", "long signal name", {"signalName": LONG}),
    ("SignalWorkflowExecution", "long request id", {"requestId": LONG}),
    ("SignalWorkflowExecution", "large input", {"input": BIG}),
    ("SignalWorkflowExecution", "link of no kind", {"links": [{}]}),
    ("RequestCancelWorkflowExecution", "link of no kind", {"links": [{}]}),
    ("TerminateWorkflowExecution", "link of no kind", {"links": [{}]}),
    ("ResetWorkflowExecution", "no request id", {"requestId": ""}),
    ("ResetWorkflowExecution", "long request id", {"requestId": LONG}),
    ("QueryWorkflow", "no query", {"query": None}),
    ("QueryWorkflow", "no query type", {"query": {}}),
    ("QueryWorkflow", "large arguments", {"query": {"queryType": "q", "queryArgs": BIG}}),
    ("UpdateWorkflowExecution", "no request", {"request": None}),
    ("UpdateWorkflowExecution", "no input", {"request": {"meta": {}}}),
    ("UpdateWorkflowExecution", "no name", {"request": {"meta": {}, "input": {}}}),
    ("UpdateWorkflowExecution", "long update id", {"request": {"meta": {"updateId": LONG}}}),
    ("UpdateWorkflowExecution", "waiting for admitted", {"waitPolicy": {"lifecycleStage": 1}}),
    ("PollWorkflowExecutionUpdate", "no reference", {}),
    ("PollWorkflowTaskQueue", "no task queue", {"taskQueue": None}),
    ("PollWorkflowTaskQueue", "unnamed task queue", {"taskQueue": {}}),
    ("PollWorkflowTaskQueue", "long task queue", {"taskQueue": {"name": LONG}}),
    ("PollWorkflowTaskQueue", "reserved task queue", {"taskQueue": {"name": "/_sys/q/1"}}),
    ("PollWorkflowTaskQueue", "long normal name", {"taskQueue": {"name": "s", "kind": 2, "normalName": LONG}}),
    ("PollWorkflowTaskQueue", "long identity", {"identity": LONG}),
    ("PollWorkflowTaskQueue", "versioned without build", {"workerVersionCapabilities": {"useVersioning": True}}),
    ("PollWorkflowTaskQueue", "long build", {"workerVersionCapabilities": {"buildId": LONG}}),
    ("PollWorkflowTaskQueue", "half a deployment", {"deploymentOptions": {"buildId": "b", "workerVersioningMode": 2}}),
    (
        "PollWorkflowTaskQueue",
        "deployment on a sticky queue without normal name",
        {"taskQueue": {"name": "s", "kind": 2}, "deploymentOptions": {"buildId": "b"}},
    ),
    ("PollActivityTaskQueue", "no task queue", {"taskQueue": None}),
    ("PollActivityTaskQueue", "long identity", {"identity": LONG}),
    ("RecordActivityTaskHeartbeatById", "no activity id", {"activityId": ""}),
    ("RespondActivityTaskCompletedById", "no activity id", {"activityId": ""}),
    ("RespondActivityTaskCompletedById", "long identity", {"identity": LONG}),
    ("RespondActivityTaskFailedById", "no activity id", {"activityId": ""}),
    ("RespondActivityTaskFailedById", "long identity", {"identity": LONG}),
    ("RespondActivityTaskCanceledById", "no activity id", {"activityId": ""}),
    ("RespondActivityTaskCanceledById", "long identity", {"identity": LONG}),
    ("DescribeTaskQueue", "no task queue", {"taskQueue": None}),
    ("DescribeTaskQueue", "sticky and enhanced", {"taskQueue": {"name": "s", "kind": 2}, "apiMode": 1}),
    ("ListTaskQueuePartitions", "no task queue", {"taskQueue": None}),
    (
        "ListOpenWorkflowExecutions",
        "times in the wrong order",
        {"startTimeFilter": {"earliestTime": "2024-01-02T00:00:00Z", "latestTime": "2024-01-01T00:00:00Z"}},
    ),
    ("ListClosedWorkflowExecutions", "status running", {"statusFilter": {"status": 1}}),
    ("ListArchivedWorkflowExecutions", "no archive", {}),
    ("RegisterNamespace", "no name", {"namespace": ""}),
    ("RegisterNamespace", "long name", {"namespace": LONG}),
    ("RegisterNamespace", "no retention", {"workflowExecutionRetentionPeriod": None}),
    ("RegisterNamespace", "short retention", {"workflowExecutionRetentionPeriod": "1s"}),
    ("RegisterNamespace", "negative retention", {"workflowExecutionRetentionPeriod": "-1s"}),
    ("RegisterNamespace", "name taken", {"namespace": "default"}),
    ("RegisterNamespace", "global", {"isGlobalNamespace": True}),
    ("RegisterNamespace", "unknown active cluster", {"activeClusterName": "other"}),
    ("RegisterNamespace", "unknown cluster", {"clusters": [{"clusterName": "other"}]}),
    ("UpdateNamespace", "promote", {"promoteNamespace": True}),
    ("UpdateNamespace", "short retention", {"config": {"workflowExecutionRetentionTtl": "1s"}}),
    ("UpdateNamespace", "unknown state", {"updateInfo": {"state": 99}}),
    ("UpdateNamespace", "unknown bad binary", {"deleteBadBinary": "b"}),
    ("UpdateNamespace", "unknown active cluster", {"replicationConfig": {"activeClusterName": "other"}}),
    ("UpdateNamespace", "unknown cluster", {"replicationConfig": {"clusters": [{"clusterName": "other"}]}}),
    ("UpdateNamespace", "handover", {"replicationConfig": {"state": 2}}),
    ("AddSearchAttributes", "none", {"searchAttributes": None}),
    ("AddSearchAttributes", "system attribute", {"searchAttributes": {"WorkflowId": 2}}),
    ("AddSearchAttributes", "predefined attribute", {"searchAttributes": {"BuildIds": 2}}),
    ("AddSearchAttributes", "reserved prefix", {"searchAttributes": {"TemporalMine": 2}}),
    ("AddSearchAttributes", "unknown type", {"searchAttributes": {"Mine": 99}}),
    ("AddSearchAttributes", "no type", {"searchAttributes": {"Mine": 0}}),
    ("AddSearchAttributes", "too many", {"searchAttributes": {f"Mine{number}": 3 for number in range(4)}}),
    ("RemoveSearchAttributes", "none", {"searchAttributes": None}),
    ("RemoveSearchAttributes", "system attribute", {"searchAttributes": ["WorkflowId"]}),
    ("DeleteNamespace", "no name", {}),
    ("DeleteNamespace", "name and id", {"namespace": "a", "namespaceId": "b"}),
    ("DeleteNamespace", "unknown", {"namespace": "absent"}),
]

_MULTI: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("cron", {"cronSchedule": "* * * * *"}, {}),
    ("both without workflow id", {"workflowId": ""}, {"workflowExecution": {}}),
    ("two workflows", {"workflowId": "v"}, {}),
    ("other namespace", {"namespace": "other"}, {}),
    ("eager", {"requestEagerExecution": True}, {}),
    ("start delay", {"workflowStartDelay": "1s"}, {}),
    ("first run id", {}, {"firstExecutionRunId": "r"}),
    ("run id", {}, {"workflowExecution": {"workflowId": "w", "runId": "4f6d1c3e-0000-4000-8000-000000000001"}}),
]


class Case(NamedTuple):
    name: str
    rpc: str
    fields: dict[str, Any]


def cases() -> Iterator[Case]:
    for rpc in _NAMESPACED:
        if rpc in _TOKEN:
            yield _case(rpc, "no token", {})
            continue
        yield _case(rpc, "no namespace", {"namespace": ""})
        yield _case(rpc, "unknown namespace", {"namespace": "absent"})
        yield _case(rpc, "long namespace", {"namespace": LONG})
    for rpc, field in _EXECUTION_FIELD.items():
        yield _case(rpc, "no execution", {field: None})
        yield _case(rpc, "execution without id", {field: {}})
        yield _case(rpc, "run id that is none", {field: {"workflowId": "w", "runId": "run"}})
    for rpc in ("StartWorkflowExecution", "SignalWithStartWorkflowExecution"):
        for name, change in _SHARED_BY_STARTS:
            yield _case(rpc, name, change)
    for rpc, name, change in _SINGLE:
        yield _case(rpc, name, change)
    yield Case("ExecuteMultiOperation: nothing", "ExecuteMultiOperation", {"namespace": "default"})
    for name, start, update in _MULTI:
        operations = [{"startWorkflow": _changed(START, start)}, {"updateWorkflow": _changed(UPDATE, update)}]
        fields = {"namespace": "default", "operations": operations}
        yield Case(f"ExecuteMultiOperation: {name}", "ExecuteMultiOperation", fields)


def _case(rpc: str, name: str, change: dict[str, Any]) -> Case:
    return Case(f"{rpc}: {name}", rpc, _changed(BASE[rpc], change))


def _changed(fields: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in {**fields, **change}.items() if value is not None}
