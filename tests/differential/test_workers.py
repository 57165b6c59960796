"""Workers: what they say of themselves, and what is told of that."""

from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from tests.differential.compare import scenario
from tests.differential.script import Script


def heartbeat(s: Script, worker: str, **fields: Any) -> dict[str, Any]:
    return {
        "worker_instance_key": s.name(worker),
        "worker_identity": f"{worker}@host",
        "host_info": {"host_name": "box", "worker_grouping_key": "group", "process_id": "17"},
        "task_queue": s.name("main"),
        "sdk_name": "temporal-python",
        "sdk_version": "1.31.0",
        "status": "WORKER_STATUS_RUNNING",
        "start_time": Timestamp(seconds=1_700_000_000),
        "heartbeat_time": Timestamp(seconds=1_700_000_060),
        "total_sticky_cache_hit": 3,
        "plugins": [{"name": "plugin", "version": "1"}],
        **fields,
    }


def record(s: Script, *heartbeats: dict[str, Any]) -> None:
    s.call("RecordWorkerHeartbeat", worker_heartbeat=heartbeats)


def ours(s: Script, condition: str = "") -> str:
    """A query for the workers of this run of the scenario alone, and a condition."""
    return f"WorkerInstanceKey STARTS_WITH '{s.name('w')}'" + (f" AND {condition}" if condition else "")


def found(s: Script, condition: str) -> None:
    """Record which workers fit."""
    with s.expecting(condition):
        s.call("CountWorkers", query=ours(s, condition))
        answer = s.call("ListWorkers", query=ours(s, condition), page_size=100, silent=True)
        s.note(", ".join(worker.worker_instance_key for worker in answer.workers))


@scenario
def test_heartbeats(s: Script) -> None:
    record(s, heartbeat(s, "w1"), heartbeat(s, "w2", task_queue="temporal-sys-queue"))
    record(s)
    s.call("DescribeWorker", worker_instance_key=s.name("w1"))
    s.call("DescribeWorker", worker_instance_key=s.name("w2"))
    record(s, heartbeat(s, "w1", status="WORKER_STATUS_SHUTTING_DOWN", total_sticky_cache_hit=4))
    s.call("DescribeWorker", worker_instance_key=s.name("w1"))
    s.call("ListWorkers", query=ours(s), page_size=10)
    s.call("ListWorkers", query=ours(s), page_size=10, include_system_workers=True)
    s.call("CountWorkers", query=ours(s))
    s.call("CountWorkers", query=ours(s), include_system_workers=True)


@scenario
def test_workers_that_end(s: Script) -> None:
    record(s, heartbeat(s, "w1"), heartbeat(s, "w2"), heartbeat(s, "w3"))
    record(s, heartbeat(s, "w1", status="WORKER_STATUS_SHUTDOWN"), heartbeat(s, "w0", status="WORKER_STATUS_SHUTDOWN"))
    s.call("DescribeWorker", worker_instance_key=s.name("w1"), refused=True)
    s.call("ShutdownWorker", worker_heartbeat=heartbeat(s, "w2", status="WORKER_STATUS_SHUTTING_DOWN"))
    s.call("DescribeWorker", worker_instance_key=s.name("w2"))
    s.call("ShutdownWorker", worker_heartbeat=heartbeat(s, "w3", status="WORKER_STATUS_SHUTDOWN"))
    s.call("DescribeWorker", worker_instance_key=s.name("w3"), refused=True)
    s.call("CountWorkers", query=ours(s))


@scenario
def test_pages(s: Script) -> None:
    record(s, *(heartbeat(s, f"w{number}") for number in (3, 1, 5, 2, 4)))
    token = b""
    for _ in range(3):
        token = s.call("ListWorkers", query=ours(s), page_size=2, next_page_token=token, silent=True).next_page_token
        s.note(str(bool(token)))
    first = s.call("ListWorkers", query=ours(s), page_size=2).next_page_token
    s.call("ListWorkers", query=ours(s), page_size=2, next_page_token=first)
    s.call("ListWorkers", query=ours(s), next_page_token=first)
    s.call("ListWorkers", query=ours(s), next_page_token=b"no token", refused=True)
    s.call("ListWorkers", query=ours(s, "TaskQueue = 'none'"), next_page_token=b"no token")


