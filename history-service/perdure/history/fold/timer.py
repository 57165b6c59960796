"""User timers."""

from __future__ import annotations

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from perdure.history.state.execution import Execution, Timer
from perdure.kernel.prototime import instant_ns, length_ns


def _started(state: Execution, event: HistoryEvent) -> None:
    attributes = event.timer_started_event_attributes
    fires_at = instant_ns(event.event_time) + length_ns(attributes.start_to_fire_timeout)
    state.timers[attributes.timer_id] = Timer(attributes.timer_id, event.event_id, fires_at)


def _fired(state: Execution, event: HistoryEvent) -> None:
    del state.timers[event.timer_fired_event_attributes.timer_id]


def _canceled(state: Execution, event: HistoryEvent) -> None:
    # Gone already if it had fired into the buffer and was taken back from there.
    state.timers.pop(event.timer_canceled_event_attributes.timer_id, None)


EVOLVE = {
    EventType.EVENT_TYPE_TIMER_STARTED: _started,
    EventType.EVENT_TYPE_TIMER_FIRED: _fired,
    EventType.EVENT_TYPE_TIMER_CANCELED: _canceled,
}
