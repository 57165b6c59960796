from __future__ import annotations

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.deployment.v1 import WorkerDeploymentVersion
from temporalio.api.enums.v1 import WorkerStatus
from temporalio.api.worker.v1 import WorkerHeartbeat, WorkerHostInfo

from perdure.kernel.errors import InvalidArgument
from perdure.matching.worker_query import CONDITIONS_MAX, parse

WORKER = WorkerHeartbeat(
    worker_instance_key="key",
    worker_identity="me",
    host_info=WorkerHostInfo(host_name="box"),
    task_queue="orders",
    deployment_version=WorkerDeploymentVersion(deployment_name="shop", build_id="b1"),
    sdk_name="python",
    sdk_version="1.31.0",
    status=WorkerStatus.WORKER_STATUS_SHUTTING_DOWN,
    start_time=Timestamp(seconds=1_700_000_000),
    heartbeat_time=Timestamp(seconds=1_700_000_060),
)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("WorkerInstanceKey", "key"),
        ("WorkerIdentity", "me"),
        ("HostName", "box"),
        ("TaskQueue", "orders"),
        ("DeploymentName", "shop"),
        ("BuildId", "b1"),
        ("SdkName", "python"),
        ("SdkVersion", "1.31.0"),
        ("WorkerStatus", "ShuttingDown"),
        ("Status", "ShuttingDown"),
        ("status", "ShuttingDown"),
    ],
)
def test_texts(field: str, value: str) -> None:
    yes = (
        f"{field} = '{value}'",
        f"{field} != 'x'",
        f"{field} IS NOT NULL",
        f"{field} STARTS_WITH '{value[:1]}'",
        f"{field} NOT STARTS_WITH 'x'",
    )
    no = (
        f"{field} = 'x'",
        f"{field} != '{value}'",
        f"{field} IS NULL",
        f"{field} STARTS_WITH 'x'",
        f"{field} NOT STARTS_WITH '{value[:1]}'",
    )
    assert [text for text in yes if not parse(text)(WORKER)] == []
    assert [text for text in no if parse(text)(WORKER)] == []
    assert parse(f"{field} IS NULL")(WorkerHeartbeat()) == (field.lower() not in ("workerstatus", "status"))


@pytest.mark.parametrize(("field", "second"), [("StartTime", "22:13:20"), ("HeartbeatTime", "22:14:20")])
def test_times(field: str, second: str) -> None:
    instant = f"'2023-11-14T{second}Z'"
    for operator in ("=", ">=", "<="):
        assert parse(f"{field} {operator} {instant}")(WORKER)
    for operator in ("!=", ">", "<"):
        assert not parse(f"{field} {operator} {instant}")(WORKER)
    later = f"'2023-11-14T{second}.000000001Z'"
    assert parse(f"{field} BETWEEN {instant} AND {later}")(WORKER)
    assert not parse(f"{field} NOT BETWEEN {instant} AND {later}")(WORKER)
    assert parse(f"{field} NOT BETWEEN {later} AND {later}")(WORKER)


def test_times_that_are_not_known() -> None:
    nobody = WorkerHeartbeat()
    assert parse("StartTime IS NULL")(nobody)
    assert not parse("StartTime IS NOT NULL")(nobody)
    assert not parse("StartTime BETWEEN 0 AND 5")(nobody)
    assert not parse("StartTime NOT BETWEEN 1 AND 5")(nobody)
    assert parse("StartTime < '2020-01-01T00:00:00Z'")(nobody), "as on the real server, it counts as 1970"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("", True),
        ("TaskQueue = 'orders' AND SdkName = 'x'", False),
        ("TaskQueue = 'x' OR SdkName = 'python'", True),
        ("(TaskQueue = 'x' OR SdkName = 'python') AND BuildId = 'x'", False),
        # What makes no sense is found out only when it is come to, as on the real server.
        ("TaskQueue = 'orders' OR Nothing = 'x'", True),
        ("Nothing = 'x' OR TaskQueue = 'orders'", False),
        ("Nothing IS NULL", False),
        ("taskqueue = 'orders'", False),
        ("TaskQueue != ''", False),
        ("TaskQueue NOT STARTS_WITH ''", False),
        ("TaskQueue > 'a'", False),
        ("TaskQueue BETWEEN 'a' AND 'z'", False),
        ("TaskQueue IN ('orders')", False),
        ("NOT TaskQueue = 'x'", False),
        ("StartTime IN ('2023-11-14T22:13:20Z')", False),
    ],
)
def test_conditions(text: str, meant: bool) -> None:
    assert parse(text)(WORKER) is meant


@pytest.mark.parametrize("text", ["=", "TaskQueue =", "TaskQueue = 5", "StartTime = 'now'", "TaskQueue = 'a' LIMIT 1"])
def test_what_is_no_query(text: str) -> None:
    with pytest.raises(InvalidArgument):
        parse(text)


@pytest.mark.parametrize("between", [" OR ", " AND ", " AND (TaskQueue = 'b' OR BuildId IS NULL) OR "])
def test_how_many_conditions(between: str) -> None:
    each = 1 + between.count("=") + between.count("IS")
    parts = ["TaskQueue = 'orders'"] * (1 + (CONDITIONS_MAX - 1) // each)
    parse(between.join(parts))
    with pytest.raises(InvalidArgument, match="more than 50 conditions on workers"):
        parse(between.join([*parts, "TaskQueue = 'orders'"]))
