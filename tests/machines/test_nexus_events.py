"""What a workflow's history says of what becomes of its Nexus operations."""

from __future__ import annotations

import pytest
from temporalio.api.enums.v1 import TimeoutType
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent

from perdure.history.effects import OfferWorkflowTask
from perdure.history.machines import nexus_events
from perdure.history.machines.nexus_operation import Canceled, Completed, Failed, News, Started, TimedOut, Unusable
from perdure.kernel.nexus_failures import as_canceled
from tests.differential import commands as c
from tests.support.playbook import Run, event, start

SCHEDULED = 5
_TO_CLOSE = TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE


def caller() -> Run:
    run = start()
    run.turn(c.schedule_nexus("pay"))
    return run


def told(run: Run, news: News) -> HistoryEvent:
    """The event that says so."""
    play = run.decide(nexus_events.record, run.state.operations[SCHEDULED], news)
    happened = play.happened[0]
    assert isinstance(happened, HistoryEvent)
    return happened


@pytest.mark.parametrize(
    ("news", "name", "message"),
    [
        (Failed(Failure(message="no money")), "failed", "no money"),
        (Canceled(Failure(message="changed my mind")), "canceled", "changed my mind"),
        (TimedOut(_TO_CLOSE, attempted=True), "timed_out", "operation timed out"),
        (Unusable("the result is too large"), "failed", "the result is too large"),
    ],
)
def test_a_failure_says_of_which_operation_it_is_and_why(news: News, name: str, message: str) -> None:
    attributes = getattr(told(caller(), news), f"nexus_operation_{name}_event_attributes")
    said: Failure = attributes.failure
    assert said.nexus_operation_execution_failure_info.scheduled_event_id == SCHEDULED
    assert said.nexus_operation_execution_failure_info.endpoint == "pay"
    assert said.cause.message == message


def test_a_cancellation_is_one_whatever_the_handler_called_it() -> None:
    cause = Failure(message="changed my mind")
    said = told(caller(), Canceled(cause)).nexus_operation_canceled_event_attributes.failure
    assert said.cause == as_canceled(cause)


def test_each_of_them_wakes_the_workflow() -> None:
    run = caller()
    run.decide(nexus_events.record, run.state.operations[SCHEDULED], Started("token", [])).expect(
        event("NexusOperationStarted", operation_token="token"), event("WorkflowTaskScheduled"), OfferWorkflowTask()
    )
    assert run.state.operations[SCHEDULED].token == "token"


def test_what_has_ended_is_pending_no_more() -> None:
    run = caller()
    told(run, Completed(None, []))
    assert not run.state.operations
