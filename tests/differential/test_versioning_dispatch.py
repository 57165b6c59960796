"""Who gets the tasks of a workflow when its workers have versions, and what its history says of that."""

from __future__ import annotations

from typing import Any

from temporalio.api.enums.v1 import RoutingConfigUpdateState
from temporalio.api.workflowservice.v1 import PollActivityTaskQueueResponse, PollWorkflowTaskQueueResponse

from tests.differential import commands as c
from tests.differential.compare import scenario
from tests.differential.script import Script
from tests.differential.test_versioning_deployments import describe, options, set_current, version, work

PINNED = "VERSIONING_BEHAVIOR_PINNED"
AUTO_UPGRADE = "VERSIONING_BEHAVIOR_AUTO_UPGRADE"
_COMPLETED = RoutingConfigUpdateState.ROUTING_CONFIG_UPDATE_STATE_COMPLETED


def current(s: Script, build_id: str) -> None:
    """Make it the current version, and wait until the real server's queues know that."""
    set_current(s, build_id, silent=True)
    s.await_until(lambda: describe(s, silent=True).worker_deployment_info.routing_config_update_state == _COMPLETED)


def poll(s: Script, build_id: str, **fields: Any) -> PollWorkflowTaskQueueResponse:
    return s.poll(deployment_options=options(s, build_id), **fields)


def poll_activity(s: Script, build_id: str, **fields: Any) -> PollActivityTaskQueueResponse:
    return s.poll_activity(deployment_options=options(s, build_id), **fields)


def complete(s: Script, build_id: str, task: Any, *commands: Any, behavior: str = PINNED, **fields: Any) -> Any:
    return s.complete(task, *commands, deployment_options=options(s, build_id), versioning_behavior=behavior, **fields)


@scenario
def test_a_pinned_workflow_stays(s: Script) -> None:
    work(s, "1")
    work(s, "2")
    current(s, "1")
    s.start("w")
    complete(s, "1", poll(s, "1"))
    s.describe("w")
    current(s, "2")
    s.signal("w")
    complete(s, "1", poll(s, "1"), c.complete())
    s.history("w")
    s.describe("w")


@scenario
def test_another_workflow_moves(s: Script) -> None:
    work(s, "1")
    work(s, "2")
    current(s, "1")
    s.start("w")
    complete(s, "1", poll(s, "1"), behavior=AUTO_UPGRADE)
    current(s, "2")
    s.signal("w")
    task = poll(s, "2")
    s.describe("w")
    complete(s, "2", task, behavior=AUTO_UPGRADE)
    s.describe("w")
    s.signal("w")
    complete(s, "2", poll(s, "2"), c.complete(), behavior=PINNED)
    s.history("w")
    s.describe("w")


@scenario
def test_a_workflow_moves_off_workers_without_a_version(s: Script) -> None:
    s.start("w")
    s.complete(s.poll())
    work(s, "1")
    current(s, "1")
    s.signal("w")
    complete(s, "1", poll(s, "1"), behavior=AUTO_UPGRADE)
    s.describe("w")
    with s.expecting("and back"):
        current(s, "")
        s.signal("w")
        s.complete(s.poll(), c.complete())
    s.history("w")
    s.describe("w")


@scenario
def test_activities_follow_a_pinned_workflow(s: Script) -> None:
    work(s, "1")
    work(s, "2")
    for build_id in ("1", "2"):
        s.call(
            "PollActivityTaskQueue",
            task_queue={"name": s.name("main")},
            deployment_options=options(s, build_id),
            timeout=3,
            silent=True,
        )
    current(s, "1")
    s.start("w")
    complete(s, "1", poll(s, "1"), c.schedule_activity(s.name("main")))
    current(s, "2")
    s.complete_activity(poll_activity(s, "1"), deployment_options=options(s, "1"))
    complete(s, "1", poll(s, "1"), c.complete())
    s.history("w")


@scenario
def test_a_behaviour_needs_a_version(s: Script) -> None:
    s.start("w")
    task = s.poll()
    s.complete(task, versioning_behavior=PINNED, refused=True)
    s.complete(task, c.complete(), deployment_options={"deployment_name": "d", "build_id": "1"})
    s.history("w")
    s.describe("w")


@scenario
def test_continue_as_new_stays_with_its_version(s: Script) -> None:
    work(s, "1")
    work(s, "2")
    current(s, "1")
    s.start("w")
    task = poll(s, "1")
    current(s, "2")
    complete(s, "1", task, c.continue_as_new(), behavior=PINNED)
    complete(s, "1", poll(s, "1"), c.complete())
    s.history("w")


@scenario
def test_children_stay_with_their_parent(s: Script) -> None:
    work(s, "1")
    work(s, "2")
    current(s, "1")
    s.start("w")
    complete(s, "1", poll(s, "1"), c.start_child(s.name("child"), queue=s.name("main")))
    current(s, "2")
    s.await_child("w", "child")
    s.describe("child")
    s.history("child")


def pin(s: Script, build_id: str) -> dict[str, Any]:
    return {"pinned": {"behavior": "PINNED_OVERRIDE_BEHAVIOR_PINNED", "version": version(s, build_id)}}


def override(s: Script, value: dict[str, Any] | None, **fields: Any) -> Any:
    return s.call(
        "UpdateWorkflowExecutionOptions",
        workflow_execution=s.execution("w"),
        workflow_execution_options={"versioning_override": value} if value else {},
        update_mask={"paths": ["versioning_override"]},
        **fields,
    )


@scenario
def test_a_start_is_pinned_to_a_version(s: Script) -> None:
    work(s, "1")
    work(s, "2")
    current(s, "1")
    s.start("w", versioning_override=pin(s, "2"))
    s.describe("w")
    complete(s, "2", poll(s, "2"), behavior=AUTO_UPGRADE)
    s.describe("w")
    s.signal("w")
    complete(s, "2", poll(s, "2"), c.complete(), behavior=AUTO_UPGRADE)
    s.history("w")


@scenario
def test_an_operator_moves_a_workflow(s: Script) -> None:
    work(s, "1")
    work(s, "2")
    current(s, "1")
    s.start("w")
    complete(s, "1", poll(s, "1"))
    override(s, pin(s, "2"))
    s.describe("w")
    s.signal("w")
    complete(s, "2", poll(s, "2"))
    override(s, None)
    s.describe("w")
    override(s, {"auto_upgrade": True})
    s.describe("w")
    s.signal("w")
    complete(s, "1", poll(s, "1"), c.complete())
    s.describe("w")
    s.history("w")


@scenario
def test_overrides_that_cannot_be(s: Script) -> None:
    work(s, "1")
    current(s, "1")
    for value in (
        {},
        {"auto_upgrade": False},
        {"pinned": {}},
        {"pinned": {"version": version(s, "1")}},
        {
            "pinned": {
                "behavior": "PINNED_OVERRIDE_BEHAVIOR_PINNED",
                "version": {"deployment_name": "a.b", "build_id": "1"},
            }
        },
        {"one_time": {}},
        {"behavior": PINNED},
        {"behavior": AUTO_UPGRADE, "pinned_version": "a.1"},
        {"behavior": PINNED, "pinned_version": "nothing"},
        pin(s, "2"),
    ):
        s.start("w", versioning_override=value, refused=True)
    s.start("w")
    override(s, pin(s, "2"), refused=True)
    override(s, {"auto_upgrade": False}, refused=True)
