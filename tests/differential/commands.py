"""Workflow commands, with their usual attributes filled in. A keyword overrides an attribute; None leaves it out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio.api.command.v1 import Command
from temporalio.api.enums.v1 import CommandType

from tests.differential.script import failure, payloads


def command(kind: str, /, *, metadata: dict[str, Any] | None = None, **attributes: Any) -> Command:
    """Any command: `kind` is the end of its type's name, such as START_TIMER."""
    fields: dict[str, Any] = {"command_type": f"COMMAND_TYPE_{kind}"}
    attribute_name = _ATTRIBUTES.get(kind, kind.lower())
    fields[f"{attribute_name}_command_attributes"] = {
        name: value for name, value in attributes.items() if value is not None
    }
    if metadata is not None:
        fields["user_metadata"] = metadata
    return Command(**fields)


def bare(kind: str) -> Command:
    """A command without attributes."""
    return Command(command_type=CommandType.Value(f"COMMAND_TYPE_{kind}"))


#: Where the field is not named as the type is.
_ATTRIBUTES = {
    "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES": "upsert_workflow_search_attributes",
    "PROTOCOL_MESSAGE": "protocol_message",
}


def schedule_activity(queue: str, activity_id: str = "a1", **attributes: Any) -> Command:
    defaults: dict[str, Any] = {
        "activity_id": activity_id,
        "activity_type": {"name": "Act"},
        "task_queue": {"name": queue},
        "input": payloads("in"),
        "start_to_close_timeout": timedelta(seconds=60),
    }
    return command("SCHEDULE_ACTIVITY_TASK", **(defaults | attributes))


def cancel_activity(scheduled_event_id: int) -> Command:
    return command("REQUEST_CANCEL_ACTIVITY_TASK", scheduled_event_id=scheduled_event_id)


def schedule_nexus(endpoint: str, **attributes: Any) -> Command:
    defaults: dict[str, Any] = {
        "endpoint": endpoint,
        "service": "payments",
        "operation": "charge",
        "input": payloads("in").payloads[0],
    }
    return command("SCHEDULE_NEXUS_OPERATION", **(defaults | attributes))


def cancel_nexus(scheduled_event_id: int) -> Command:
    return command("REQUEST_CANCEL_NEXUS_OPERATION", scheduled_event_id=scheduled_event_id)


def start_timer(timer_id: str = "t1", seconds: float = 3600, **attributes: Any) -> Command:
    defaults: dict[str, Any] = {"timer_id": timer_id, "start_to_fire_timeout": timedelta(seconds=seconds)}
    return command("START_TIMER", **(defaults | attributes))


def cancel_timer(timer_id: str = "t1") -> Command:
    return command("CANCEL_TIMER", timer_id=timer_id)


def complete(result: str = "result") -> Command:
    return command("COMPLETE_WORKFLOW_EXECUTION", result=payloads(result))


def fail(message: str = "workflow failed", **info: Any) -> Command:
    return command("FAIL_WORKFLOW_EXECUTION", failure=failure(message, **info))


def cancel(details: str = "cancelled") -> Command:
    return command("CANCEL_WORKFLOW_EXECUTION", details=payloads(details))


def continue_as_new(**attributes: Any) -> Command:
    return command("CONTINUE_AS_NEW_WORKFLOW_EXECUTION", **attributes)


def marker(name: str = "Version", **attributes: Any) -> Command:
    defaults: dict[str, Any] = {"marker_name": name, "details": {"data": payloads("1")}}
    return command("RECORD_MARKER", **(defaults | attributes))


def start_child(workflow_id: str, queue: str, **attributes: Any) -> Command:
    defaults: dict[str, Any] = {
        "workflow_id": workflow_id,
        "workflow_type": {"name": "Child"},
        "task_queue": {"name": queue},
        "input": payloads("in"),
    }
    return command("START_CHILD_WORKFLOW_EXECUTION", **(defaults | attributes))


def signal_external(workflow_id: str, **attributes: Any) -> Command:
    defaults: dict[str, Any] = {
        "execution": {"workflow_id": workflow_id},
        "signal_name": "hello",
        "input": payloads("in"),
    }
    return command("SIGNAL_EXTERNAL_WORKFLOW_EXECUTION", **(defaults | attributes))


def cancel_external(workflow_id: str, **attributes: Any) -> Command:
    return command("REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION", **({"workflow_id": workflow_id} | attributes))


def upsert_search_attributes(**values: Any) -> Command:
    return command("UPSERT_WORKFLOW_SEARCH_ATTRIBUTES", search_attributes={"indexed_fields": values})


def modify_properties(**values: Any) -> Command:
    return command("MODIFY_WORKFLOW_PROPERTIES", upserted_memo={"fields": values})


def protocol_message(message_id: str) -> Command:
    return command("PROTOCOL_MESSAGE", message_id=message_id)
