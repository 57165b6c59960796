"""Updates: admitted without an event (but by a reset), accepted and completed with one."""

from __future__ import annotations

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from perdure.history.state.changes import UpdateAdmitted, UpdateRemoved, UpdateSent, UpdatesUnsent
from perdure.history.state.execution import Execution, Update, UpdateStage


def _admitted_again(state: Execution, event: HistoryEvent) -> None:
    request = event.workflow_execution_update_admitted_event_attributes.request
    update_id = request.meta.update_id
    state.updates[update_id] = Update(
        update_id, UpdateStage.ADMITTED, request=request, admitted_event_id=event.event_id
    )


def _accepted(state: Execution, event: HistoryEvent) -> None:
    attributes = event.workflow_execution_update_accepted_event_attributes
    update_id = attributes.protocol_instance_id
    state.updates[update_id] = Update(update_id, UpdateStage.ACCEPTED, accepted_event_id=event.event_id)


def _completed(state: Execution, event: HistoryEvent) -> None:
    update = state.updates[event.workflow_execution_update_completed_event_attributes.meta.update_id]
    update.stage = UpdateStage.COMPLETED
    update.completed_event_id = event.event_id


EVOLVE = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ADMITTED: _admitted_again,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED: _accepted,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED: _completed,
}


def _admitted(state: Execution, change: UpdateAdmitted) -> None:
    update_id = change.request.meta.update_id
    state.updates[update_id] = Update(update_id, UpdateStage.ADMITTED, request=change.request)


def _sent(state: Execution, change: UpdateSent) -> None:
    state.updates[change.update_id].stage = UpdateStage.SENT


def _unsent(state: Execution, change: UpdatesUnsent) -> None:
    for update in state.updates.values():
        if update.stage is UpdateStage.SENT:
            update.stage = UpdateStage.ADMITTED


def _removed(state: Execution, change: UpdateRemoved) -> None:
    del state.updates[change.update_id]


AMEND = {UpdateAdmitted: _admitted, UpdateSent: _sent, UpdatesUnsent: _unsent, UpdateRemoved: _removed}