@scenario
def test_queries(s: Script) -> None:
    version = {"deployment_name": "deploy", "build_id": "b1"}
    record(
        s,
        heartbeat(s, "w1", deployment_version=version),
        heartbeat(s, "w2", task_queue="other", host_info=None, status="WORKER_STATUS_SHUTTING_DOWN"),
        heartbeat(s, "w3", sdk_name="", sdk_version="2", start_time=None, status="WORKER_STATUS_UNSPECIFIED"),
    )
    for condition in (
        f"WorkerInstanceKey = '{s.name('w1')}'",
        "WorkerIdentity = 'w2@host'",
        "HostName = 'box'",
        "HostName IS NULL",
        "HostName IS NOT NULL",
        "TaskQueue = 'other'",
        "TaskQueue != 'other'",
        "DeploymentName = 'deploy' AND BuildId = 'b1'",
        "DeploymentName = 'deploy' OR TaskQueue = \"other\"",
        "BuildId IS NULL",
        "SdkName STARTS_WITH 'temporal'",
        "SdkName NOT STARTS_WITH 'temporal'",
        "(SdkVersion = '2' OR SdkVersion = '1.31.0') AND SdkName IS NOT NULL",
        "WorkerStatus = 'Running'",
        "WorkerStatus = 'ShuttingDown'",
        "Status = 'Unspecified'",
        "status != 'Running'",
        "STATUS STARTS_WITH 'Sh'",
        "StartTime = '2023-11-14T22:13:20Z'",
        "StartTime != '2023-11-14T22:13:20Z'",
        "StartTime > '2020-01-01T00:00:00Z'",
        "StartTime < '2020-01-01T00:00:00+01:00'",
        "StartTime <= 1700000000000000000",
        "StartTime >= 1700000000000000001",
        "StartTime IS NULL",
        "StartTime IS NOT NULL",
        "HeartbeatTime BETWEEN '2023-11-14T22:14:20Z' AND '2023-11-14T22:14:20Z'",
        "StartTime NOT BETWEEN '2024-11-14T22:13:20Z' AND '2025-11-14T22:14:20Z'",
    ):
        found(s, condition)


@scenario
def test_conditions_that_make_no_sense(s: Script) -> None:
    record(s, heartbeat(s, "w1"), heartbeat(s, "w2", task_queue="other"))
    for condition in (
        "Nothing = 'x'",
        "tasqueue = 'other'",
        "taskqueue = 'other'",
        "Nothing IS NULL",
        "(TaskQueue = 'other' OR Nothing = 'x')",
        "(Nothing = 'x' OR TaskQueue = 'other')",
        "TaskQueue = ''",
        "TaskQueue != ''",
        "TaskQueue STARTS_WITH ''",
        "TaskQueue > 'a'",
        "TaskQueue BETWEEN 'a' AND 'z'",
        "TaskQueue IN ('other')",
        "TaskQueue NOT IN ('other')",
        "NOT TaskQueue = 'other'",
        "HeartbeatTime IN ('2023-11-14T22:14:20Z')",
    ):
        found(s, condition)


@scenario
def test_conditions_that_cannot_hold(s: Script) -> None:
    record(s, heartbeat(s, "w1"))
    for condition in (
        "TaskQueue = 5",
        "StartTime = 'yesterday'",
        "StartTime STARTS_WITH '2023'",
        "TaskQueue",
        "'x' = TaskQueue",
    ):
        found(s, condition)


@scenario
def test_that_is_refused(s: Script) -> None:
    record(s, heartbeat(s, "w1"))
    s.call("DescribeWorker", worker_instance_key="nobody", refused=True)
    s.call("DescribeWorker", refused=True)
    for rpc in (
        "RecordWorkerHeartbeat",
        "ListWorkers",
        "CountWorkers",
        "DescribeWorker",
        "FetchWorkerConfig",
        "UpdateWorkerConfig",
    ):
        s.call(rpc, namespace="nowhere", refused=True)
        s.call(rpc, namespace="", refused=True)
    s.call("FetchWorkerConfig", refused=True)
    s.call("FetchWorkerConfig", selector={"worker_instance_key": "w"}, refused=True)
    s.call("UpdateWorkerConfig", refused=True)
    s.call("UpdateWorkerConfig", worker_config={}, refused=True)


@scenario
def test_queries_that_are_none(s: Script) -> None:
    record(s, heartbeat(s, "w1"))
    for query in ("TaskQueue =", "TaskQueue = 'x' LIMIT 3", "TaskQueue = 'x", "="):
        s.call("ListWorkers", query=query, refused=True)
        s.call("CountWorkers", query=query, refused=True)
