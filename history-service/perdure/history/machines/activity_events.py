"""PURE: activities in a workflow's history.

Between attempts an activity leaves no events: its started event is written together with its outcome, and says then
which attempt it was and how the one before failed.
"""

from __future__ import annotations

from typing import Any, assert_never

from temporalio.api.enums.v1 import EventType

from perdure.history.machines import workflow, workflow_task
from perdure.history.machines.activity import Canceled, Completed, Failed, Outcome, TimedOut, runs
from perdure.history.state.execution import Activity, Execution
from perdure.history.transition import Transition
from perdure.kernel.errors import NotFound
from perdure.kernel.tokens import ActivityToken


def not_found() -> NotFound:
    """The answer to whoever reports on an activity that is not running any more."""
    return NotFound("invalid activityID or activity already timed out or invoking workflow is completed")


def of_token(state: Execution, token: ActivityToken) -> Activity:
    """The activity whose running attempt the token was given out for.

    Raises:
        NotFound: the attempt has ended or was replaced.
    """
    if not state.running:
        raise workflow.already_completed()
    activity = state.activities.get(token.scheduled_event_id)
    if activity is None or not runs(activity, token):
        raise not_found()
    return activity


def of_id(state: Execution, activity_id: str) -> Activity:
    """The pending activity with this id.

    Raises:
        NotFound: none is.
    """
    if not state.running:
        raise workflow.already_completed()
    scheduled_event_id = state.activity_ids.get(activity_id)
    if scheduled_event_id is None:
        raise NotFound(
            f"cannot find pending activity with ActivityID {activity_id}, check workflow execution history for more "
            "details"
        )
    return state.activities[scheduled_event_id]


def close(tx: Transition, activity: Activity, outcome: Outcome) -> None:
    """Record how an activity ended, and let the workflow know."""
    record(tx, activity, outcome)
    workflow_task.schedule(tx)


def record(tx: Transition, activity: Activity, outcome: Outcome) -> None:
    """Record how an activity ended; the caller sees to the workflow task."""
    tx.ended.append((activity, type(outcome).__name__.lower()))
    match outcome:
        case Completed(result, identity):
            event_type = EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
            attributes: dict[str, Any] = {"result": result, "identity": identity}
        case Failed(failure, retry_state, identity):
            event_type = EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED
            attributes = {"failure": failure, "retry_state": retry_state, "identity": identity}
        case TimedOut(failure, retry_state, _):
            event_type = EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT
            attributes = {"failure": failure, "retry_state": retry_state}
        case Canceled(details, identity):
            event_type = EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED
            requested = activity.cancel_requested_event_id
            attributes = {"details": details, "latest_cancel_requested_event_id": requested, "identity": identity}
        case _:
            assert_never(outcome)
    started_event_id = _record_started(tx, activity)
    tx.arrive(
        event_type, scheduled_event_id=activity.scheduled_event_id, started_event_id=started_event_id, **attributes
    )


def _record_started(tx: Transition, activity: Activity) -> int:
    """Write the started event that was put off; 0 if no worker ever had this attempt, or if it is buffered."""
    if not activity.started:
        return 0
    event = tx.arrive(
        EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED,
        scheduled_event_id=activity.scheduled_event_id,
        identity=activity.started_identity,
        request_id=activity.request_id,
        attempt=activity.attempt,
        last_failure=activity.last_failure,
    )
    return event.event_id
