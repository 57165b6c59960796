from __future__ import annotations

import pytest
from google.protobuf.message import Message
from temporalio.api.command.v1 import StartChildWorkflowExecutionCommandAttributes
from temporalio.api.common.v1 import Payload, Payloads, WorkflowExecution, WorkflowType
from temporalio.api.failure.v1 import Failure
from temporalio.api.schedule.v1 import Schedule, ScheduleAction
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflow.v1 import NewWorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    CreateScheduleRequest,
    RespondActivityTaskFailedRequest,
    SignalWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
)

from perdure.kernel.errors import InvalidArgument
from perdure.kernel.names import check_names


@pytest.mark.parametrize(
    ("message", "place"),
    [
        (StartWorkflowExecutionRequest(workflow_id="a\0"), "WorkflowId"),
        (StartWorkflowExecutionRequest(namespace="\0"), "Namespace"),
        (StartWorkflowExecutionRequest(workflow_type=WorkflowType(name="\0a")), "WorkflowType.Name"),
        (StartWorkflowExecutionRequest(task_queue=TaskQueue(name="a\0b")), "TaskQueue.Name"),
        (
            SignalWorkflowExecutionRequest(workflow_execution=WorkflowExecution(workflow_id="\0")),
            "WorkflowExecution.WorkflowId",
        ),
        (CreateScheduleRequest(schedule_id="\0"), "ScheduleId"),
        (
            CreateScheduleRequest(
                schedule=Schedule(
                    action=ScheduleAction(
                        start_workflow=NewWorkflowExecutionInfo(workflow_id="w", workflow_type=WorkflowType(name="\0"))
                    )
                )
            ),
            "Schedule.Action.StartWorkflow.WorkflowType.Name",
        ),
        (StartChildWorkflowExecutionCommandAttributes(workflow_id="\0"), "WorkflowId"),
    ],
)
def test_an_id_or_name_has_no_nul(message: Message, place: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_names(message)
    assert caught.value.message == f"{place} must not contain the character NUL."


@pytest.mark.parametrize(
    "message",
    [
        StartWorkflowExecutionRequest(
            workflow_id="w", identity="a\0", input=Payloads(payloads=[Payload(data=b"\0")]), request_id="r"
        ),
        RespondActivityTaskFailedRequest(failure=Failure(message="a\0", cause=Failure(source="\0"))),
    ],
)
def test_what_becomes_bytes_may_hold_anything(message: Message) -> None:
    check_names(message)
