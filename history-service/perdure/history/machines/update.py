"""Updates: a request that the workflow validates, runs, and answers.

An admitted update is journaled, so that it survives the process; it gets no event. It travels to the worker as a
message with a workflow task (a speculative one if there is no other reason for a task), and the worker accepts it (an
event), answers it (another), or rejects it (no trace).
"""

from __future__ import annotations

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError
from temporalio.api.enums.v1 import EventType, ResourceExhaustedCause
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.protocol.v1 import Message
from temporalio.api.update.v1 import Acceptance, Outcome, Rejection, Request, Response

from perdure.history.effects import ResolveUpdate
from perdure.history.machines import workflow_task
from perdure.history.state.changes import UpdateAdmitted, UpdateRemoved, UpdateSent
from perdure.history.state.execution import Update, UpdateStage, WorkflowTask
from perdure.history.transition import Transition
from perdure.kernel.errors import FailedPrecondition, InvalidArgument, NotFound, ResourceExhausted, WorkflowNotReady

#: With this many failed workflow tasks in a row, an update has no prospect of being looked at.
_HOPELESS_ATTEMPT = 3


def unprocessed() -> Failure:
    """The outcome of an update that the worker received and said nothing about."""
    return Failure(
        message="Workflow Update is rejected because it wasn't processed by worker. Probably, Workflow Update is not "
        "supported by the worker.",
        source="Server",
        application_failure_info=ApplicationFailureInfo(type="UnprocessedUpdate", non_retryable=True),
    )


def cut_short() -> Failure:
    """The outcome of an accepted update whose workflow closed first."""
    return Failure(
        message="Workflow Update failed because the Workflow completed before the Update completed.",
        source="Server",
        application_failure_info=ApplicationFailureInfo(type="AcceptedUpdateCompletedWorkflow", non_retryable=True),
    )


class AbortedByClose(NotFound):
    """The run closed before the worker accepted the update."""

    def __init__(self) -> None:
        super().__init__("workflow update was aborted by closing workflow")


def admit(tx: Transition, request: Request) -> None:
    """Take the update in, unless it is known already.

    Raises:
        NotFound: the run is closed and does not know the update.
        FailedPrecondition: the run is paused.
        WorkflowNotReady: the workflow's code keeps failing.
        ResourceExhausted: too many updates in flight, or in all.
    """
    state = tx.state
    if request.meta.update_id in state.updates:
        return
    if not state.running:
        raise NotFound("workflow execution already completed")
    if state.holds_tasks:
        raise FailedPrecondition("Workflow is paused. Cannot update the workflow.")
    if state.workflow_task_attempt >= _HOPELESS_ATTEMPT:
        raise WorkflowNotReady("Unable to perform workflow execution update due to Workflow Task in failed state.")
    _check_limits(tx)
    tx.change(UpdateAdmitted(request))
    workflow_task.schedule(tx, speculative=True)


def _check_limits(tx: Transition) -> None:
    limits, updates = tx.limits, tx.state.updates
    in_flight = sum(1 for update in updates.values() if update.stage is not UpdateStage.COMPLETED)
    if limits.in_flight_updates_max and in_flight >= limits.in_flight_updates_max:
        raise ResourceExhausted(
            f"limit on number of concurrent in-flight updates has been reached ({limits.in_flight_updates_max})",
            ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_CONCURRENT_LIMIT,
        )
    if limits.total_updates_max and len(updates) >= limits.total_updates_max:
        raise InvalidArgument(
            f"The limit on the total number of distinct updates in this workflow has been reached "
            f"({limits.total_updates_max}). Make sure any duplicate updates share an Update ID so the server can "
            "deduplicate them, and consider rejecting updates that you aren't going to process"
        )


