"""A schedule: what it is told, the starts it makes, and how they end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.schedule.v1 import Schedule as ScheduleDefinition

from perdure.history.state.schedule import Action, Backfill, BufferedStart, Schedule, Stop
from perdure.history.state.schedule_changes import (
    ActionClosed,
    ActionDecided,
    ActionRefused,
    ActionStarted,
    ActionStopRequested,
    ActionStopSent,
    BackfillAdded,
    BackfillAdvanced,
    BackfillDropped,
    ScheduleCreated,
    ScheduleEnded,
    SchedulePaused,
    ScheduleRequestSeen,
    ScheduleUpdated,
    StartBuffered,
    StartsSkipped,
    TimePassed,
)

#: Actions that a schedule can show.
RECENT_ACTIONS_MAX = 10
#: Request ids by which repeated updates and patches are known.
REQUEST_IDS_MAX = 100


def _copy(definition: ScheduleDefinition) -> ScheduleDefinition:
    """The state's own, to be changed at will."""
    copy = ScheduleDefinition()
    copy.CopyFrom(definition)
    return copy


def _created(state: Schedule, change: ScheduleCreated) -> None:
    state.definition = _copy(change.definition)
    state.memo = change.memo
    state.search_attributes = change.search_attributes
    state.created_at = state.processed_until = change.at
    state.create_request_id = change.request_id


def _updated(state: Schedule, change: ScheduleUpdated) -> None:
    state.definition = _copy(change.definition)
    state.updated_at = change.at
    # Times of the new spec that lie before the update are nobody's.
    state.processed_until = max(state.processed_until, change.at)
    state.conflict_token += 1
    if change.memo is not None:
        state.memo = change.memo
    if change.search_attributes is not None:
        state.search_attributes = change.search_attributes


def _request_seen(state: Schedule, change: ScheduleRequestSeen) -> None:
    state.request_ids.append(change.request_id)
    del state.request_ids[:-REQUEST_IDS_MAX]


def _paused(state: Schedule, change: SchedulePaused) -> None:
    state.definition.state.paused = change.paused
    state.definition.state.notes = change.notes
    state.conflict_token += 1


def _buffered(state: Schedule, change: StartBuffered) -> None:
    state.last_action_id += 1
    state.buffer.append(
        BufferedStart(
            state.last_action_id, change.nominal_at, change.scheduled_at, change.overlap_policy, change.manual
        )
    )


def _time_passed(state: Schedule, change: TimePassed) -> None:
    state.processed_until = change.until
    state.missed_count += change.missed
    state.buffer_dropped_count += change.dropped


def _backfill_added(state: Schedule, change: BackfillAdded) -> None:
    state.backfills.append(Backfill(change.after, change.until, change.overlap_policy))


def _backfill_dropped(state: Schedule, change: BackfillDropped) -> None:
    state.buffer_dropped_count += 1


def _backfill_advanced(state: Schedule, change: BackfillAdvanced) -> None:
    state.next_backfill_at = change.next_at
    if change.done:
        del state.backfills[0]
    else:
        state.backfills[0].after = change.after


def _skipped(state: Schedule, change: StartsSkipped) -> None:
    gone = set(change.action_ids)
    state.buffer = [start for start in state.buffer if start.action_id not in gone]
    if change.overlapping:
        state.overlap_skipped_count += len(gone)


def _decided(state: Schedule, change: ActionDecided) -> None:
    start = next(start for start in state.buffer if start.action_id == change.action_id)
    state.buffer.remove(start)
    state.starting[start.action_id] = Action(
        start.action_id,
        change.workflow_id,
        start.nominal_at,
        start.scheduled_at,
        start.manual,
        change.overlapping,
    )
    limit = state.definition.state
    if not start.manual and limit.limited_actions:
        # Whoever is about to add to the remaining actions must see that there are fewer now.
        limit.remaining_actions -= 1
        state.conflict_token += 1


def _started(state: Schedule, change: ActionStarted) -> None:
    action = state.starting.pop(change.action_id)
    action.run_id = change.run_id
    action.started_at = change.at
    if not action.overlapping:
        state.started[action.action_id] = action
    state.action_count += 1
    state.recent.append(
        Action(
            action.action_id,
            action.workflow_id,
            action.nominal_at,
            action.scheduled_at,
            run_id=action.run_id,
            started_at=action.started_at,
        )
    )
    del state.recent[:-RECENT_ACTIONS_MAX]


def _refused(state: Schedule, change: ActionRefused) -> None:
    del state.starting[change.action_id]


def _stop_requested(state: Schedule, change: ActionStopRequested) -> None:
    action = state.started[change.action_id]
    action.stop = Stop.TERMINATE if change.terminate else Stop.CANCEL
    action.owes_stop = True


def _stop_sent(state: Schedule, change: ActionStopSent) -> None:
    action = state.started.get(change.action_id)
    if action is not None:
        action.owes_stop = False


def _closed(state: Schedule, change: ActionClosed) -> None:
    for recent in state.recent:
        if recent.action_id == change.action_id:
            recent.status = change.status
    if state.started.pop(change.action_id, None) is None:
        # Those that may overlap follow no order, so that none of them is the last.
        return
    if change.status == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED:
        state.last_failure = None
        if change.result is not None:
            state.last_result = change.result
    elif change.failure is not None:
        state.last_failure = change.failure


def _ended(state: Schedule, change: ScheduleEnded) -> None:
    state.status = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED
    state.closed_at = change.at


AMEND: dict[type, Callable[[Schedule, Any], None]] = {
    ScheduleCreated: _created,
    ScheduleUpdated: _updated,
    ScheduleRequestSeen: _request_seen,
    SchedulePaused: _paused,
    StartBuffered: _buffered,
    TimePassed: _time_passed,
    BackfillAdded: _backfill_added,
    BackfillDropped: _backfill_dropped,
    BackfillAdvanced: _backfill_advanced,
    StartsSkipped: _skipped,
    ActionDecided: _decided,
    ActionStarted: _started,
    ActionRefused: _refused,
    ActionStopRequested: _stop_requested,
    ActionStopSent: _stop_sent,
    ActionClosed: _closed,
    ScheduleEnded: _ended,
}
