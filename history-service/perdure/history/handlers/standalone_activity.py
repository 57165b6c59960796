"""Standalone activities: start, look at, wait for, cancel, terminate, delete."""

from __future__ import annotations

from temporalio.api.common.v1 import Link
from temporalio.api.enums.v1 import ActivityExecutionStatus, ActivityIdConflictPolicy, ActivityIdReusePolicy
from temporalio.api.workflowservice.v1 import (
    DeleteActivityExecutionRequest,
    DeleteActivityExecutionResponse,
    DescribeActivityExecutionRequest,
    DescribeActivityExecutionResponse,
    PollActivityExecutionRequest,
    PollActivityExecutionResponse,
    RequestCancelActivityExecutionRequest,
    RequestCancelActivityExecutionResponse,
    StartActivityExecutionRequest,
    StartActivityExecutionResponse,
    TerminateActivityExecutionRequest,
    TerminateActivityExecutionResponse,
)

from perdure.history.activity_info import execution_info
from perdure.history.engine import Engine
from perdure.history.handlers import watching
from perdure.history.kinds.activity import LoadedActivity
from perdure.history.machines import standalone_activity
from perdure.history.machines.standalone_activity import Standalone
from perdure.history.state.activity_execution import ActivityExecution
from perdure.kernel.call import Call
from perdure.kernel.errors import ActivityExecutionAlreadyStarted
from perdure.kernel.ids import ExecutionKind, NamespaceId, RunId, WorkflowId, WorkflowKey

_Reuse = ActivityIdReusePolicy
_Conflict = ActivityIdConflictPolicy
#: Endings after which the policy ALLOW_DUPLICATE_FAILED_ONLY allows another run.
_FAILED = (
    ActivityExecutionStatus.ACTIVITY_EXECUTION_STATUS_FAILED,
    ActivityExecutionStatus.ACTIVITY_EXECUTION_STATUS_CANCELED,
    ActivityExecutionStatus.ACTIVITY_EXECUTION_STATUS_TERMINATED,
    ActivityExecutionStatus.ACTIVITY_EXECUTION_STATUS_TIMED_OUT,
)
_DELETION_REASON = "Delete activity execution"


async def start_activity_execution(
    engine: Engine, call: Call, request: StartActivityExecutionRequest
) -> StartActivityExecutionResponse:
    """Start a run, subject to the id-reuse and id-conflict policies; a repeated request id finds the run it started.

    Raises:
        ActivityExecutionAlreadyStarted: the policies forbid another run.
    """
    key = WorkflowKey(NamespaceId(call.namespace_id), WorkflowId(request.activity_id), ExecutionKind.ACTIVITY)
    shard = engine.shard_of(key)
    existing = await engine.current_as(LoadedActivity, call, request.activity_id)
    loaded = _standing(engine, call, request, existing) if existing is not None else None
    is_new = loaded is None
    if loaded is None:
        run_id = RunId(engine.runtime.entropy.uuid_at(engine.runtime.clock.now_ns()))
        state = ActivityExecution(key.namespace_id, key.workflow_id, run_id)
        tx = shard.begin(LoadedActivity, state, call.namespace)
        standalone_activity.begin(tx, request)
        loaded = shard.create(LoadedActivity, tx)
    await loaded.committed()
    run_id = loaded.key.run_id
    return StartActivityExecutionResponse(
        run_id=run_id,
        started=is_new,
        link=Link(
            activity=Link.Activity(namespace=call.namespace.name, activity_id=request.activity_id, run_id=run_id)
        ),
    )


