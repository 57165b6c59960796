"""PURE: what a schedule owes the world, and when it wants attention next."""

from __future__ import annotations

from collections.abc import Iterable

from temporalio.api.history.v1 import HistoryEvent

from perdure.history.effects import Effect, StartAction, StopAction
from perdure.history.machines import schedule
from perdure.history.state.changes import AnyChange
from perdure.history.state.schedule import Schedule


class ScheduleAgenda:
    """The open ends of one schedule, read from its state."""

    __slots__ = ("state",)

    def __init__(self, state: Schedule) -> None:
        self.state = state

    def note(self, events: Iterable[HistoryEvent], changes: Iterable[AnyChange], now: int) -> None:
        """Nothing is kept beside the state."""

    def next_deadline(self, now: int, retention: int) -> int:
        state = self.state
        return schedule.next_deadline(state) if state.running else state.closed_at + retention

    def expire(self, tx: schedule.ScheduleTransition) -> None:
        schedule.advance(tx)

    @property
    def owes(self) -> bool:
        state = self.state
        return bool(state.starting) or any(action.owes_stop for action in state.started.values())

    def outstanding(self, now: int) -> list[Effect]:
        state = self.state
        effects: list[Effect] = [StartAction(action_id) for action_id in state.starting]
        effects += [StopAction(action_id) for action_id, action in state.started.items() if action.owes_stop]
        return effects
