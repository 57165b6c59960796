"""Updates: admitted without an event, sent with a workflow task, accepted and completed with one, rejected without."""

from __future__ import annotations

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from temporalio.api.protocol.v1 import Message
from temporalio.api.update.v1 import Acceptance, Request, Response

from perdure.history.effects import OfferWorkflowTask, ResolveUpdate
from perdure.history.machines import update, workflow
from perdure.history.state.changes import (
    UpdateAdmitted,
    UpdateRemoved,
    UpdateSent,
    UpdatesUnsent,
    WorkflowTaskDropped,
    WorkflowTaskNormalized,
    WorkflowTaskScheduled,
    WorkflowTaskStarted,
)
from perdure.history.state.execution import UpdateStage
from perdure.kernel.errors import InvalidArgument, NotFound, ResourceExhausted, WorkflowNotReady
from perdure.kernel.limits import Limits
from tests.differential import commands as c
from tests.differential import updates as u
from tests.support.playbook import Play, Run, change, effect, event, start


def idle(limits: Limits | None = None) -> Run:
    """A run whose first task is behind it: its next event is 5."""
    run = start(limits=limits)
    run.turn()
    return run


def admit(run: Run, update_id: str = "u") -> Play:
    return run.decide(update.admit, Request(meta={"update_id": update_id}, input={"name": "change"}))  # type: ignore[arg-type]


def sent(run: Run) -> Message:
    """The update on its way to the worker."""
    admit(run)
    (message,) = run.take_task().result
    assert isinstance(message, Message)
    return message


# The usual way


def test_an_update_is_accepted_and_completed() -> None:
    run = idle()
    admit(run).expect(change(UpdateAdmitted), change(WorkflowTaskScheduled), OfferWorkflowTask())
    play = run.take_task().expect(change(WorkflowTaskStarted), change(UpdateSent, update_id="u"))
    (message,) = play.result
    assert (message.id, message.protocol_instance_id, message.event_id) == ("u/request", "u", 5)
    run.answer(messages=[u.accepted(message), u.completed(message, "done")]).expect(
        change(WorkflowTaskNormalized),
        event("WorkflowTaskScheduled", id=5),
        event("WorkflowTaskStarted", id=6),
        event("WorkflowTaskCompleted", id=7),
        event(
            "WorkflowExecutionUpdateAccepted",
            id=8,
            protocol_instance_id="u",
            accepted_request_message_id="u/request",
            accepted_request_sequencing_event_id=5,
        ),
        event("WorkflowExecutionUpdateCompleted", id=9, accepted_event_id=8, outcome={"success": ["done"]}),
        ResolveUpdate("u"),
        effect(ResolveUpdate, update_id="u", outcome={"success": ["done"]}),
    )


def test_an_update_can_be_completed_by_a_later_task() -> None:
    run = idle()
    message = sent(run)
    run.answer(messages=[u.accepted(message)])
    assert run.state.updates["u"].stage is UpdateStage.ACCEPTED
    run.decide(workflow.signal, "go", None, "", None, "")
    run.take_task()
    run.answer(messages=[u.failed(message, "broken")]).expect(
        event("WorkflowTaskCompleted"),
        event("WorkflowExecutionUpdateCompleted", accepted_event_id=8, outcome={"failure": "broken"}),
        effect(ResolveUpdate, update_id="u", outcome={"failure": "broken"}),
    )


def test_a_rejected_update_leaves_no_trace() -> None:
    run = idle()
    message = sent(run)
    run.answer(messages=[u.rejected(message, "no")]).expect(
        change(WorkflowTaskDropped),
        change(UpdateRemoved, update_id="u"),
        effect(ResolveUpdate, update_id="u", outcome={"failure": "no"}),
    )
    assert not run.state.updates and run.state.next_event_id == 5


def test_an_update_is_admitted_once_per_id() -> None:
    run = idle()
    admit(run)
    admit(run).expect()


def test_an_update_of_a_fresh_run_travels_with_the_first_task() -> None:
    run = start()
    admit(run).expect(change(UpdateAdmitted))
    run.take_task().expect(event("WorkflowTaskStarted"), change(UpdateSent))


def test_an_update_that_comes_during_a_task_travels_with_the_next() -> None:
    run = idle()
    run.decide(workflow.signal, "go", None, "", None, "")
    run.take_task()
    admit(run).expect(change(UpdateAdmitted))
    run.answer().expect(event("WorkflowTaskCompleted"), change(WorkflowTaskScheduled), OfferWorkflowTask())


