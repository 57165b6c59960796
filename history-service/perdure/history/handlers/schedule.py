"""Schedules: create, describe, update, patch, delete, and the times at which one fires."""

from __future__ import annotations

import asyncio
import contextlib
from itertools import islice, takewhile

from temporalio.api.common.v1 import SearchAttributes
from temporalio.api.schedule.v1 import Schedule as ScheduleDefinition
from temporalio.api.workflowservice.v1 import (
    CreateScheduleRequest,
    CreateScheduleResponse,
    DeleteScheduleRequest,
    DeleteScheduleResponse,
    DescribeScheduleRequest,
    DescribeScheduleResponse,
    ListScheduleMatchingTimesRequest,
    ListScheduleMatchingTimesResponse,
    PatchScheduleRequest,
    PatchScheduleResponse,
    UpdateScheduleRequest,
    UpdateScheduleResponse,
)

from perdure.history.engine import Engine
from perdure.history.kinds.schedule import LoadedSchedule
from perdure.history.machines import schedule
from perdure.history.schedules import views
from perdure.history.schedules.notation import InvalidSpec
from perdure.history.schedules.spec import TooManyExclusions, canonical
from perdure.history.state.schedule import Schedule
from perdure.kernel.call import Call
from perdure.kernel.errors import InvalidArgument, WorkflowExecutionAlreadyStarted
from perdure.kernel.ids import ExecutionKind, NamespaceId, RunId, WorkflowId, WorkflowKey
from perdure.kernel.metering.actions import DELETE_SCHEDULE
from perdure.kernel.prototime import instant_ns, timestamp
from perdure.kernel.visibility import attributes

#: Times that one call lists.
MATCHING_TIMES_MAX = 1000
#: How long a description waits for workflows that are being started.
STARTS_S_MAX = 1.0


async def create_schedule(engine: Engine, call: Call, request: CreateScheduleRequest) -> CreateScheduleResponse:
    """Create a schedule; a repeated request id finds the one that it created."""
    definition = _definition(request.schedule)
    key = WorkflowKey(NamespaceId(call.namespace_id), WorkflowId(request.schedule_id), ExecutionKind.SCHEDULE)
    loaded = await engine.current_as(LoadedSchedule, call, request.schedule_id)
    if loaded is not None and loaded.state.running:
        if loaded.state.create_request_id != request.request_id:
            raise WorkflowExecutionAlreadyStarted(f'schedule "{request.schedule_id}" is already registered', "", "")
    else:
        shard = engine.shard_of(key)
        run_id = RunId(engine.runtime.entropy.uuid_at(engine.runtime.clock.now_ns()))
        state = Schedule(key.namespace_id, key.workflow_id, run_id)
        tx = shard.begin(LoadedSchedule, state, call.namespace)
        found_by = _found_by(call, request.search_attributes)
        schedule.create(tx, definition, request.memo, found_by, request.request_id, request.initial_patch)
        loaded = shard.create(LoadedSchedule, tx)
    await loaded.committed()
    return CreateScheduleResponse(conflict_token=(1).to_bytes(8, "big"))


async def _get(engine: Engine, call: Call, schedule_id: str) -> LoadedSchedule:
    """Raises NotFound."""
    loaded = await engine.get_as(LoadedSchedule, call, schedule_id)
    if not loaded.state.running:
        raise LoadedSchedule.not_found(schedule_id, "")
    return loaded


async def describe_schedule(engine: Engine, call: Call, request: DescribeScheduleRequest) -> DescribeScheduleResponse:
    """What a schedule is to do, has done, and will do next."""
    loaded = await _with_its_starts(engine, call, await _get(engine, call, request.schedule_id))
    state = loaded.state
    response = DescribeScheduleResponse(
        schedule=views.definition(state, call.namespace.search_attributes),
        info=views.info(state, engine.runtime.clock.now_ns()),
        memo=state.memo if state.memo.fields else None,
        search_attributes=state.search_attributes if state.search_attributes.indexed_fields else None,
        conflict_token=schedule.conflict_token(state),
    )
    # What is shown must last: of what is decided while we wait for that nothing is in the answer.
    await loaded.committed()
    return response


