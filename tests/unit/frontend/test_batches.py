"""What is refused of a batch job before it is one: nothing of it may reach history."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.gateway import GatewayBench, running

JOB: dict[str, Any] = {"namespace": "default", "jobId": "job", "reason": "why", "visibilityQuery": "WorkflowId = 'a'"}
END = {"terminationOperation": {"identity": "somebody"}}


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({**END, "maxOperationsPerSecond": 0.001}, "MaxOperationsPerSecond"),
        ({**END, "visibilityQuery": "WorkflowId = 'a' ORDER BY StartTime"}, "VisibilityQuery"),
        ({**END, "maxOperationsPerSecond": -1}, "MaxOperationsPerSecond"),
        ({**END, "maxOperationsPerSecond": "NaN"}, "MaxOperationsPerSecond"),
        (
            {
                "updateWorkflowOptionsOperation": {
                    "identity": "somebody",
                    "workflowExecutionOptions": {},
                    "updateMask": "nothingOfTheKind",
                }
            },
            "nothing_of_the_kind",
        ),
        (
            {
                "visibilityQuery": "",
                "executions": [{"workflowId": "w", "runId": "no UUID"}],
                "signalOperation": {"signal": "go"},
            },
            "RunId",
        ),
        (
            {"visibilityQuery": "", "executions": [{"workflowId": "a\0b"}], **END},
            "WorkflowId",
        ),
    ],
)
async def test_refused(fields: dict[str, Any], named: str) -> None:
    bench = GatewayBench()
    async with running(bench) as client:
        answer = await client.call("StartBatchOperation", {**JOB, **fields})
    assert answer.code == "INVALID_ARGUMENT"
    assert named.lower() in answer.message.lower()
    assert not bench.history.served