def test_an_update_is_sent_again_when_its_task_fails() -> None:
    run = idle()
    sent(run)
    run.wake().expect(
        change(WorkflowTaskNormalized),
        event("WorkflowTaskScheduled", id=5),
        event("WorkflowTaskStarted", id=6),
        event("WorkflowTaskTimedOut", id=7),
        change(UpdatesUnsent),
        change(WorkflowTaskScheduled),
        OfferWorkflowTask(),
    )
    assert len(run.take_task().result) == 1


def test_an_update_that_the_worker_says_nothing_about_is_rejected_for_it() -> None:
    run = idle()
    sent(run)
    run.answer(c.start_timer()).expect(
        change(WorkflowTaskNormalized),
        event("WorkflowTaskScheduled"),
        event("WorkflowTaskStarted"),
        event("WorkflowTaskCompleted"),
        event("TimerStarted"),
        change(UpdateRemoved, update_id="u"),
        effect(ResolveUpdate, outcome={"failure": update.unprocessed().message}),
    )


def test_a_worker_that_needs_more_time_keeps_the_update() -> None:
    run = idle()
    sent(run)
    run.answer(force_create_new_workflow_task=True)
    assert run.state.updates["u"].stage is UpdateStage.SENT


# Refused


def test_so_many_updates_may_be_in_flight() -> None:
    run = idle(Limits(in_flight_updates_max=1))
    admit(run, "one")
    with pytest.raises(ResourceExhausted, match=r"concurrent in-flight updates has been reached \(1\)"):
        admit(run, "two")


def test_a_run_takes_so_many_updates_in_all() -> None:
    run = idle(Limits(total_updates_max=1))
    message = sent(run)
    run.answer(messages=[u.accepted(message), u.completed(message)])
    with pytest.raises(InvalidArgument, match=r"total number of distinct updates in this workflow .* \(1\)"):
        admit(run, "two")


def test_a_closed_run_takes_no_update() -> None:
    run = start()
    run.turn(c.complete())
    with pytest.raises(NotFound, match="workflow execution already completed"):
        admit(run)


def test_a_run_whose_code_keeps_failing_takes_no_update() -> None:
    run = start()
    for _ in range(2):
        run.take_task()
        run.wake()
    with pytest.raises(WorkflowNotReady, match="due to Workflow Task in failed state"):
        admit(run)


def saying(update_id: str, body: Acceptance | Response, message_id: str = "m") -> Message:
    packed = AnyMessage()
    packed.Pack(body)
    return Message(id=message_id, protocol_instance_id=update_id, body=packed)


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (
            saying("other", Acceptance(accepted_request_message_id="x")),
            "update other wasn't found on the server. This is most likely a transient error which will be resolved "
            "automatically by retries",
        ),
        (saying("u", Acceptance()), "invalid *update.Acceptance: accepted_request_message_id is not set"),
        (
            saying("u", Response()),
            "invalid state transition attempted for Update u: received *update.Response message while in state Sent",
        ),
    ],
)
def test_messages_that_make_no_sense_fail_the_task(message: Message, complaint: str) -> None:
    run = idle()
    sent(run)
    play = run.answer(messages=[message])
    assert "WorkflowTaskFailed" in play.events()
    play.expect(
        change(WorkflowTaskNormalized),
        event("WorkflowTaskScheduled"),
        event("WorkflowTaskStarted"),
        event(
            "WorkflowTaskFailed",
            cause="BAD_UPDATE_WORKFLOW_EXECUTION_MESSAGE",
            failure=f"BadUpdateWorkflowExecutionMessage: {complaint}",
        ),
        change(UpdatesUnsent),
        change(WorkflowTaskScheduled),
        OfferWorkflowTask(),
    )


def test_an_update_is_accepted_once() -> None:
    run = idle()
    sent(run)
    acceptance = Acceptance(accepted_request_message_id="u/request")
    play = run.answer(messages=[saying("u", acceptance, "one"), saying("u", acceptance, "two")])
    assert play.events() == ["WorkflowTaskScheduled", "WorkflowTaskStarted", "WorkflowTaskFailed"]
    assert run.state.updates["u"].stage is UpdateStage.ADMITTED


def test_a_command_names_a_message_that_is_there() -> None:
    run = start()
    run.turn(c.protocol_message("absent")).expect(
        event(
            "WorkflowTaskFailed",
            failure="BadUpdateWorkflowExecutionMessage: ProtocolMessageCommand referenced absent message ID absent",
        ),
        change(WorkflowTaskScheduled),
        OfferWorkflowTask(),
    )
