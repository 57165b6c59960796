"""Nexus operations, from the side of the workflow that has started them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.command.v1 import Command
from temporalio.api.common.v1 import Callback
from temporalio.api.enums.v1 import EventType, TimeoutType
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.nexus.v1 import Response

from perdure.history.effects import CancelNexusOperation, DeliverCallback, OfferWorkflowTask, StartNexusOperation
from perdure.history.machines import nexus_operation, workflow
from perdure.history.state.changes import CallbackDelivered, NexusAttemptFailed, NexusCancelAttemptFailed
from perdure.history.state.nexus import CallbackState, NexusOperation
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.limits import Limits
from perdure.kernel.mail import OperationClosed
from perdure.kernel.nexus_failures import handler_failure
from perdure.kernel.rpc import NexusAnswer
from tests.differential import commands as c
from tests.support.playbook import Play, Run, buffered, change, event, failure, recorded, start

SCHEDULED = 5
ASYNC: dict[str, Any] = {"async_success": {"operation_token": "token"}}


def caller(**attributes: Any) -> Run:
    """A run that has scheduled an operation, with event 5."""
    run = start()
    run.turn(c.schedule_nexus("pay", **attributes))
    return run


def pending(run: Run) -> NexusOperation:
    return run.state.operations[SCHEDULED]


def answered(run: Run, **response: Any) -> Play:
    """The handler has answered the request to start."""
    answer = NexusAnswer(response=Response(start_operation=response))
    return run.decide(recorded(nexus_operation.answer_start), pending(run), answer)


def failed(run: Run, said: Failure) -> Play:
    return run.decide(recorded(nexus_operation.answer_start), pending(run), NexusAnswer(failure=said))


def under_way(**attributes: Any) -> Run:
    run = caller(**attributes)
    answered(run, **ASYNC)
    return run


def closed(run: Run, **fields: Any) -> Play:
    request_id = pending(run).scheduled.request_id
    letter = OperationClosed("run-1", SCHEDULED, request_id, "token", 1, [], **fields)
    return run.decide(recorded(nexus_operation.told_end), pending(run), letter)


def test_an_operation_is_scheduled_and_its_handler_asked() -> None:
    run = start()
    run.turn(c.schedule_nexus("pay", nexus_header={"Key": "Value"})).expect(
        event("WorkflowTaskCompleted", id=4),
        event(
            "NexusOperationScheduled",
            id=5,
            endpoint="pay",
            endpoint_id="endpoint-1",
            service="payments",
            operation="charge",
            input="in",
            nexus_header={"key": "Value"},
            workflow_task_completed_event_id=4,
        ),
        StartNexusOperation(5),
    )


def test_what_is_answered_at_once_is_done() -> None:
    run = caller()
    answered(run, sync_success={"payload": {"data": b'"paid"'}}).expect(
        event("NexusOperationCompleted", id=6, scheduled_event_id=5, result="paid"),
        event("WorkflowTaskScheduled", id=7),
        OfferWorkflowTask(),
    )
    assert not run.state.operations


def test_what_takes_longer_is_told_later() -> None:
    run = caller()
    answered(run, **ASYNC).expect(
        event("NexusOperationStarted", id=6, scheduled_event_id=5, operation_token="token", operation_id="token"),
        event("WorkflowTaskScheduled", id=7),
        OfferWorkflowTask(),
    )
    closed(run, result=c.schedule_nexus("pay").schedule_nexus_operation_command_attributes.input).expect(
        event("NexusOperationCompleted", id=8, scheduled_event_id=5, result="in"),
    )


def test_the_end_may_be_told_before_the_start() -> None:
    run = caller()
    closed(run).expect(
        event("NexusOperationStarted", id=6, scheduled_event_id=5, operation_token="token"),
        event("WorkflowTaskScheduled", id=7),
        event("NexusOperationCompleted", id=8, scheduled_event_id=5),
        OfferWorkflowTask(),
    )


@pytest.mark.parametrize(("canceled", "name"), [(False, "NexusOperationFailed"), (True, "NexusOperationCanceled")])
def test_the_failure_of_an_operation_says_which_it_is(canceled: bool, name: str) -> None:
    run = under_way()
    (happened,) = closed(run, failure=failure("no money"), canceled=canceled).expect(event(name, id=8)).happened
    assert isinstance(happened, HistoryEvent)
    said: Failure = getattr(happened, str(happened.WhichOneof("attributes"))).failure
    assert said.nexus_operation_execution_failure_info.operation_token == "token"
    assert said.nexus_operation_execution_failure_info.scheduled_event_id == 5
    assert (said.cause.message, said.cause.HasField("canceled_failure_info")) == ("no money", canceled)


def test_a_handler_that_cannot_be_asked_is_asked_again() -> None:
    run = caller()
    waits = []
    for _ in range(3):
        failed(run, handler_failure("UNAVAILABLE", "away")).expect(change(NexusAttemptFailed, scheduled_event_id=5))
        waits.append(run.wakes_after or 0)
        run.wake().expect(StartNexusOperation(5))
    assert all(0.8 * 2**n <= wait <= 2**n for n, wait in enumerate(waits))
    assert pending(run).attempts == 3
    answered(run, **ASYNC)
    assert (pending(run).attempts, pending(run).last_failure) == (4, None)


@pytest.mark.parametrize(
    "said", [handler_failure("NOT_FOUND", "no"), handler_failure("INTERNAL", "no", retryable=False)]
)
def test_an_error_that_does_not_go_away_ends_it(said: Failure) -> None:
    run = caller()
    assert failed(run, said).events() == ["NexusOperationFailed", "WorkflowTaskScheduled"]
    assert not run.state.operations


def test_an_error_that_may_go_away_does_not() -> None:
    run = caller()
    failed(run, handler_failure("NOT_FOUND", "not yet", retryable=True)).expect(change(NexusAttemptFailed))
    answered(run)
    assert pending(run).attempts == 2, "an answer without content is the handler's error"


def test_a_wish_to_cancel_waits_for_the_start() -> None:
    run = caller()
    run.decide(workflow.signal, "go", None, "me", None, "")
    run.turn(c.cancel_nexus(SCHEDULED)).expect(
        event("WorkflowTaskCompleted"), event("NexusOperationCancelRequested", scheduled_event_id=5)
    )
    answered(run, **ASYNC).expect(
        event("NexusOperationStarted"), event("WorkflowTaskScheduled"), CancelNexusOperation(5), OfferWorkflowTask()
    )


def canceling(**attributes: Any) -> Run:
    run = under_way(**attributes)
    run.turn(c.cancel_nexus(SCHEDULED)).expect(
        event("WorkflowTaskCompleted", id=9),
        event("NexusOperationCancelRequested", id=10, scheduled_event_id=5, workflow_task_completed_event_id=9),
        CancelNexusOperation(5),
    )
    return run


def test_the_handler_takes_note_of_a_cancellation() -> None:
    run = canceling()
    answer = NexusAnswer(response=Response())
    run.decide(recorded(nexus_operation.answer_cancel), pending(run), answer).expect(
        event("NexusOperationCancelRequestCompleted", id=11, requested_event_id=10, scheduled_event_id=5),
        event("WorkflowTaskScheduled", id=12),
        OfferWorkflowTask(),
    )
    assert not run.agenda.outstanding(run.at(0))[1:], "nothing but the workflow task is owed"
    closed(run, failure=failure("canceled"), canceled=True).expect(event("NexusOperationCanceled", id=13))


def test_a_cancellation_is_told_again_until_it_is_heard() -> None:
    run = canceling()
    answer = NexusAnswer(failure=handler_failure("UNAVAILABLE", "away"))
    run.decide(recorded(nexus_operation.answer_cancel), pending(run), answer).expect(change(NexusCancelAttemptFailed))
    run.wake().expect(CancelNexusOperation(5))
    answer = NexusAnswer(failure=handler_failure("NOT_FOUND", "gone"))
    run.decide(recorded(nexus_operation.answer_cancel), pending(run), answer).expect(
        event("NexusOperationCancelRequestFailed", id=11, requested_event_id=10, scheduled_event_id=5, failure="gone"),
        event("WorkflowTaskScheduled", id=12),
        OfferWorkflowTask(),
    )


def test_what_has_just_ended_can_still_be_canceled() -> None:
    run = under_way()
    run.take_task()
    closed(run).expect(buffered("NexusOperationCompleted", scheduled_event_id=5))
    assert run.answer(c.cancel_nexus(SCHEDULED)).events() == [
        "WorkflowTaskCompleted",
        "NexusOperationCancelRequested",
        "NexusOperationCompleted",
        "WorkflowTaskScheduled",
    ]


@pytest.mark.parametrize(
    ("timeout", "name", "is_under_way"),
    [
        ("schedule_to_close_timeout", "SCHEDULE_TO_CLOSE", False),
        ("schedule_to_close_timeout", "SCHEDULE_TO_CLOSE", True),
        ("schedule_to_start_timeout", "SCHEDULE_TO_START", False),
        ("start_to_close_timeout", "START_TO_CLOSE", True),
    ],
)
def test_operations_time_out(timeout: str, name: str, is_under_way: bool) -> None:
    run = (under_way if is_under_way else caller)(**{timeout: timedelta(seconds=7)})
    assert run.wakes_after == 7
    happened = run.wake().happened[0]
    assert isinstance(happened, HistoryEvent)
    said = happened.nexus_operation_timed_out_event_attributes.failure
    assert said.cause.timeout_failure_info.timeout_type == TimeoutType.Value(f"TIMEOUT_TYPE_{name}")


def test_what_has_started_in_time_does_not_time_out_for_it() -> None:
    run = under_way(schedule_to_start_timeout=timedelta(seconds=7))
    run.turn()
    assert run.wakes_after is None


def test_an_operation_ends_with_the_run_that_wants_it() -> None:
    run = start(workflow_run_timeout={"seconds": 20})
    run.turn(
        c.schedule_nexus(
            "pay", schedule_to_close_timeout=timedelta(seconds=60), start_to_close_timeout=timedelta(seconds=60)
        )
    )
    scheduled = pending(run).scheduled
    assert scheduled.schedule_to_close_timeout.seconds == scheduled.start_to_close_timeout.seconds == 20
    limit, kind = nexus_operation.start_limit(pending(run), run.at(15))
    assert (limit, kind) == (5 * SECOND_NS, TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (c.schedule_nexus("unknown"), 'endpoint "unknown" not found'),
        (c.schedule_nexus("pay", service="s" * 1001), "Service exceeds length limit of 1000"),
        (c.schedule_nexus("pay", operation="s" * 1001), "Operation exceeds length limit of 1000"),
        (c.schedule_nexus("pay", nexus_header={"Request-Timeout": "1s"}), 'disallowed header key: "Request-Timeout"'),
        (c.schedule_nexus("pay", nexus_header={"a": "b" * 8192}), "NexusHeader exceeds size limit"),
        (c.schedule_nexus("pay", schedule_to_close_timeout=timedelta(seconds=-1)), "ScheduleToCloseTimeout is invalid"),
        (c.cancel_nexus(3), "non-existing or already completed operation with scheduled event ID of 3"),
    ],
)
def test_bad_commands_fail_the_task(command: Command, message: str) -> None:
    run = start()
    happened = next(
        each
        for each in run.turn(command).happened
        if isinstance(each, HistoryEvent) and each.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
    )
    assert message in happened.workflow_task_failed_event_attributes.failure.message


def test_only_so_many_operations_are_pending() -> None:
    run = start(limits=Limits(nexus_operations_max=2))
    assert "WorkflowTaskFailed" in run.turn(*[c.schedule_nexus("pay")] * 3).events()
    assert not run.state.operations


# Callbacks ------------------------------------------------------------------------------------------------------------

CALLBACK = Callback(nexus=Callback.Nexus(url="temporal://system", header={"temporal-callback-token": "t"}))


def test_who_waits_for_the_end_is_told_once() -> None:
    run = start(completion_callbacks=[CALLBACK])
    assert not run.agenda.owes or run.state.workflow_task
    played = run.turn(c.complete())
    assert DeliverCallback(0) in played.happened
    assert run.agenda.outstanding(run.at(0)) == [DeliverCallback(0)]
    run.decide(lambda tx: tx.change(CallbackDelivered(0, tx.now)))
    assert not run.agenda.owes
    assert run.state.callbacks[0].state is CallbackState.SUCCEEDED


def test_the_next_run_of_a_chain_has_the_callbacks() -> None:
    run = start(completion_callbacks=[CALLBACK])
    attached = Callback(nexus=Callback.Nexus(url="temporal://system", header={"temporal-callback-token": "other"}))
    run.decide(
        lambda tx: tx.arrive(
            EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED,
            attached_request_id="r",
            attached_completion_callbacks=[attached],
        )
    )
    successor = run.turn(c.continue_as_new()).successor
    assert successor is not None
    assert [each.callback for each in successor.state.callbacks] == [CALLBACK, attached]
    assert {each.state for each in run.state.callbacks} == {CallbackState.STANDBY}
    assert not run.agenda.owes, "the chain goes on"