async def _with_its_starts(engine: Engine, call: Call, loaded: LoadedSchedule) -> LoadedSchedule:
    """The schedule once the starts that are under way are made, or at the latest after a second.

    Who triggers a schedule and then looks at it sees the workflow, even if that belongs to another process.

    Raises:
        NotFound: the schedule was deleted meanwhile.
    """
    under_way = frozenset(loaded.state.starting)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STARTS_S_MAX):
            while not under_way.isdisjoint(loaded.state.starting):
                await loaded.next_commit()
                # It may have been deleted, or forgotten with its shard and loaded anew.
                loaded = await _get(engine, call, loaded.key.workflow_id)
    return loaded


async def update_schedule(engine: Engine, call: Call, request: UpdateScheduleRequest) -> UpdateScheduleResponse:
    """Replace the definition; memo and search attributes only if they are given, but then as a whole."""
    definition = _definition(request.schedule)
    memo = request.memo if request.HasField("memo") else None
    found_by = _found_by(call, request.search_attributes) if request.HasField("search_attributes") else None
    loaded = await _get(engine, call, request.schedule_id)
    engine.decide(
        call.namespace,
        loaded,
        lambda tx: schedule.update(tx, definition, memo, found_by, request.conflict_token, request.request_id),
    )
    await loaded.committed()
    return UpdateScheduleResponse()


async def patch_schedule(engine: Engine, call: Call, request: PatchScheduleRequest) -> PatchScheduleResponse:
    """Trigger, backfill, pause or unpause."""
    loaded = await _get(engine, call, request.schedule_id)
    engine.decide(call.namespace, loaded, lambda tx: schedule.patch(tx, request.patch, request.request_id))
    await loaded.committed()
    return PatchScheduleResponse()


async def delete_schedule(engine: Engine, call: Call, request: DeleteScheduleRequest) -> DeleteScheduleResponse:
    """Remove a schedule. Workflows that it has started go on."""
    loaded = await _get(engine, call, request.schedule_id)
    await loaded.shard.delete(loaded, {DELETE_SCHEDULE: 1}).wait()
    return DeleteScheduleResponse()


async def list_schedule_matching_times(
    engine: Engine, call: Call, request: ListScheduleMatchingTimesRequest
) -> ListScheduleMatchingTimesResponse:
    """When a schedule would act within a range of time, the first thousand instants."""
    if not request.HasField("start_time") or not request.HasField("end_time"):
        raise InvalidArgument("missing or invalid query")
    loaded = await _get(engine, call, request.schedule_id)
    spec, seed = loaded.state.definition.spec, schedule.seed(loaded.state)
    after, end = instant_ns(request.start_time), instant_ns(request.end_time)
    response = ListScheduleMatchingTimesResponse()
    try:
        times = schedule.times(spec)
        while (left := MATCHING_TIMES_MAX - len(response.start_time)) > 0:
            upcoming = islice(times.following(after, seed), left)
            found = [each.at_ns for each in takewhile(lambda each: each.at_ns <= end, upcoming)]
            response.start_time.extend(timestamp(at) for at in found)
            if not found:
                break
            after = found[-1]
            # A long list takes its time; others have their turns in between.
            await asyncio.sleep(0)
    except TooManyExclusions:
        raise InvalidArgument(
            "the schedule calendar specification has too many exclusions. Please modify the specification."
        ) from None
    except InvalidSpec as fault:
        raise InvalidArgument(f"Invalid schedule spec: {fault}") from None
    await loaded.committed()
    return response


def _definition(request: ScheduleDefinition) -> ScheduleDefinition:
    """A copy of the definition with its spec in canonical form. Raises InvalidArgument."""
    definition = ScheduleDefinition()
    definition.CopyFrom(request)
    try:
        definition.spec.CopyFrom(canonical(request.spec))
    except InvalidSpec as fault:
        raise InvalidArgument(f"Invalid schedule spec: {fault}") from None
    return definition


def _found_by(call: Call, sent: SearchAttributes) -> SearchAttributes:
    """The user's search attributes, with their types. Those that the server keeps itself are not the user's to set."""
    kept = SearchAttributes()
    for name, payload in sent.indexed_fields.items():
        if not attributes.is_reserved(name):
            kept.indexed_fields[name].CopyFrom(payload)
    attributes.set_types(kept, call.namespace.search_attributes)
    return kept
