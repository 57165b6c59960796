from __future__ import annotations

from temporalio.api.command.v1 import Command
from temporalio.api.enums.v1 import CommandType
from temporalio.api.workflowservice.v1 import ExecuteMultiOperationRequest, RespondWorkflowTaskCompletedRequest

from perdure.frontend.limits.actions import ASKED, DONE
from perdure.frontend.routes import WORKFLOW_ROUTES, Quota


def completion(*kinds: str, heartbeat: bool = False) -> int:
    commands = [Command(command_type=CommandType.Value(f"COMMAND_TYPE_{kind}")) for kind in kinds]
    request = RespondWorkflowTaskCompletedRequest(commands=commands, force_create_new_workflow_task=heartbeat)
    return DONE["RespondWorkflowTaskCompleted"](request)


def test_commands_are_counted_as_they_are_billed() -> None:
    assert completion() == 0
    assert completion("COMPLETE_WORKFLOW_EXECUTION") == 0
    assert completion("SCHEDULE_ACTIVITY_TASK", "SCHEDULE_ACTIVITY_TASK", "START_TIMER") == 3
    assert completion("START_CHILD_WORKFLOW_EXECUTION") == 2
    assert completion("CANCEL_TIMER", "REQUEST_CANCEL_ACTIVITY_TASK") == 0
    assert completion("CONTINUE_AS_NEW_WORKFLOW_EXECUTION") == 1


def test_all_markers_of_a_task_are_one_action() -> None:
    assert completion("RECORD_MARKER") == completion("RECORD_MARKER", "RECORD_MARKER") == 1


def test_a_heartbeat_of_a_workflow_task_is_an_action() -> None:
    assert completion(heartbeat=True) == 1


def test_a_multi_operation_counts_its_operations() -> None:
    operation = ExecuteMultiOperationRequest.Operation()
    assert ASKED["ExecuteMultiOperation"](ExecuteMultiOperationRequest(operations=[operation] * 2)) == 2


def test_what_workers_report_is_charged_and_never_asked_for() -> None:
    of_workers = {rpc for rpc, route in WORKFLOW_ROUTES.items() if route.quota is Quota.WORKER}
    assert of_workers >= DONE.keys()
    assert not of_workers & ASKED.keys()
