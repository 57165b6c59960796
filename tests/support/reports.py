"""What the worker of an activity in a workflow reports, as decisions on its run."""

from __future__ import annotations

from temporalio.api.common.v1 import Payloads
from temporalio.api.failure.v1 import Failure

from perdure.history.machines import activity, activity_events
from perdure.history.state.execution import Activity
from perdure.history.transition import Transition


def complete(tx: Transition, pending: Activity, result: Payloads | None, identity: str) -> None:
    activity_events.close(tx, pending, activity.Completed(result, identity))


def fail(tx: Transition, pending: Activity, failure: Failure, identity: str) -> None:
    outcome = activity.fail(tx, pending, failure, identity)
    if outcome is not None:
        activity_events.close(tx, pending, outcome)


def cancel(tx: Transition, pending: Activity, details: Payloads | None, identity: str) -> None:
    activity_events.close(tx, pending, activity.cancel(pending, details, identity))
