"""What operators do to the activities of a workflow: pause, unpause, reset, change options; by id, by type, or all."""

from __future__ import annotations

from temporalio.api.workflowservice.v1 import (
    PauseActivityRequest,
    PauseActivityResponse,
    ResetActivityRequest,
    ResetActivityResponse,
    UnpauseActivityRequest,
    UnpauseActivityResponse,
    UpdateActivityOptionsRequest,
    UpdateActivityOptionsResponse,
)

from perdure.history.engine import Engine
from perdure.history.machines import activity_control, workflow
from perdure.history.state.execution import Activity, Execution
from perdure.history.transition import Transition
from perdure.kernel.call import Call
from perdure.kernel.errors import InvalidArgument, NotFound
from perdure.kernel.limits import Limits
from perdure.kernel.prototime import length_ns

_Request = PauseActivityRequest | UnpauseActivityRequest | ResetActivityRequest | UpdateActivityOptionsRequest


def _addressed(state: Execution, request: _Request) -> list[Activity]:
    """The pending activities that a request means, at least one."""
    match request.WhichOneof("activity"):
        case "id":
            scheduled_event_id = state.activity_ids.get(request.id)
            found = [] if scheduled_event_id is None else [state.activities[scheduled_event_id]]
        case "type":
            found = [each for each in state.activities.values() if each.scheduled.activity_type.name == request.type]
        case _:
            found = list(state.activities.values())
    if not state.running and (found or request.WhichOneof("activity") == "id"):
        raise workflow.already_completed()
    if not found:
        raise NotFound("Can't find pending activity with such ID. Invalid activityID or activity already completed")
    return found


def _check_size(what: str, size: int, addressed: list[Activity], limits: Limits) -> None:
    """What each of these activities gets its own copy of, all in one record, is no larger than one payload may be.

    Raises:
        InvalidArgument: it is.
    """
    if (total := size * len(addressed)) > limits.blob_size_max:
        raise InvalidArgument(
            f"{what} exceeds size limit. Size={size} Activities={len(addressed)} Total={total} "
            f"Limit={limits.blob_size_max}"
        )


async def pause_activity(engine: Engine, call: Call, request: PauseActivityRequest) -> PauseActivityResponse:
    """Hand these activities to no worker any more."""

    def decide(tx: Transition) -> None:
        addressed = _addressed(tx.state, request)
        _check_size("reason", len(request.reason.encode()), addressed, tx.limits)
        for each in addressed:
            activity_control.pause(tx, each, request.identity, request.reason, request.request_id)

    await engine.update(call, request.execution.workflow_id, request.execution.run_id, decide)
    return PauseActivityResponse()


async def unpause_activity(engine: Engine, call: Call, request: UnpauseActivityRequest) -> UnpauseActivityResponse:
    """Let paused activities go on; others among those addressed are left alone."""

    def decide(tx: Transition) -> None:
        for each in _addressed(tx.state, request):
            activity_control.unpause(
                tx,
                each,
                reset_attempts=request.reset_attempts,
                reset_heartbeat=request.reset_heartbeat,
                jitter=length_ns(request.jitter),
            )

    await engine.update(call, request.execution.workflow_id, request.execution.run_id, decide)
    return UnpauseActivityResponse()


async def reset_activity(engine: Engine, call: Call, request: ResetActivityRequest) -> ResetActivityResponse:
    """Let these activities begin anew."""

    def decide(tx: Transition) -> None:
        for each in _addressed(tx.state, request):
            activity_control.reset(
                tx,
                each,
                reset_heartbeat=request.reset_heartbeat,
                keep_paused=request.keep_paused,
                restore_options=request.restore_original_options,
                jitter=length_ns(request.jitter),
            )

    await engine.update(call, request.execution.workflow_id, request.execution.run_id, decide)
    return ResetActivityResponse()


async def update_activity_options(
    engine: Engine, call: Call, request: UpdateActivityOptionsRequest
) -> UpdateActivityOptionsResponse:
    """Change options, or take back all changes so far. Answers with the options of one of the activities."""

    def decide(tx: Transition) -> UpdateActivityOptionsResponse:
        response = UpdateActivityOptionsResponse()
        addressed = _addressed(tx.state, request)
        if not request.restore_original:
            _check_size("activity_options", request.activity_options.ByteSize(), addressed, tx.limits)
        for each in addressed:
            if request.restore_original:
                now = activity_control.restore_options(tx, each)
            else:
                now = activity_control.update_options(tx, each, request.activity_options, request.update_mask.paths)
            response.activity_options.CopyFrom(now)
        return response

    _, response = await engine.update(call, request.execution.workflow_id, request.execution.run_id, decide)
    return response