def _standing(
    engine: Engine, call: Call, request: StartActivityExecutionRequest, existing: LoadedActivity
) -> LoadedActivity | None:
    """The existing run if it stands in for a new one; None if a new one is to be started."""
    state = existing.state
    repeated = state.request_id == request.request_id
    if not repeated and not state.running:
        reuse = request.id_reuse_policy
        if reuse == _Reuse.ACTIVITY_ID_REUSE_POLICY_ALLOW_DUPLICATE:
            return None
        if reuse == _Reuse.ACTIVITY_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY and state.status in _FAILED:
            return None
        raise _already_started(state)
    if not repeated and request.id_conflict_policy != _Conflict.ACTIVITY_ID_CONFLICT_POLICY_USE_EXISTING:
        raise _already_started(state)
    if request.on_conflict_options.attach_links:
        engine.decide(
            call.namespace,
            existing,
            lambda tx: standalone_activity.attach_links(tx, request.links, request.request_id),
        )
    return existing


def _already_started(state: ActivityExecution) -> ActivityExecutionAlreadyStarted:
    return ActivityExecutionAlreadyStarted("activity execution already started", state.request_id, state.run_id)


async def describe_activity_execution(
    engine: Engine, call: Call, request: DescribeActivityExecutionRequest
) -> DescribeActivityExecutionResponse:
    """A run as it is now; with a token, as soon as it is no longer as it was when the token was made.

    Empty if nothing has happened while the caller could wait.
    """
    loaded = await engine.get_as(LoadedActivity, call, request.activity_id, request.run_id)
    if request.long_poll_token:
        news = await watching.changed(engine, call, loaded, request.long_poll_token)
        if news is None:
            return DescribeActivityExecutionResponse()
        loaded = news
    state = loaded.state
    response = DescribeActivityExecutionResponse(
        run_id=state.run_id,
        info=execution_info(state, request, engine.runtime.clock.now_ns()),
        long_poll_token=watching.sighting(loaded),
    )
    scheduled = state.activity.scheduled
    if request.include_input and scheduled.HasField("input"):
        response.input.CopyFrom(scheduled.input)
    if request.include_outcome and state.outcome is not None:
        response.outcome.CopyFrom(state.outcome)
    await loaded.committed()
    return response


async def poll_activity_execution(
    engine: Engine, call: Call, request: PollActivityExecutionRequest
) -> PollActivityExecutionResponse:
    """How a run ended, as soon as it has; empty if it goes on for longer than the caller could wait."""
    loaded = await engine.get_as(LoadedActivity, call, request.activity_id, request.run_id)
    ended = await watching.until(engine, call, loaded, lambda state: not state.running)
    if ended is None:
        return PollActivityExecutionResponse()
    response = PollActivityExecutionResponse(run_id=ended.key.run_id, outcome=ended.state.outcome)
    await ended.committed()
    return response


async def request_cancel_activity_execution(
    engine: Engine, call: Call, request: RequestCancelActivityExecutionRequest
) -> RequestCancelActivityExecutionResponse:
    """Ask the worker to give up; the activity is cancelled at once if no worker has it."""

    def decide(tx: Standalone) -> None:
        standalone_activity.request_cancel(tx, request.identity, request.reason, request.request_id)

    await engine.update_as(LoadedActivity, call, request.activity_id, request.run_id, decide)
    return RequestCancelActivityExecutionResponse()


async def terminate_activity_execution(
    engine: Engine, call: Call, request: TerminateActivityExecutionRequest
) -> TerminateActivityExecutionResponse:
    """End a run at once."""

    def decide(tx: Standalone) -> None:
        standalone_activity.terminate(tx, request.identity, request.reason, request.request_id)

    await engine.update_as(LoadedActivity, call, request.activity_id, request.run_id, decide)
    return TerminateActivityExecutionResponse()


async def delete_activity_execution(
    engine: Engine, call: Call, request: DeleteActivityExecutionRequest
) -> DeleteActivityExecutionResponse:
    """Remove a run; one that has not ended is terminated first."""
    loaded = await engine.get_as(LoadedActivity, call, request.activity_id, request.run_id)
    if loaded.state.running:
        engine.decide(call.namespace, loaded, lambda tx: standalone_activity.terminate(tx, "", _DELETION_REASON, ""))
        await loaded.committed()
        loaded = await engine.get_as(LoadedActivity, call, request.activity_id, loaded.key.run_id)
    await loaded.shard.delete(loaded).wait()
    return DeleteActivityExecutionResponse()
