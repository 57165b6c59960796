"""Workflow tasks that keep failing, as lists show them."""

from __future__ import annotations

from temporalio.api.enums.v1 import TimeoutType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent

from perdure.history.state.execution import Execution
from perdure.kernel.visibility import attributes as search_attributes

#: So many in a row are shown, which the real server's operators can change.
SHOWN_FROM = 5
_ATTRIBUTE = "TemporalReportedProblems"


def failed(state: Execution, event: HistoryEvent | None = None) -> None:
    """A workflow task failed or timed out, perhaps without an event of its own."""
    state.problems += 1
    if event is not None:
        state.problem = _problem(event)
    if state.problems >= SHOWN_FROM and state.problem:
        value = search_attributes.encode_value(state.problem, search_attributes.KEYWORD_LIST)
        state.search_attributes.indexed_fields[_ATTRIBUTE].CopyFrom(value)


def solved(state: Execution, event: HistoryEvent) -> None:
    """A workflow task has succeeded."""
    state.problems = 0
    if state.problem:
        state.problem = []
    if _ATTRIBUTE in state.search_attributes.indexed_fields:
        del state.search_attributes.indexed_fields[_ATTRIBUTE]
        state.solved_event_id = event.event_id


def _problem(event: HistoryEvent) -> list[str]:
    if event.HasField("workflow_task_failed_event_attributes"):
        cause = WorkflowTaskFailedCause.Name(event.workflow_task_failed_event_attributes.cause)
        name = _camel(cause.removeprefix("WORKFLOW_TASK_FAILED_CAUSE_"))
        return ["category=WorkflowTaskFailed", f"cause=WorkflowTaskFailedCause{name}"]
    timeout = TimeoutType.Name(event.workflow_task_timed_out_event_attributes.timeout_type)
    name = _camel(timeout.removeprefix("TIMEOUT_TYPE_"))
    return ["category=WorkflowTaskTimedOut", f"cause=WorkflowTaskTimedOutCause{name}"]


def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))
