"""Batch jobs: what was listed and what of it is done."""

from __future__ import annotations

from perdure.history.state.batch import Batch
from perdure.history.state.batch_changes import (
    BatchCounted,
    BatchEnded,
    BatchListed,
    BatchProgressed,
    BatchStarted,
    BatchTargetsNamed,
)


def _started(state: Batch, change: BatchStarted) -> None:
    state.started_at = change.at
    state.request = change.request


def _counted(state: Batch, change: BatchCounted) -> None:
    state.total = change.total


def _listed(state: Batch, change: BatchListed) -> None:
    state.targets = list(change.targets)
    state.next_page_token = change.next_page_token
    state.all_listed = change.last


def _named(state: Batch, change: BatchTargetsNamed) -> None:
    state.targets = [*change.targets, *state.targets[len(change.targets) :]]


def _progressed(state: Batch, change: BatchProgressed) -> None:
    state.completed += change.completed
    state.failed += change.failed
    state.targets = state.targets[change.completed + change.failed :]


def _ended(state: Batch, change: BatchEnded) -> None:
    state.status = change.status
    state.closed_at = change.at
    state.reason = change.reason
    state.targets = []


AMEND = {
    BatchStarted: _started,
    BatchCounted: _counted,
    BatchListed: _listed,
    BatchTargetsNamed: _named,
    BatchProgressed: _progressed,
    BatchEnded: _ended,
}
