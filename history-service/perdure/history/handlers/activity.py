"""What workers and outsiders report about activities, by task token or by id, and the start of an activity task."""

from __future__ import annotations

from collections.abc import Callable

from temporalio.api.common.v1 import Payloads
from temporalio.api.failure.v1 import Failure, ServerFailureInfo
from temporalio.api.workflowservice.v1 import (
    PollActivityTaskQueueRequest,
    PollActivityTaskQueueResponse,
    RecordActivityTaskHeartbeatByIdRequest,
    RecordActivityTaskHeartbeatByIdResponse,
    RecordActivityTaskHeartbeatRequest,
    RecordActivityTaskHeartbeatResponse,
    RespondActivityTaskCanceledByIdRequest,
    RespondActivityTaskCanceledByIdResponse,
    RespondActivityTaskCanceledRequest,
    RespondActivityTaskCanceledResponse,
    RespondActivityTaskCompletedByIdRequest,
    RespondActivityTaskCompletedByIdResponse,
    RespondActivityTaskCompletedRequest,
    RespondActivityTaskCompletedResponse,
    RespondActivityTaskFailedByIdRequest,
    RespondActivityTaskFailedByIdResponse,
    RespondActivityTaskFailedRequest,
    RespondActivityTaskFailedResponse,
)

from perdure.history import tasks
from perdure.history.engine import Engine
from perdure.history.machines import activity, workflow
from perdure.history.state.execution import Activity
from perdure.history.transition import Transition
from perdure.kernel import tokens
from perdure.kernel.call import Call
from perdure.kernel.errors import NotFound
from perdure.kernel.ids import NamespaceId
from perdure.kernel.rpc import Task, TaskObsolete

_Decision = Callable[[Transition, Activity], None]


async def _by_token(engine: Engine, call: Call, task_token: bytes, decision: _Decision) -> Activity:
    token = tokens.decode_activity(task_token, NamespaceId(call.namespace_id))

    def decide(tx: Transition) -> Activity:
        if not tx.state.running:
            raise workflow.already_completed()
        found = activity.of_token(tx.state, token)
        decision(tx, found)
        return found

    _, found = await engine.update(call, token.workflow_id, token.run_id, decide)
    return found


async def _by_id(
    engine: Engine,
    call: Call,
    workflow_id: str,
    run_id: str,
    activity_id: str,
    decision: _Decision,
    *,
    may_start: bool = False,
    identity: str = "",
) -> Activity:
    def decide(tx: Transition) -> Activity:
        if not tx.state.running:
            raise workflow.already_completed()
        found = activity.of_id(tx.state, activity_id)
        if not found.started:
            if not may_start:
                raise activity.not_found()
            # Completed from outside before any worker took it: whoever completes it has run it.
            activity.begin(tx, found, identity)
        decision(tx, found)
        return found

    _, found = await engine.update(call, workflow_id, run_id, decide)
    return found


def _completed(result: Payloads | None, identity: str) -> _Decision:
    def decide(tx: Transition, found: Activity) -> None:
        if result is not None and result.ByteSize() > tx.limits.blob_size_max:
            activity.fail(tx, found, _too_large("Complete result exceeds size limit."), identity)
        else:
            activity.complete(tx, found, result, identity)

    return decide


def _failed(failure: Failure, details: Payloads | None, identity: str) -> _Decision:
    def decide(tx: Transition, found: Activity) -> None:
        if details is not None:
            activity.heartbeat(tx, found, details, identity)
        if failure.ByteSize() > tx.limits.blob_size_max:
            activity.fail(tx, found, _too_large("Failure exceeds size limit."), identity)
        else:
            activity.fail(tx, found, failure, identity)

    return decide


def _canceled(details: Payloads | None, identity: str) -> _Decision:
    def decide(tx: Transition, found: Activity) -> None:
        if details is not None and details.ByteSize() > tx.limits.blob_size_max:
            activity.fail(tx, found, _too_large("Cancel details exceed size limit."), identity)
        else:
            activity.cancel(tx, found, details, identity)

    return decide


def _heartbeat(details: Payloads | None, identity: str) -> _Decision:
    def decide(tx: Transition, found: Activity) -> None:
        if details is not None and details.ByteSize() > tx.limits.blob_size_max:
            activity.fail(tx, found, _too_large("Heartbeat details exceed size limit."), identity)
        else:
            activity.heartbeat(tx, found, details, identity)

    return decide


