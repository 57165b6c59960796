"""PURE: what the commands of a completed workflow task do, by command type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from temporalio.api.command.v1 import Command
from temporalio.api.enums.v1 import CommandType

from perdure.history.commands import activities, closing, executions, nexus, properties, timers
from perdure.history.commands.batch import Batch, Cause, CommandFailure, camel_case
from perdure.history.transition import Transition
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.names import check_names

_CLOSING = frozenset(
    {
        CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION,
        CommandType.COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION,
        CommandType.COMMAND_TYPE_CANCEL_WORKFLOW_EXECUTION,
        CommandType.COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION,
    }
)


def check_sequence(commands: Sequence[Command]) -> None:
    """A command that ends the run is the last one.

    Raises:
        InvalidArgument: it is not, or a command is of no known type.
    """
    for index, command in enumerate(commands):
        if command.command_type not in COMMANDS:
            raise InvalidArgument(f"unknown command type: {_type_name(command)}")
        if command.command_type in _CLOSING and index != len(commands) - 1:
            names = ", ".join(_type_name(each) for each in commands)
            raise InvalidArgument(
                f"invalid command sequence: [{names}], command {_type_name(command)} must be the last command."
            )


def _type_name(command: Command) -> str:
    try:
        name = CommandType.Name(command.command_type)
    except ValueError:
        return str(command.command_type)
    return camel_case(name.removeprefix("COMMAND_TYPE_"))


def apply(tx: Transition, commands: Sequence[Command], batch: Batch) -> None:
    """Carry the commands out in order, then the messages that no command placed.

    Raises:
        CommandFailure: one of them cannot be carried out.
    """
    for command in commands:
        name, carry_out = COMMANDS[command.command_type]
        if command.command_type in _CLOSING and tx.state.buffered:
            raise CommandFailure(Cause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND, "")
        tx.user_metadata = command.user_metadata if command.HasField("user_metadata") else None
        if not command.HasField(name):  # type: ignore[arg-type]
            raise _attributes_missing(command)
        attributes = getattr(command, name)
        try:
            check_names(attributes)
        except InvalidArgument as error:
            raise CommandFailure(_BAD_ATTRIBUTES[command.command_type], error.message) from error
        carry_out(tx, attributes, batch)
    tx.user_metadata = None
    for message in list(batch.messages.values()):
        properties.receive(tx, message)


def _attributes_missing(command: Command) -> CommandFailure:
    name = _type_name(command)
    return CommandFailure(
        _BAD_ATTRIBUTES[command.command_type], f"{name}CommandAttributes is not set on {name}Command."
    )


_CarryOut = Callable[[Transition, Any, Batch], None]


#: Command type -> the field with its attributes, and what carries it out.
COMMANDS: dict[int, tuple[str, _CarryOut]] = {
    CommandType.COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK: (
        "schedule_activity_task_command_attributes",
        activities.schedule_activity,
    ),
    CommandType.COMMAND_TYPE_REQUEST_CANCEL_ACTIVITY_TASK: (
        "request_cancel_activity_task_command_attributes",
        activities.cancel_activity,
    ),
    CommandType.COMMAND_TYPE_START_TIMER: ("start_timer_command_attributes", timers.start_timer),
    CommandType.COMMAND_TYPE_CANCEL_TIMER: ("cancel_timer_command_attributes", timers.cancel_timer),
    CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION: (
        "complete_workflow_execution_command_attributes",
        closing.complete_workflow,
    ),
    CommandType.COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION: (
        "fail_workflow_execution_command_attributes",
        closing.fail_workflow,
    ),
    CommandType.COMMAND_TYPE_CANCEL_WORKFLOW_EXECUTION: (
        "cancel_workflow_execution_command_attributes",
        closing.cancel_workflow,
    ),
    CommandType.COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION: (
        "continue_as_new_workflow_execution_command_attributes",
        closing.continue_as_new,
    ),
    CommandType.COMMAND_TYPE_START_CHILD_WORKFLOW_EXECUTION: (
        "start_child_workflow_execution_command_attributes",
        executions.start_child,
    ),
    CommandType.COMMAND_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION: (
        "signal_external_workflow_execution_command_attributes",
        executions.signal_external,
    ),
    CommandType.COMMAND_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION: (
        "request_cancel_external_workflow_execution_command_attributes",
        executions.cancel_external,
    ),
    CommandType.COMMAND_TYPE_SCHEDULE_NEXUS_OPERATION: (
        "schedule_nexus_operation_command_attributes",
        nexus.schedule_operation,
    ),
    CommandType.COMMAND_TYPE_REQUEST_CANCEL_NEXUS_OPERATION: (
        "request_cancel_nexus_operation_command_attributes",
        nexus.cancel_operation,
    ),
    CommandType.COMMAND_TYPE_RECORD_MARKER: ("record_marker_command_attributes", properties.record_marker),
    CommandType.COMMAND_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES: (
        "upsert_workflow_search_attributes_command_attributes",
        properties.upsert_search_attributes,
    ),
    CommandType.COMMAND_TYPE_MODIFY_WORKFLOW_PROPERTIES: (
        "modify_workflow_properties_command_attributes",
        properties.modify_properties,
    ),
    CommandType.COMMAND_TYPE_PROTOCOL_MESSAGE: ("protocol_message_command_attributes", properties.protocol_message),
}


_BAD_ATTRIBUTES: dict[int, Cause.ValueType] = {
    CommandType.COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK: Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SCHEDULE_ACTIVITY_ATTRIBUTES,
    CommandType.COMMAND_TYPE_REQUEST_CANCEL_ACTIVITY_TASK: (
        Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_REQUEST_CANCEL_ACTIVITY_ATTRIBUTES
    ),
    CommandType.COMMAND_TYPE_START_TIMER: Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_START_TIMER_ATTRIBUTES,
    CommandType.COMMAND_TYPE_CANCEL_TIMER: Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_CANCEL_TIMER_ATTRIBUTES,
    CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION: (
        Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_COMPLETE_WORKFLOW_EXECUTION_ATTRIBUTES
    ),
    CommandType.COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION: (
        Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_FAIL_WORKFLOW_EXECUTION_ATTRIBUTES
    ),
    CommandType.COMMAND_TYPE_CANCEL_WORKFLOW_EXECUTION: (
        Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_CANCEL_WORKFLOW_EXECUTION_ATTRIBUTES
    ),
    CommandType.COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION: (
        Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_CONTINUE_AS_NEW_ATTRIBUTES
    ),
    CommandType.COMMAND_TYPE_START_CHILD_WORKFLOW_EXECUTION: (
        Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_START_CHILD_EXECUTION_ATTRIBUTES
    ),
    CommandType.COMMAND_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION: (
        Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SIGNAL_WORKFLOW_EXECUTION_ATTRIBUTES
    ),
    CommandType.COMMAND_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION: (
        Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_ATTRIBUTES
    ),
    CommandType.COMMAND_TYPE_SCHEDULE_NEXUS_OPERATION: (
        Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SCHEDULE_NEXUS_OPERATION_ATTRIBUTES
    ),
    CommandType.COMMAND_TYPE_REQUEST_CANCEL_NEXUS_OPERATION: (
        Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_REQUEST_CANCEL_NEXUS_OPERATION_ATTRIBUTES
    ),
    CommandType.COMMAND_TYPE_RECORD_MARKER: Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_RECORD_MARKER_ATTRIBUTES,
    CommandType.COMMAND_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES: Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SEARCH_ATTRIBUTES,
    CommandType.COMMAND_TYPE_MODIFY_WORKFLOW_PROPERTIES: (
        Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_MODIFY_WORKFLOW_PROPERTIES_ATTRIBUTES
    ),
    CommandType.COMMAND_TYPE_PROTOCOL_MESSAGE: (Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_UPDATE_WORKFLOW_EXECUTION_MESSAGE),
}
