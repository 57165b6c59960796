from __future__ import annotations

import contextvars
import json
from collections.abc import Iterator

import pytest
import structlog
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest

from perdure.infra import logs
from perdure.kernel.serving import serving
from perdure.kernel.transport import trace_context


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    structlog.reset_defaults()


@pytest.mark.parametrize("level", logs.LEVELS)
def test_every_level_lets_through_what_it_says(level: str, capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure(level)
    logger = structlog.get_logger("test")
    for name in ("debug", "info", "warning", "error", "critical"):
        getattr(logger, name)(name)
    seen = [json.loads(line)["event"] for line in capfd.readouterr().err.splitlines()]
    everything = ["debug", "info", "warning", "error", "critical"]
    first = {"debug": 0, "info": 1, "warn": 2, "error": 3, "never": 5}[level]
    assert seen == everything[first:]


def test_a_line_says_which_call_it_is_about_and_of_which_trace(capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure("info")
    logger = structlog.get_logger("test")
    request = DescribeWorkflowExecutionRequest(namespace="orders")
    request.execution.workflow_id, request.execution.run_id = "order-1", "run-1"

    def serve() -> None:
        serving.set(("DescribeWorkflowExecution", request))
        trace_context.set({"traceparent": f"00-{'ab' * 16}-{'01' * 8}-01"})
        logger.info("something", run_id="run-2")

    contextvars.copy_context().run(serve)
    logger.info("nothing")
    something, nothing = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert {key: something[key] for key in ("rpc", "namespace", "workflow_id", "run_id", "trace_id")} == {
        "rpc": "DescribeWorkflowExecution",
        "namespace": "orders",
        "workflow_id": "order-1",
        "run_id": "run-2",
        "trace_id": "ab" * 16,
    }
    assert nothing.keys() == {"event", "level", "timestamp"}


@pytest.mark.parametrize("traceparent", ["", "00-xyz-1-01", f"00-{'ab' * 16}"])
def test_a_trace_that_is_none_is_left_out(traceparent: str, capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure("info")

    def serve() -> None:
        trace_context.set({"traceparent": traceparent})
        structlog.get_logger("test").info("something")

    contextvars.copy_context().run(serve)
    assert "trace_id" not in json.loads(capfd.readouterr().err)