def send(tx: Transition, task: WorkflowTask) -> list[Message]:
    """The messages that go out with the workflow task that was just started."""
    waiting = [update for update in tx.state.updates.values() if update.stage is UpdateStage.ADMITTED]
    messages = []
    for update in waiting:
        tx.change(UpdateSent(update.update_id))
        if update.admitted_event_id:
            # The worker finds it in the history.
            continue
        assert update.request is not None
        body = AnyMessage()
        body.Pack(update.request)
        messages.append(
            Message(
                id=f"{update.update_id}/request",
                protocol_instance_id=update.update_id,
                event_id=task.started_event_id - 1,
                body=body,
            )
        )
    return messages


class BadMessage(Exception):
    """A worker's message makes no sense for its update; the workflow task fails with this text."""


def receive(tx: Transition, message: Message) -> None:
    """A worker's answer to an update.

    Raises:
        BadMessage: as above.
        InvalidArgument: there is no message in it.
    """
    if not message.HasField("body"):
        raise InvalidArgument("nil message body")
    update = tx.state.updates.get(message.protocol_instance_id)
    if update is None:
        raise BadMessage(
            f"update {message.protocol_instance_id} wasn't found on the server. This is most likely a transient "
            "error which will be resolved automatically by retries"
        )
    try:
        body = _unpack(message.body)
    except DecodeError as error:
        raise BadMessage(f"message {message.id} cannot be decoded") from error
    if isinstance(body, Acceptance):
        _accept(tx, update, body)
    elif isinstance(body, Rejection):
        _reject(tx, update, body.failure)
    else:
        _complete(tx, update, body)


def _out_of_order(update: Update, message: str) -> BadMessage:
    return BadMessage(
        f"invalid state transition attempted for Update {update.update_id}: received *update.{message} message while "
        f"in state {update.stage.name.capitalize()}"
    )


def _unpack(body: AnyMessage) -> Acceptance | Rejection | Response:
    for kind in (Acceptance, Rejection, Response):
        if body.Is(kind.DESCRIPTOR):
            message = kind()
            body.Unpack(message)
            return message
    raise BadMessage(f"message of unknown type {body.TypeName()}")


def _accept(tx: Transition, update: Update, acceptance: Acceptance) -> None:
    if update.stage is not UpdateStage.SENT:
        raise _out_of_order(update, "Acceptance")
    if not acceptance.accepted_request_message_id:
        raise BadMessage("invalid *update.Acceptance: accepted_request_message_id is not set")
    tx.record(
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
        protocol_instance_id=update.update_id,
        accepted_request_message_id=acceptance.accepted_request_message_id,
        accepted_request_sequencing_event_id=acceptance.accepted_request_sequencing_event_id,
        # What an event says is not said again.
        accepted_request=None if update.admitted_event_id else update.request,
    )
    tx.effect(ResolveUpdate(update.update_id))


def _complete(tx: Transition, update: Update, response: Response) -> None:
    if update.stage is not UpdateStage.ACCEPTED:
        raise _out_of_order(update, "Response")
    if not response.HasField("outcome"):
        raise BadMessage("invalid *update.Response: outcome is not set")
    tx.record(
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED,
        meta=response.meta,
        accepted_event_id=update.accepted_event_id,
        outcome=response.outcome,
    )
    tx.effect(ResolveUpdate(update.update_id, response.outcome))


def _reject(tx: Transition, update: Update, failure: Failure) -> None:
    if update.stage not in (UpdateStage.SENT, UpdateStage.ADMITTED):
        raise _out_of_order(update, "Rejection")
    tx.change(UpdateRemoved(update.update_id))
    tx.effect(ResolveUpdate(update.update_id, Outcome(failure=failure)))


def reject_unprocessed(tx: Transition) -> None:
    """Updates that the worker got with the workflow task and ignored would otherwise come back for ever."""
    for update in [update for update in tx.state.updates.values() if update.stage is UpdateStage.SENT]:
        _reject(tx, update, unprocessed())


def any_waiting(tx: Transition) -> bool:
    """Whether an admitted update still needs a workflow task to travel with."""
    return any(update.stage is UpdateStage.ADMITTED for update in tx.state.updates.values())
