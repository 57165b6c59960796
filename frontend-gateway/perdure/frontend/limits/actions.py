"""PURE: how many actions, as they are billed, a request asks for.

An estimate before the fact: what turns out to be a repetition, and is not billed, is counted here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from temporalio.api.enums.v1 import CommandType

_COMMANDS: Mapping[int, int] = {
    CommandType.COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK: 1,
    CommandType.COMMAND_TYPE_START_TIMER: 1,
    CommandType.COMMAND_TYPE_START_CHILD_WORKFLOW_EXECUTION: 2,
    CommandType.COMMAND_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION: 1,
    CommandType.COMMAND_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES: 1,
    CommandType.COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION: 1,
    CommandType.COMMAND_TYPE_SCHEDULE_NEXUS_OPERATION: 1,
    CommandType.COMMAND_TYPE_REQUEST_CANCEL_NEXUS_OPERATION: 1,
}


def _one(request: Any) -> int:
    return 1


def _operations(request: Any) -> int:
    return sum(1 for _ in request.operations)


def _of_completion(request: Any) -> int:
    """All markers of a workflow task are one action."""
    types = [command.command_type for command in request.commands]
    return (
        sum(_COMMANDS.get(kind, 0) for kind in types)
        + (CommandType.COMMAND_TYPE_RECORD_MARKER in types)
        + bool(request.force_create_new_workflow_task)
    )


#: What a client asks for; it can be told to come back later.
ASKED: Mapping[str, Callable[[Any], int]] = {
    "StartWorkflowExecution": _one,
    "SignalWorkflowExecution": _one,
    "SignalWithStartWorkflowExecution": _one,
    "ExecuteMultiOperation": _operations,
    "UpdateWorkflowExecution": _one,
    "QueryWorkflow": _one,
    "ResetWorkflowExecution": _one,
    "StartActivityExecution": _one,
    "StartNexusOperationExecution": _one,
    "RequestCancelNexusOperationExecution": _one,
    "CreateSchedule": _one,
    "UpdateSchedule": _one,
    "PatchSchedule": _one,
    "DeleteSchedule": _one,
}
#: What work that has been done leads to: charged and never refused.
DONE: Mapping[str, Callable[[Any], int]] = {
    "RespondWorkflowTaskCompleted": _of_completion,
    "RecordActivityTaskHeartbeat": _one,
    "RecordActivityTaskHeartbeatById": _one,
}
