"""What workers and outsiders report about activities, by task token or by id, and the start of an activity task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

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
from perdure.history.effects import OfferActivityTask
from perdure.history.engine import Engine
from perdure.history.kinds.activity import LoadedActivity
from perdure.history.kinds.kind import Loaded
from perdure.history.kinds.table import KINDS
from perdure.history.kinds.workflow import LoadedExecution
from perdure.history.machines import activity, activity_events, standalone_activity, versioning
from perdure.history.machines.activity import Completed, Outcome
from perdure.history.state.execution import Activity
from perdure.history.state.versioning import of_worker, version
from perdure.kernel import tokens
from perdure.kernel.call import Call
from perdure.kernel.deployments.records import VersionId, VersionQueue
from perdure.kernel.errors import NotFound
from perdure.kernel.ids import ExecutionKind, NamespaceId, TaskKind
from perdure.kernel.limits import Limits
from perdure.kernel.rpc import Task, TaskObsolete

#: What a report means for the activity: an outcome, or None if it goes on.
_Decision = Callable[[activity.Owner, Activity], Outcome | None]

#: How an outcome is recorded by what has the activity.
_CLOSE: Mapping[ExecutionKind, Callable[[Any, Activity, Outcome], None]] = {
    ExecutionKind.WORKFLOW: activity_events.close,
    ExecutionKind.ACTIVITY: standalone_activity.close,
}
_OF_TOKEN: Mapping[ExecutionKind, Callable[[Any, tokens.ActivityToken], Activity]] = {
    ExecutionKind.WORKFLOW: activity_events.of_token,
    ExecutionKind.ACTIVITY: standalone_activity.of_token,
}


async def _report(
    engine: Engine,
    call: Call,
    kind: type[Loaded[Any]],
    workflow_id: str,
    run_id: str,
    find: Callable[[activity.Owner], Activity],
    decision: _Decision,
) -> Activity:
    def decide(tx: activity.Owner) -> Activity:
        found = find(tx)
        outcome = decision(tx, found)
        if outcome is not None:
            _CLOSE[kind.kind](tx, found, outcome)
        return found

    _, found = await engine.update_as(kind, call, workflow_id, run_id, decide)
    return found


async def _by_token(engine: Engine, call: Call, task_token: bytes, decision: _Decision) -> Activity:
    token = tokens.decode_activity(task_token, NamespaceId(call.namespace_id))

    def find(tx: activity.Owner) -> Activity:
        return _OF_TOKEN[token.kind](tx.state, token)

    return await _report(engine, call, KINDS[token.kind], token.workflow_id, token.run_id, find, decision)


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
    """Without a workflow id, a standalone activity is meant."""

    def find(tx: activity.Owner) -> Activity:
        if workflow_id:
            found = activity_events.of_id(tx.state, activity_id)
            if not found.started and not may_start:
                raise activity_events.not_found()
        else:
            found = standalone_activity.pending(tx.state) if may_start else standalone_activity.attempt(tx.state)
        if not found.started:
            # Completed from outside before any worker took it: whoever completes it has run it.
            activity.begin(tx, found, identity)
        return found

    kind = LoadedExecution if workflow_id else LoadedActivity
    return await _report(engine, call, kind, workflow_id or activity_id, run_id, find, decision)


def _completed(result: Payloads | None, identity: str) -> _Decision:
    def decide(tx: activity.Owner, found: Activity) -> Outcome | None:
        if _too_large(result, tx.limits):
            return activity.fail(tx, found, _refusal("Complete result exceeds size limit."), identity)
        return Completed(result, identity)

    return decide


def _failed(failure: Failure | None, details: Payloads | None, identity: str) -> _Decision:
    def decide(tx: activity.Owner, found: Activity) -> Outcome | None:
        if details is not None:
            activity.heartbeat(tx, found, details, identity, at_end=True)
        if _too_large(failure, tx.limits):
            return activity.fail(tx, found, _refusal("Failure exceeds size limit."), identity)
        return activity.fail(tx, found, failure or Failure(), identity)

    return decide


def _canceled(details: Payloads | None, identity: str) -> _Decision:
    def decide(tx: activity.Owner, found: Activity) -> Outcome | None:
        if _too_large(details, tx.limits):
            return activity.fail(tx, found, _refusal("Cancel details exceed size limit."), identity)
        return activity.cancel(found, details, identity)

    return decide


def _heartbeat(details: Payloads | None, identity: str, *, by_id: bool = False) -> _Decision:
    def decide(tx: activity.Owner, found: Activity) -> Outcome | None:
        if _too_large(details, tx.limits):
            return activity.fail(tx, found, _refusal("Heartbeat details exceed size limit."), identity)
        activity.heartbeat(tx, found, details, identity, by_id=by_id)
        return None

    return decide


def _too_large(payload: Payloads | Failure | None, limits: Limits) -> bool:
    return payload is not None and payload.ByteSize() > limits.blob_size_max


def _refusal(message: str) -> Failure:
    """What a report that exceeds `limit.blobSize.error` turns into: it would fail the same way again."""
    return Failure(message=message, server_failure_info=ServerFailureInfo(non_retryable=True))


def _is_told_of_pause(found: Activity) -> bool:
    """In a workflow always; a standalone activity that is reset is told of that alone."""
    return found.pause is not None and not (found.standalone and found.reset)


async def record_activity_task_heartbeat(
    engine: Engine, call: Call, request: RecordActivityTaskHeartbeatRequest
) -> RecordActivityTaskHeartbeatResponse:
    """The activity goes on; the answer tells it if it is wanted no more."""
    details = request.details if request.HasField("details") else None
    found = await _by_token(engine, call, request.task_token, _heartbeat(details, request.identity))
    return RecordActivityTaskHeartbeatResponse(
        cancel_requested=found.cancel_requested, activity_paused=_is_told_of_pause(found), activity_reset=found.reset
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
        _heartbeat(details, request.identity, by_id=True),
    )
    return RecordActivityTaskHeartbeatByIdResponse(
        cancel_requested=found.cancel_requested, activity_paused=_is_told_of_pause(found), activity_reset=found.reset
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
    engine: Engine, call: Call, task: Task, request: PollActivityTaskQueueRequest, request_id: str = ""
) -> PollActivityTaskQueueResponse:
    """A worker takes an activity task: durable before it is handed out, since the attempt may be the only one allowed.

    Raises:
        TaskObsolete: the task is not to be had any more.
    """
    try:
        loaded = await engine.get_as(KINDS[task.key.kind], call, task.key.workflow_id, task.key.run_id)
    except NotFound:
        raise TaskObsolete from None
    standalone = task.key.kind is ExecutionKind.ACTIVITY
    if isinstance(loaded, LoadedExecution):
        await _check_version(engine, call, loaded, task, of_worker(request.deployment_options))
    sdk = (call.metadata.get("client-name", ""), call.metadata.get("client-version", "")) if standalone else ("", "")
    found = engine.decide(
        call.namespace,
        loaded,
        lambda tx: activity.start(tx, task.scheduled_event_id, task.stamp, request.identity, *sdk, request_id),
    )
    make = tasks.standalone_activity_task if standalone else tasks.activity_task
    response = make(call.namespace, loaded.state, found)
    await loaded.committed()
    return response


async def _check_version(
    engine: Engine, call: Call, loaded: LoadedExecution, task: Task, worker: VersionId | None
) -> None:
    """Raises TaskObsolete: a worker of this version is not to start the activity now. Somebody is, in time."""
    state, deployments = loaded.state, engine.deployments
    if state.versioning is None and worker is None:
        return
    routing = deployments.routing(state.namespace_id, VersionQueue(state.task_queue, TaskKind.WORKFLOW))
    own = version(state.versioning)
    match versioning.activity_start(
        state,
        worker,
        routing.target(state.workflow_id),
        version_has_queue=own is not None
        and deployments.has(state.namespace_id, own, VersionQueue(task.queue.name, TaskKind.ACTIVITY)),
    ):
        case versioning.ActivityStart.NOW:
            return
        case versioning.ActivityStart.ELSEWHERE:
            engine.decide(call.namespace, loaded, lambda tx: tx.effect(OfferActivityTask(task.scheduled_event_id)))
        case versioning.ActivityStart.TRANSITION if state.running and not state.holds_tasks:
            engine.decide(call.namespace, loaded, lambda tx: versioning.follow_activity(tx, worker, routing.revision))
            await loaded.committed()
    raise TaskObsolete
