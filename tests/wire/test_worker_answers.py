"""A worker's payload that is too large becomes a failure of its task."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.message import Message
from temporalio.api.workflowservice.v1 import (
    RecordActivityTaskHeartbeatResponse,
    RespondActivityTaskFailedByIdRequest,
    RespondActivityTaskFailedRequest,
    RespondActivityTaskFailedResponse,
)

from tests.support.gateway import GatewayBench, running

BIG: Any = {"payloads": [{"data": "AAAA" * 800_000}]}
BY_TOKEN = {"namespace": "default", "taskToken": "AAAA", "identity": "me"}
BY_ID = {"namespace": "default", "workflowId": "w", "activityId": "a", "identity": "me"}


def only(bench: GatewayBench) -> tuple[str, Message]:
    ((rpc, _, request),) = bench.history.served
    return rpc, request


@pytest.mark.parametrize(
    ("rpc", "field", "reason"),
    [
        ("RespondActivityTaskCompleted", "result", "Complete result exceeds size limit."),
        ("RespondActivityTaskCanceled", "details", "Cancel details exceed size limit."),
        ("RecordActivityTaskHeartbeat", "details", "Heartbeat details exceed size limit."),
    ],
)
async def test_by_token(rpc: str, field: str, reason: str) -> None:
    bench = GatewayBench()
    async with running(bench) as client:
        answer = await client.call(rpc, {**BY_TOKEN, field: BIG})
    served, request = only(bench)
    assert served == "RespondActivityTaskFailed"
    assert isinstance(request, RespondActivityTaskFailedRequest)
    assert (request.task_token, request.identity, request.failure.message) == (b"\0\0\0", "me", reason)
    assert request.failure.server_failure_info.non_retryable
    if isinstance(answer.response, RecordActivityTaskHeartbeatResponse):
        assert answer.response.cancel_requested


async def test_by_id() -> None:
    bench = GatewayBench()
    async with running(bench) as client:
        await client.call("RespondActivityTaskCompletedById", {**BY_ID, "result": BIG})
    served, request = only(bench)
    assert served == "RespondActivityTaskFailedById"
    assert isinstance(request, RespondActivityTaskFailedByIdRequest)
    assert (request.workflow_id, request.activity_id) == ("w", "a")


async def test_a_large_failure_is_shortened_and_said() -> None:
    bench = GatewayBench()
    failure = {"message": "m" * 3_000_000, "applicationFailureInfo": {"type": "E"}}
    async with running(bench) as client:
        answer = await client.call(
            "RespondActivityTaskFailed", {**BY_TOKEN, "failure": failure, "lastHeartbeatDetails": None}
        )
    _, request = only(bench)
    assert isinstance(request, RespondActivityTaskFailedRequest)
    assert request.failure.message == "Failure exceeds size limit."
    assert request.failure.cause.application_failure_info.type == "E"
    assert request.ByteSize() < 10_000
    assert isinstance(answer.response, RespondActivityTaskFailedResponse)
    assert len(answer.response.failures) == 1


async def test_small_payloads_pass_as_they_are() -> None:
    bench = GatewayBench()
    small = {"payloads": [{"data": "AAAA"}]}
    async with running(bench) as client:
        assert (await client.call("RespondActivityTaskCompleted", {**BY_TOKEN, "result": small})).code == "OK"
    assert only(bench)[0] == "RespondActivityTaskCompleted"
