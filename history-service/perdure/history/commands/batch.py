"""PURE: the commands of one workflow task on their way, and how they fail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from temporalio.api.enums.v1 import WorkflowTaskFailedCause
from temporalio.api.protocol.v1 import Message

from perdure.kernel.namespace import Namespace
from perdure.kernel.nexus import NexusEndpoint

Cause = WorkflowTaskFailedCause


def camel_case(name: str) -> str:
    """An enum value's name as messages spell it: START_TIMER is StartTimer."""
    return "".join(word.capitalize() for word in name.split("_"))


class CommandFailure(Exception):
    """A command cannot be carried out: the workflow task fails with this cause, or the whole run is terminated."""

    def __init__(self, cause: Cause.ValueType, message: str, *, terminate: bool = False) -> None:
        name = camel_case(Cause.Name(cause).removeprefix("WORKFLOW_TASK_FAILED_CAUSE_"))
        super().__init__(f"{name}: {message}" if message else name)
        self.cause = cause
        self.terminate = terminate


@dataclass(slots=True)
class Batch:
    """The commands of one workflow task, and what they have led to so far."""

    completed_event_id: int
    identity: str
    #: Namespaces that commands name, by name; resolved beforehand.
    namespaces: Mapping[str, Namespace]
    messages: dict[str, Message]
    #: Activities that the worker wants to run itself, by scheduled event id.
    eager: list[int] = field(default_factory=list)
    #: An activity was cancelled before it started: the workflow has to be told.
    wants_task: bool = False
    children: set[str] = field(default_factory=set)
    #: Nexus endpoints that commands name, by name; resolved beforehand.
    endpoints: Mapping[str, NexusEndpoint] = field(default_factory=dict)
