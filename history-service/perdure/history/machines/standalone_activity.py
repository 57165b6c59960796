"""PURE: standalone activities: how they begin and end. In between they are activities like any other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import msgspec
from temporalio.api.activity.v1 import ActivityExecutionOutcome
from temporalio.api.common.v1 import Link, Payload, Payloads
from temporalio.api.enums.v1 import ActivityExecutionStatus
from temporalio.api.failure.v1 import CanceledFailureInfo, Failure, TerminatedFailureInfo
from temporalio.api.history.v1 import ActivityTaskScheduledEventAttributes
from temporalio.api.workflowservice.v1 import StartActivityExecutionRequest

from perdure.history.effects import OfferActivityTask
from perdure.history.machines.activity import Canceled, Completed, Failed, Outcome, TimedOut, runs
from perdure.history.state.activity_execution import ACTIVITY_KEY, ActivityExecution
from perdure.history.state.changes import (
    ActivityExecutionCancelRequested,
    ActivityExecutionClosed,
    ActivityExecutionLinked,
    ActivityExecutionScheduled,
)
from perdure.history.state.execution import Activity
from perdure.history.transition import BaseTransition
from perdure.kernel.errors import FailedPrecondition, NotFound
from perdure.kernel.prototime import length_ns
from perdure.kernel.tokens import ActivityToken

_Status = ActivityExecutionStatus


class Standalone(BaseTransition[ActivityExecution]):
    """One decision in the making on a standalone activity."""

    __slots__ = ()


def not_found(activity_id: str) -> NotFound:
    """The answer to whoever means an activity, or an attempt of one, that is not there or not any more."""
    return NotFound(f"activity not found for ID: {activity_id}")


def of_token(state: ActivityExecution, token: ActivityToken) -> Activity:
    """The activity, if the attempt that the token was given out for is running.

    Raises:
        NotFound: it is not.
    """
    if not state.running or not runs(state.activity, token):
        raise not_found(state.workflow_id)
    return state.activity


def attempt(state: ActivityExecution) -> Activity:
    """The activity, if any attempt is running.

    Raises:
        NotFound: none is.
    """
    if not state.running or not state.activity.started:
        raise not_found(state.workflow_id)
    return state.activity


def pending(state: ActivityExecution) -> Activity:
    """The activity, if it can still be completed.

    Raises:
        FailedPrecondition: it has ended.
    """
    if not state.running:
        raise _impossible(state)
    return state.activity


def begin(tx: Standalone, request: StartActivityExecutionRequest) -> None:
    """Make the activity that the request, in which everything is checked and completed, asks for."""
    delay = length_ns(request.start_delay)
    tx.change(
        ActivityExecutionScheduled(
            tx.now,
            delay,
            ActivityTaskScheduledEventAttributes(
                activity_id=request.activity_id,
                activity_type=request.activity_type,
                task_queue=request.task_queue,
                header=request.header if request.HasField("header") else None,
                input=request.input if request.HasField("input") else None,
                schedule_to_close_timeout=request.schedule_to_close_timeout,
                schedule_to_start_timeout=request.schedule_to_start_timeout,
                start_to_close_timeout=request.start_to_close_timeout,
                heartbeat_timeout=request.heartbeat_timeout,
                retry_policy=request.retry_policy,
                priority=request.priority if request.HasField("priority") else None,
            ),
            request.request_id,
            request.search_attributes,
            request.user_metadata if request.HasField("user_metadata") else None,
        )
    )
    attach_links(tx, request.links, request.request_id)
    if not delay:
        tx.effect(OfferActivityTask(ACTIVITY_KEY))


def attach_links(tx: Standalone, links: Sequence[Link], request_id: str) -> None:
    """Note who relies on it. A request that did that already changes nothing.

    Raises:
        FailedPrecondition: it has ended, or there would be too many.
    """
    state = tx.state
    if not links or request_id in state.linked_requests:
        return
    if not state.running:
        raise FailedPrecondition("cannot attach links to a closed activity")
    limit, attached = tx.limits.links_per_activity_max, len(state.links)
    if attached + len(links) > limit:
        raise FailedPrecondition(
            f"cannot attach more than {limit} links to an activity ({attached} links already attached)"
        )
    tx.change(ActivityExecutionLinked(request_id, list(links)))


def request_cancel(tx: Standalone, identity: str, reason: str, request_id: str) -> None:
    """Ask the worker to give up; an activity that no worker has is cancelled at once. Repeating it changes nothing.

    Raises:
        FailedPrecondition: it has ended, or another request was there before.
    """
    state = tx.state
    earlier = state.cancellation
    if earlier is not None and earlier.request_id == request_id:
        return
    if not state.running:
        raise FailedPrecondition(f"activity is in terminal state {shown_status(state)}")
    if earlier is not None:
        raise FailedPrecondition(f"cancellation already requested with request ID {earlier.request_id}")
    tx.change(ActivityExecutionCancelRequested(tx.now, identity, reason, request_id))
    if not state.activity.started:
        payload = Payload(metadata={"encoding": b"json/plain"}, data=msgspec.json.encode(reason))
        close(tx, state.activity, Canceled(Payloads(payloads=[payload]), identity))


def terminate(tx: Standalone, identity: str, reason: str, request_id: str) -> None:
    """End it at once, whoever runs it. Repeating it changes nothing.

    Raises:
        FailedPrecondition: it has ended.
    """
    state = tx.state
    if state.status == _Status.ACTIVITY_EXECUTION_STATUS_TERMINATED:
        if state.terminate_request_id != request_id:
            raise FailedPrecondition(f"already terminated with request ID {state.terminate_request_id}")
        return
    if not state.running:
        raise _impossible(state)
    failure = Failure(message=reason, terminated_failure_info=TerminatedFailureInfo(identity=identity))
    tx.change(
        ActivityExecutionClosed(
            tx.now,
            _Status.ACTIVITY_EXECUTION_STATUS_TERMINATED,
            ActivityExecutionOutcome(failure=failure),
            request_id=request_id,
        )
    )


def close(tx: Standalone, activity: Activity, outcome: Outcome) -> None:
    """Record how it ended."""
    tx.ended.append((activity, type(outcome).__name__.lower()))
    now = tx.now
    match outcome:
        case Completed(result, identity):
            tx.change(
                ActivityExecutionClosed(
                    now,
                    _Status.ACTIVITY_EXECUTION_STATUS_COMPLETED,
                    ActivityExecutionOutcome(result=result or Payloads()),
                    completed_at=now,
                    identity=identity,
                )
            )
        case Failed(failure, retry_state, identity):
            if not failure.ByteSize():
                # Whoever waits for the outcome could not tell it from none.
                failure = Failure(message="activity task failed without failure details")
            tx.change(
                ActivityExecutionClosed(
                    now,
                    _Status.ACTIVITY_EXECUTION_STATUS_FAILED,
                    ActivityExecutionOutcome(failure=failure, retry_state=retry_state),
                    completed_at=now,
                    last_failure=failure,
                    identity=identity,
                )
            )
        case TimedOut(failure, retry_state, attempt):
            tx.change(
                ActivityExecutionClosed(
                    now,
                    _Status.ACTIVITY_EXECUTION_STATUS_TIMED_OUT,
                    ActivityExecutionOutcome(failure=failure, retry_state=retry_state),
                    completed_at=now if attempt is not None else 0,
                    last_failure=attempt,
                )
            )
        case Canceled(details, identity):
            by = tx.state.cancellation.identity if tx.state.cancellation is not None else identity
            info = CanceledFailureInfo(details=details, identity=by)
            failure = Failure(message="Activity canceled", canceled_failure_info=info)
            tx.change(
                ActivityExecutionClosed(
                    now, _Status.ACTIVITY_EXECUTION_STATUS_CANCELED, ActivityExecutionOutcome(failure=failure)
                )
            )
        case _:
            assert_never(outcome)


def _impossible(state: ActivityExecution) -> FailedPrecondition:
    return FailedPrecondition(f"invalid transition from {shown_status(state)}")


def shown_status(state: ActivityExecution) -> str:
    """The status as messages spell it: TimedOut."""
    name = _Status.Name(_Status.ValueType(state.status)).removeprefix("ACTIVITY_EXECUTION_STATUS_")
    return "".join(word.capitalize() for word in name.split("_"))
