"""Whatever crashes, and whenever: a schedule fires once for each of its times, and never twice for one.

A failing seed is the bug report: `pytest tests/simulation -k 'schedules and seed7'`.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.command.v1 import (
    Command,
    CompleteWorkflowExecutionCommandAttributes,
    ContinueAsNewWorkflowExecutionCommandAttributes,
    FailWorkflowExecutionCommandAttributes,
)
from temporalio.api.common.v1 import WorkflowType
from temporalio.api.enums.v1 import CommandType, ScheduleOverlapPolicy
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.schedule.v1 import (
    IntervalSpec,
    Schedule,
    ScheduleAction,
    SchedulePatch,
    SchedulePolicies,
    ScheduleSpec,
    TriggerImmediatelyRequest,
)
from temporalio.api.workflow.v1 import NewWorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    CreateScheduleRequest,
    PatchScheduleRequest,
    PollWorkflowTaskQueueRequest,
    RespondWorkflowTaskCompletedRequest,
)

from perdure.history.kinds.schedule import LoadedSchedule
from perdure.history.kinds.workflow import LoadedExecution
from perdure.history.schedules.messages import ScheduleMessages
from perdure.history.state.execution import Execution
from perdure.history.state.schedule import Schedule as ScheduleStateNow
from perdure.kernel.clock import SECOND_NS, VirtualClock
from perdure.kernel.errors import ServiceError, Unavailable
from perdure.kernel.ids import ExecutionKind, ShardId, WorkflowId, WorkflowKey
from perdure.kernel.prototime import timestamp
from tests.simulation.actors import ConnectionLost, insist
from tests.simulation.cluster import NAMESPACE, Cluster
from tests.simulation.workflows import QUEUE
from tests.support import virtual_time

CRASHES = 10
TRIGGERS = 3
INTERVAL_S = 4
LASTS_S = 60
_Policy = ScheduleOverlapPolicy
POLICIES = {
    "allow": _Policy.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL,
    "buffer": _Policy.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL,
    "skip": _Policy.SCHEDULE_OVERLAP_POLICY_SKIP,
    "terminate": _Policy.SCHEDULE_OVERLAP_POLICY_TERMINATE_OTHER,
}


@pytest.mark.parametrize("seed", range(10), ids=lambda seed: f"seed{seed}")
def test_no_firing_is_lost_or_doubled(seed: int) -> None:
    clock = VirtualClock()
    virtual_time.run(clock, _simulate(seed, clock))


async def _simulate(seed: int, clock: VirtualClock) -> None:
    cluster = Cluster(seed, clock)
    await cluster.start()
    workers = [asyncio.create_task(_worker(cluster)) for _ in range(6)]
    ends_at = clock.now_ns() // SECOND_NS + LASTS_S
    for schedule_id in POLICIES:
        await _create(cluster, schedule_id, ends_at)
    triggers = asyncio.create_task(_trigger(cluster, clock))
    for _ in range(CRASHES):
        await asyncio.sleep(cluster.chance.uniform(0, 6))
        await cluster.crash(zombie=cluster.chance.random() < 0.3)
    # From here on nothing goes wrong any more.
    async with asyncio.timeout(3600):
        triggered = await triggers
        await asyncio.sleep(max(ends_at - clock.now_ns() // SECOND_NS, 0) + 1)
        for schedule_id in POLICIES:
            state = await _settled(cluster, schedule_id)
            runs = await _runs(cluster, schedule_id)
            _check_chains(state, runs)
            _check_times(state, runs, ends_at, triggered)
    for worker in workers:
        worker.cancel()
    await asyncio.wait(workers)
    await cluster.close()


async def _create(cluster: Cluster, schedule_id: str, ends_at: int) -> None:
    schedule = Schedule(
        spec=ScheduleSpec(
            interval=[IntervalSpec(interval=Duration(seconds=INTERVAL_S))], end_time=timestamp(ends_at * SECOND_NS)
        ),
        action=ScheduleAction(
            start_workflow=NewWorkflowExecutionInfo(
                workflow_id=schedule_id, workflow_type=WorkflowType(name="Scheduled"), task_queue=QUEUE
            )
        ),
        policies=SchedulePolicies(overlap_policy=POLICIES[schedule_id]),
    )
    await insist(
        cluster,
        "CreateSchedule",
        CreateScheduleRequest(schedule_id=schedule_id, request_id=f"create-{schedule_id}", schedule=schedule),
    )


async def _patch(cluster: Cluster, schedule_id: str, request_id: str, patch: SchedulePatch) -> None:
    await insist(
        cluster, "PatchSchedule", PatchScheduleRequest(schedule_id=schedule_id, request_id=request_id, patch=patch)
    )


async def _trigger(cluster: Cluster, clock: VirtualClock) -> set[str]:
    """Fire one schedule by hand, at odd seconds, at which it does not fire by itself; returns the workflow ids."""
    triggered = set()
    for number in range(TRIGGERS):
        await asyncio.sleep(cluster.chance.uniform(2, 10))
        at = clock.now_ns() // SECOND_NS // 2 * 2 + 1
        trigger = TriggerImmediatelyRequest(scheduled_time=timestamp(at * SECOND_NS))
        await _patch(cluster, "allow", f"trigger-{number}", SchedulePatch(trigger_immediately=trigger))
        triggered.add(_workflow_id("allow", at))
    return triggered


async def _worker(cluster: Cluster) -> None:
    """Takes its time over each task; some workflows go on in a new run, some fail, some tasks are forgotten."""
    chance = cluster.chance
    while True:
        try:
            task = await cluster.call("PollWorkflowTaskQueue", PollWorkflowTaskQueueRequest(task_queue=QUEUE))
            if not task.task_token or chance.random() < 0.05:
                continue
            await asyncio.sleep(chance.choice((0.0, 0.3, 3.0)))
            request = RespondWorkflowTaskCompletedRequest(
                task_token=task.task_token, commands=[_ending(chance.random())]
            )
            await cluster.call("RespondWorkflowTaskCompleted", request)
        except (ConnectionLost, Unavailable):
            await asyncio.sleep(0.1)
        except ServiceError:
            continue


def _ending(fate: float) -> Command:
    if fate < 0.3:
        return Command(
            command_type=CommandType.COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION,
            continue_as_new_workflow_execution_command_attributes=ContinueAsNewWorkflowExecutionCommandAttributes(
                workflow_type=WorkflowType(name="Scheduled"), task_queue=QUEUE
            ),
        )
    if fate < 0.5:
        failure = Failure(message="bad luck", application_failure_info=ApplicationFailureInfo())
        return Command(
            command_type=CommandType.COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION,
            fail_workflow_execution_command_attributes=FailWorkflowExecutionCommandAttributes(failure=failure),
        )
    return Command(
        command_type=CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION,
        complete_workflow_execution_command_attributes=CompleteWorkflowExecutionCommandAttributes(),
    )


async def _settled(cluster: Cluster, schedule_id: str) -> ScheduleStateNow:
    """The schedule, when nothing of it waits or runs any more."""
    key = WorkflowKey(NAMESPACE.id, WorkflowId(schedule_id), ExecutionKind.SCHEDULE)
    while True:
        loaded = await cluster.history.engine.shard_of(key).get(LoadedSchedule, key)
        state = loaded.state
        if not (state.buffer or state.starting or state.started):
            return state
        await asyncio.sleep(1)


async def _runs(cluster: Cluster, schedule_id: str) -> list[Execution]:
    """All workflow runs that the schedule started, and their successors, when all of them are over."""
    shard = cluster.history.engine.shards[ShardId(0)]
    while True:
        runs = []
        for head in await cluster.store.runs(shard.id, NAMESPACE.id, None, 100_000):
            if head.key.kind is ExecutionKind.WORKFLOW and head.key.workflow_id.startswith(schedule_id):
                loaded = await shard.find(LoadedExecution, head.key)
                assert loaded is not None
                runs.append(loaded.state)
        if not any(run.running or run.owes_schedule for run in runs):
            return runs
        await asyncio.sleep(1)


def _check_chains(state: ScheduleStateNow, runs: list[Execution]) -> None:
    chains: dict[str, list[Execution]] = defaultdict(list)
    for run in runs:
        chains[run.first_run_id].append(run)
    ids = [chain[0].workflow_id for chain in chains.values()]
    assert len(ids) == len(set(ids)), "a firing was doubled"
    origins = {(chain[0].scheduled_by.action_id) for chain in chains.values() if chain[0].scheduled_by}
    assert len(origins) == len(chains) == state.action_count
    if state.workflow_id == "allow":
        return
    spans = sorted(
        (min(run.started_at for run in chain), max(run.closed_at for run in chain)) for chain in chains.values()
    )
    for (_, closed_at), (started_at, _) in pairwise(spans):
        assert closed_at <= started_at, "two overlap"


def _check_times(state: ScheduleStateNow, runs: list[Execution], ends_at: int, triggered: set[str]) -> None:
    fired = {run.workflow_id for run in runs}
    first = state.created_at // SECOND_NS // INTERVAL_S * INTERVAL_S + INTERVAL_S
    due = {_workflow_id(state.workflow_id, at) for at in range(first, ends_at + 1, INTERVAL_S)}
    if state.workflow_id == "allow":
        assert fired == due | triggered
    elif state.workflow_id == "buffer":
        assert fired == due
    elif state.workflow_id == "skip":
        assert fired <= due
        assert len(fired) + state.overlap_skipped_count == len(due)
    else:
        assert fired <= due
        assert max(due) in fired, "the last one always makes it"
    assert state.missed_count == state.buffer_dropped_count == 0


def _workflow_id(schedule_id: str, at: int) -> str:
    return f"{schedule_id}-{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


def test_a_start_that_is_sent_again_finds_its_chain() -> None:
    """The news of a start was lost, and the workflow has gone on in another run meanwhile."""
    clock = VirtualClock()
    virtual_time.run(clock, _send_again(clock))


async def _send_again(clock: VirtualClock) -> None:
    cluster = Cluster(1, clock)
    await cluster.start()
    await _create(cluster, "skip", clock.now_ns() // SECOND_NS)
    await _patch(cluster, "skip", "trigger", SchedulePatch(trigger_immediately=TriggerImmediatelyRequest()))
    task = await cluster.call("PollWorkflowTaskQueue", PollWorkflowTaskQueueRequest(task_queue=QUEUE))
    # While the first run is closed and the second is current, take back what the schedule knows of the start.
    request = RespondWorkflowTaskCompletedRequest(task_token=task.task_token, commands=[_ending(0.0)])
    await cluster.call("RespondWorkflowTaskCompleted", request)
    key = WorkflowKey(NAMESPACE.id, WorkflowId("skip"), ExecutionKind.SCHEDULE)
    loaded = await cluster.history.engine.shard_of(key).get(LoadedSchedule, key)
    [action] = loaded.state.started.values()
    loaded.state.started.clear()
    loaded.state.starting[action.action_id] = action
    await ScheduleMessages(cluster.history.engine, cluster.history).start_action(loaded.key, action.action_id)
    assert loaded.state.started[action.action_id].run_id == task.workflow_execution.run_id
    assert len(await cluster.store.runs(loaded.shard.id, NAMESPACE.id, None, 100)) == 3, "the schedule and two runs"
    await cluster.close()


def test_a_workflow_that_is_gone_without_a_word() -> None:
    clock = VirtualClock()
    virtual_time.run(clock, _lose_a_workflow(clock))


async def _lose_a_workflow(clock: VirtualClock) -> None:
    cluster = Cluster(1, clock)
    await cluster.start()
    await _create(cluster, "buffer", clock.now_ns() // SECOND_NS)
    await _patch(cluster, "buffer", "first", SchedulePatch(trigger_immediately=TriggerImmediatelyRequest()))
    task = await cluster.call("PollWorkflowTaskQueue", PollWorkflowTaskQueueRequest(task_queue=QUEUE))
    lost = task.workflow_execution
    shard = cluster.history.engine.shards[ShardId(0)]
    key = WorkflowKey(NAMESPACE.id, WorkflowId(lost.workflow_id))
    await shard.delete(await shard.get(LoadedExecution, key)).wait()
    await asyncio.sleep(2)
    await _patch(cluster, "buffer", "second", SchedulePatch(trigger_immediately=TriggerImmediatelyRequest()))
    task = await cluster.call("PollWorkflowTaskQueue", PollWorkflowTaskQueueRequest(task_queue=QUEUE))
    assert task.workflow_execution.workflow_id not in ("", lost.workflow_id)
    await cluster.close()
