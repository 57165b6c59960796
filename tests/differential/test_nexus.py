"""Nexus endpoints, and operations that workflows call."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio.api.workflowservice.v1 import PollNexusTaskQueueResponse

from tests.differential import commands as c
from tests.differential.compare import scenario
from tests.differential.script import Script, payload


def named(s: Script, name: str) -> str:
    return f"e{s.name(name)}"


def spec(s: Script, name: str, **worker: str) -> dict[str, Any]:
    worker = {"namespace": "default", "task_queue": s.name("handlers")} | worker
    return {"name": named(s, name), "target": {"worker": worker}}


def create(s: Script, name: str = "pay", *, refused: bool = False, **worker: str) -> Any:
    return s.call("CreateNexusEndpoint", spec=spec(s, name, **worker), refused=refused).endpoint


def call(s: Script, **attributes: Any) -> None:
    """Have a workflow call an operation."""
    create(s)
    s.start("caller")
    s.step(c.schedule_nexus(named(s, "pay"), **attributes))


def poll(s: Script) -> PollNexusTaskQueueResponse:
    response = s.call("PollNexusTaskQueue", task_queue={"name": s.name("handlers")}, silent=True)
    assert isinstance(response, PollNexusTaskQueueResponse)
    start = response.request.start_operation
    s.part("PollNexusTaskQueue", f"asked for {start.service}.{start.operation} with", start.payload)
    return response


def answer(s: Script, **response: Any) -> None:
    s.call("RespondNexusTaskCompleted", task_token=poll(s).task_token, response=response)


def end(s: Script, event: str) -> None:
    """See how the operation came out, and let the workflow end."""
    s.await_event("caller", f"NEXUS_OPERATION_{event}")
    s.step(c.complete())
    s.history("caller")


@scenario
def test_the_life_of_an_endpoint(s: Script) -> None:
    made = create(s)
    create(s, refused=True)
    s.call("GetNexusEndpoint", id=made.id)
    s.call("ListNexusEndpoints", name=named(s, "pay"))
    s.call("UpdateNexusEndpoint", id=made.id, version=made.version + 1, spec=spec(s, "pay"), refused=True)
    s.call("DeleteNexusEndpoint", id=made.id, version=made.version)
    s.call("GetNexusEndpoint", id=made.id, refused=True)
    s.call("DeleteNexusEndpoint", id=made.id, version=1, refused=True)


@scenario
def test_an_endpoint_that_is_changed(s: Script) -> None:
    made = create(s)
    s.call("UpdateNexusEndpoint", id=made.id, version=made.version, spec=spec(s, "pay", task_queue="other"))
    s.call("UpdateNexusEndpoint", id=made.id, version=made.version, spec=spec(s, "pay"), refused=True)


@scenario
def test_a_namespace_that_an_endpoint_leads_to(s: Script) -> None:
    name = s.name("ns")
    s.call("RegisterNamespace", namespace=name, workflow_execution_retention_period=timedelta(days=3))
    made = create(s, namespace=name)
    s.call("DeleteNamespace", namespace=name, refused=True)
    s.call("DescribeNamespace", namespace=name)
    s.call("DeleteNexusEndpoint", id=made.id, version=made.version)
    s.call("DeleteNamespace", namespace=name, silent=True)
    s.call("DescribeNamespace", namespace=name, refused=True)


@scenario
def test_endpoints_that_cannot_be(s: Script) -> None:
    create(s, "pay!", refused=True)
    create(s, namespace="nowhere", refused=True)
    create(s, task_queue="", refused=True)
    s.call("CreateNexusEndpoint", spec={"name": named(s, "pay")}, refused=True)
    s.call("GetNexusEndpoint", id="", refused=True)


@scenario
def test_an_operation_that_ends_at_once(s: Script) -> None:
    call(s)
    answer(s, start_operation={"sync_success": {"payload": payload("out")}})
    end(s, "COMPLETED")


@scenario
def test_an_operation_that_fails(s: Script) -> None:
    call(s)
    answer(s, start_operation={"failure": {"message": "no money", "application_failure_info": {"type": "Money"}}})
    end(s, "FAILED")


@scenario
def test_an_operation_that_the_handler_refuses_for_good(s: Script) -> None:
    call(s)
    failure = {"message": "what is this?", "nexus_handler_failure_info": {"type": "BAD_REQUEST"}}
    s.call("RespondNexusTaskFailed", task_token=poll(s).task_token, failure=failure)
    end(s, "FAILED")


@scenario
def test_an_operation_that_takes_too_long(s: Script) -> None:
    call(s, schedule_to_close_timeout={"seconds": 1})
    end(s, "TIMED_OUT")


@scenario
def test_an_operation_that_a_workflow_carries_out(s: Script) -> None:
    call(s)
    task = poll(s)
    start = task.request.start_operation
    callback = {"nexus": {"url": start.callback, "header": dict(start.callback_header)}}
    s.start("handler", queue="handling", completion_callbacks=[callback])
    s.call(
        "RespondNexusTaskCompleted",
        task_token=task.task_token,
        response={"start_operation": {"async_success": {"operation_token": "op"}}},
    )
    s.await_event("caller", "NEXUS_OPERATION_STARTED")
    s.step(c.complete("out"), queue="handling")
    end(s, "COMPLETED")


@scenario
def test_an_operation_that_is_canceled_before_it_starts(s: Script) -> None:
    call(s)
    s.signal("caller")
    s.step(c.cancel_nexus(5))
    s.history("caller")


@scenario
def test_operations_that_cannot_be(s: Script) -> None:
    create(s)
    for wrong in ({"endpoint": "nowhere"}, {"service": ""}, {"operation": ""}):
        s.start(f"caller-{'-'.join(wrong)}", queue="-".join(wrong))
        command = c.schedule_nexus(**({"endpoint": named(s, "pay")} | wrong))
        s.step(command, queue="-".join(wrong), refused=True)
