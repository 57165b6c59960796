"""Runs that an operator holds back, and how lists find them and those with paused activities."""

from __future__ import annotations

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from perdure.history.state.execution import PAUSED, RUNNING, Execution, Pause
from perdure.kernel.prototime import instant_ns
from perdure.kernel.visibility import attributes as search_attributes

_PAUSE_INFO = "TemporalPauseInfo"


def _paused(state: Execution, event: HistoryEvent) -> None:
    attributes = event.workflow_execution_paused_event_attributes
    at = instant_ns(event.event_time)
    state.status = PAUSED
    state.pause = Pause(at, attributes.identity, attributes.reason, attributes.request_id)
    show_pauses(state)


def _unpaused(state: Execution, event: HistoryEvent) -> None:
    state.status = RUNNING
    state.pause = None
    show_pauses(state)


def show_pauses(state: Execution) -> None:
    """Let lists find the run by its own pause, and by the types of the activities that are paused in it."""
    entries = []
    if state.pause is not None:
        entries.append(f"Workflow:{state.workflow_id}")
        if state.pause.reason:
            entries.append(f"Reason:{state.pause.reason}")
    types = {activity.scheduled.activity_type.name for activity in state.activities.values() if activity.pause}
    entries += [f"property:activityType={name}" for name in sorted(types)]
    fields = state.search_attributes.indexed_fields
    if entries:
        fields[_PAUSE_INFO].CopyFrom(search_attributes.encode_value(entries, search_attributes.KEYWORD_LIST))
    else:
        fields.pop(_PAUSE_INFO, None)


EVOLVE = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_PAUSED: _paused,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UNPAUSED: _unpaused,
}