def _too_large(message: str) -> Failure:
    """What a report that exceeds `limit.blobSize.error` turns into: it would fail the same way again."""
    return Failure(message=message, server_failure_info=ServerFailureInfo(non_retryable=True))


async def record_activity_task_heartbeat(
    engine: Engine, call: Call, request: RecordActivityTaskHeartbeatRequest
) -> RecordActivityTaskHeartbeatResponse:
    """The activity goes on; the answer tells it if it is wanted no more."""
    details = request.details if request.HasField("details") else None
    found = await _by_token(engine, call, request.task_token, _heartbeat(details, request.identity))
    return RecordActivityTaskHeartbeatResponse(
        cancel_requested=found.cancel_requested, activity_paused=found.pause is not None, activity_reset=found.reset
    )


async def record_activity_task_heartbeat_by_id(
    engine: Engine, call: Call, request: RecordActivityTaskHeartbeatByIdRequest
) -> RecordActivityTaskHeartbeatByIdResponse:
    details = request.details if request.HasField("details") else None
    found = await _by_id(
        engine,
        call,
        request.workflow_id,
        request.run_id,
        request.activity_id,
        _heartbeat(details, request.identity),
    )
    return RecordActivityTaskHeartbeatByIdResponse(
        cancel_requested=found.cancel_requested, activity_paused=found.pause is not None, activity_reset=found.reset
    )


async def respond_activity_task_completed(
    engine: Engine, call: Call, request: RespondActivityTaskCompletedRequest
) -> RespondActivityTaskCompletedResponse:
    result = request.result if request.HasField("result") else None
    await _by_token(engine, call, request.task_token, _completed(result, request.identity))
    return RespondActivityTaskCompletedResponse()


async def respond_activity_task_completed_by_id(
    engine: Engine, call: Call, request: RespondActivityTaskCompletedByIdRequest
) -> RespondActivityTaskCompletedByIdResponse:
    result = request.result if request.HasField("result") else None
    await _by_id(
        engine,
        call,
        request.workflow_id,
        request.run_id,
        request.activity_id,
        _completed(result, request.identity),
        may_start=True,
        identity=request.identity,
    )
    return RespondActivityTaskCompletedByIdResponse()


async def respond_activity_task_failed(
    engine: Engine, call: Call, request: RespondActivityTaskFailedRequest
) -> RespondActivityTaskFailedResponse:
    details = request.last_heartbeat_details if request.HasField("last_heartbeat_details") else None
    await _by_token(engine, call, request.task_token, _failed(request.failure, details, request.identity))
    return RespondActivityTaskFailedResponse()


async def respond_activity_task_failed_by_id(
    engine: Engine, call: Call, request: RespondActivityTaskFailedByIdRequest
) -> RespondActivityTaskFailedByIdResponse:
    details = request.last_heartbeat_details if request.HasField("last_heartbeat_details") else None
    await _by_id(
        engine,
        call,
        request.workflow_id,
        request.run_id,
        request.activity_id,
        _failed(request.failure, details, request.identity),
    )
    return RespondActivityTaskFailedByIdResponse()


async def respond_activity_task_canceled(
    engine: Engine, call: Call, request: RespondActivityTaskCanceledRequest
) -> RespondActivityTaskCanceledResponse:
    details = request.details if request.HasField("details") else None
    await _by_token(engine, call, request.task_token, _canceled(details, request.identity))
    return RespondActivityTaskCanceledResponse()


async def respond_activity_task_canceled_by_id(
    engine: Engine, call: Call, request: RespondActivityTaskCanceledByIdRequest
) -> RespondActivityTaskCanceledByIdResponse:
    details = request.details if request.HasField("details") else None
    await _by_id(
        engine,
        call,
        request.workflow_id,
        request.run_id,
        request.activity_id,
        _canceled(details, request.identity),
    )
    return RespondActivityTaskCanceledByIdResponse()


async def start_activity_task(
    engine: Engine, call: Call, task: Task, request: PollActivityTaskQueueRequest
) -> PollActivityTaskQueueResponse:
    """A worker takes an activity task: durable before it is handed out, since the attempt may be the only one allowed.

    Raises:
        TaskObsolete: the task is not to be had any more.
    """
    try:
        loaded = await engine.get(call, task.key.workflow_id, task.key.run_id)
    except NotFound:
        raise TaskObsolete from None
    found = engine.decide(
        call.namespace,
        loaded,
        lambda tx: activity.start(tx, task.scheduled_event_id, task.stamp, request.identity),
    )
    response = tasks.activity_task(call.namespace, loaded.state, found)
    await loaded.committed()
    return response
