"""Standalone Nexus operations: start policies, endings, cancellation, waiting, lists."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio.api.workflowservice.v1 import PollNexusTaskQueueResponse

from tests.differential.compare import scenario
from tests.differential.script import IDENTITY, Script, payload

_ASYNC = {"start_operation": {"async_success": {"operation_token": "token"}}}


def endpoint(s: Script) -> str:
    return f"e{s.name('pay')}"


def create(s: Script) -> None:
    worker = {"namespace": "default", "task_queue": s.name("handlers")}
    s.call("CreateNexusEndpoint", spec={"name": endpoint(s), "target": {"worker": worker}})


def start(s: Script, name: str = "op", **fields: Any) -> Any:
    usual: dict[str, Any] = {
        "request_id": f"start-{name}",
        "identity": IDENTITY,
        "endpoint": endpoint(s),
        "service": "payments",
        "operation": "charge",
        "input": payload("in"),
        "schedule_to_close_timeout": timedelta(seconds=60),
    }
    return s.call("StartNexusOperationExecution", operation_id=s.name(name), **(usual | fields))


def poll(s: Script) -> PollNexusTaskQueueResponse:
    response = s.call("PollNexusTaskQueue", task_queue={"name": s.name("handlers")}, silent=True)
    assert isinstance(response, PollNexusTaskQueueResponse)
    return response


def answer(s: Script, **response: Any) -> None:
    s.call("RespondNexusTaskCompleted", task_token=poll(s).task_token, response=response)


def outcome(s: Script, name: str = "op", **fields: Any) -> Any:
    return s.call("PollNexusOperationExecution", operation_id=s.name(name), **fields)


def describe(s: Script, name: str = "op", **fields: Any) -> Any:
    everything = {"include_input": True, "include_outcome": True}
    return s.call("DescribeNexusOperationExecution", operation_id=s.name(name), **(everything | fields))


def cancel(s: Script, name: str = "op", **fields: Any) -> Any:
    usual = {"request_id": "cancel", "reason": "enough"}
    return s.call("RequestCancelNexusOperationExecution", operation_id=s.name(name), **(usual | fields))


def terminate(s: Script, name: str = "op", **fields: Any) -> Any:
    usual = {"request_id": "terminate", "reason": "away with it"}
    return s.call("TerminateNexusOperationExecution", operation_id=s.name(name), **(usual | fields))


@scenario
def test_completed_at_once(s: Script) -> None:
    create(s)
    start(s, nexus_header={"Key": "value"}, user_metadata={"summary": payload("short")})
    answer(s, start_operation={"sync_success": {"payload": payload("out")}})
    outcome(s)
    describe(s)


@scenario
def test_failed(s: Script) -> None:
    create(s)
    start(s)
    answer(s, start_operation={"failure": {"message": "no money", "application_failure_info": {"type": "Money"}}})
    outcome(s)
    describe(s)


@scenario
def test_refused_for_good(s: Script) -> None:
    create(s)
    start(s)
    failure = {"message": "what is this?", "nexus_handler_failure_info": {"type": "BAD_REQUEST"}}
    s.call("RespondNexusTaskFailed", task_token=poll(s).task_token, failure=failure)
    outcome(s)
    describe(s)


@scenario
def test_canceled_while_it_goes_on(s: Script) -> None:
    create(s)
    start(s)
    answer(s, **_ASYNC)
    outcome(s, wait_stage="NEXUS_OPERATION_WAIT_STAGE_STARTED")
    describe(s)
    cancel(s)
    cancel(s)
    cancel(s, request_id="another", refused=True)
    answer(s, cancel_operation={})


@scenario
def test_terminated(s: Script) -> None:
    create(s)
    start(s)
    answer(s, **_ASYNC)
    outcome(s, wait_stage="NEXUS_OPERATION_WAIT_STAGE_STARTED")
    terminate(s)
    terminate(s)
    terminate(s, request_id="another", refused=True)
    cancel(s, refused=True)
    outcome(s)
    describe(s)


@scenario
def test_timed_out(s: Script) -> None:
    create(s)
    start(s, schedule_to_close_timeout=timedelta(seconds=1), start_to_close_timeout=timedelta(seconds=5))
    outcome(s)
    describe(s)


@scenario
def test_ids_that_are_taken(s: Script) -> None:
    create(s)
    start(s)
    start(s)
    start(s, request_id="again", refused=True)
    start(s, request_id="again", id_conflict_policy="NEXUS_OPERATION_ID_CONFLICT_POLICY_USE_EXISTING")
    terminate(s)
    start(s, request_id="again", id_reuse_policy="NEXUS_OPERATION_ID_REUSE_POLICY_REJECT_DUPLICATE", refused=True)
    start(s, request_id="again", id_reuse_policy="NEXUS_OPERATION_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY")


@scenario
def test_lists_and_counts(s: Script) -> None:
    create(s)
    start(s)
    terminate(s)
    query = f"Endpoint = '{endpoint(s)}' AND Service = 'payments' AND ExecutionStatus = 'Terminated'"
    s.await_until(lambda: s.call("CountNexusOperationExecutions", query=query, silent=True).count == 1)
    # The real server shows the number of its division among the search attributes, which is nobody's.
    (listed,) = s.call("ListNexusOperationExecutions", query=query, silent=True).operations
    listed.ClearField("search_attributes")
    s.note("listed", listed)
    s.call("ListNexusOperationExecutions", query=f"Endpoint = '{endpoint(s)}' AND ExecutionStatus = 'Running'")
    s.call("CountNexusOperationExecutions", query=f"Endpoint = '{endpoint(s)}' GROUP BY ExecutionStatus")
    s.call("ListNexusOperationExecutions", query="NonExistentField = 'x'", refused=True)


@scenario
def test_deleted(s: Script) -> None:
    create(s)
    start(s)
    s.call("DeleteNexusOperationExecution", operation_id=s.name("op"))
    s.call("DeleteNexusOperationExecution", operation_id="", refused=True)


@scenario
def test_what_cannot_be(s: Script) -> None:
    create(s)
    for wrong in (
        {"operation_id": ""},
        {"endpoint": ""},
        {"service": ""},
        {"operation": "o" * 1001},
        {"nexus_header": {"Request-Timeout": "1s"}},
    ):
        fields: dict[str, Any] = {"operation_id": "op", "endpoint": endpoint(s), "service": "s", "operation": "o"}
        s.call("StartNexusOperationExecution", **(fields | wrong), refused=True)
    describe(s, run_id="none", refused=True)
    cancel(s, reason="r" * 1001, refused=True)
