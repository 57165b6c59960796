"""User timers."""

from __future__ import annotations

from temporalio.api.enums.v1 import EventType

from perdure.history.machines import workflow_task
from perdure.history.state.execution import Timer
from perdure.history.transition import Transition


def fire(tx: Transition, timer: Timer) -> None:
    """The timer's instant has come."""
    tx.arrive(EventType.EVENT_TYPE_TIMER_FIRED, timer_id=timer.timer_id, started_event_id=timer.started_event_id)
    workflow_task.schedule(tx)
