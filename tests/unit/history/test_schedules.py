"""Schedules on a history role: what is shown of them, and messages whose receiver cannot be read or is another."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.enums.v1 import ScheduleOverlapPolicy
from temporalio.api.schedule.v1 import SchedulePatch, TriggerImmediatelyRequest

from perdure.history.handlers.schedule import STARTS_S_MAX
from perdure.history.kinds.schedule import LoadedSchedule
from perdure.history.kinds.workflow import LoadedExecution
from perdure.history.machines import schedule
from perdure.history.machines.schedule import ScheduleTransition
from perdure.history.schedules.messages import ScheduleMessages
from perdure.history.state.schedule import Stop
from perdure.history.state.schedule_changes import ActionDecided, StartBuffered
from perdure.kernel.ids import ExecutionKey, ExecutionKind, RunId, WorkflowId, WorkflowKey
from tests.simulation.cluster import NAMESPACE
from tests.support.history import QUEUE, HistoryBench, with_history

KEY = WorkflowKey(NAMESPACE.id, WorkflowId("nightly"), ExecutionKind.SCHEDULE)
BUFFER_ALL = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL
TERMINATE_OTHER = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_TERMINATE_OTHER


async def create(bench: HistoryBench) -> LoadedSchedule:
    """A schedule that fires on the first day of each year, and when it is told to."""
    start = {"workflow_id": "report", "workflow_type": {"name": "Report"}, "task_queue": {"name": QUEUE}}
    await bench.call(
        "CreateSchedule",
        schedule_id=KEY.workflow_id,
        request_id="create",
        schedule={"spec": {"cron_string": ["@yearly"]}, "action": {"start_workflow": start}},
    )
    return await bench.shard.get(LoadedSchedule, KEY)


async def patch(bench: HistoryBench, **fields: Any) -> None:
    await bench.call("PatchSchedule", schedule_id=KEY.workflow_id, patch=SchedulePatch(**fields))


async def trigger(bench: HistoryBench, policy: ScheduleOverlapPolicy.ValueType = BUFFER_ALL) -> None:
    await patch(bench, trigger_immediately=TriggerImmediatelyRequest(overlap_policy=policy))


async def run_once(bench: HistoryBench, loaded: LoadedSchedule) -> ExecutionKey:
    """Have it start a workflow; returns that run."""
    await trigger(bench)
    await bench.until(lambda: bool(loaded.state.started))
    [action] = loaded.state.started.values()
    return ExecutionKey(NAMESPACE.id, WorkflowId(action.workflow_id), RunId(action.run_id))


def test_a_description_shows_what_is_durable() -> None:
    async def main(bench: HistoryBench) -> None:
        loaded = await create(bench)
        first = asyncio.ensure_future(patch(bench, pause="first"))
        description = asyncio.ensure_future(bench.call("DescribeSchedule", schedule_id=KEY.workflow_id))
        await asyncio.sleep(0)
        assert not first.done()
        bench.shard.decide(
            loaded, NAMESPACE, lambda tx: schedule.patch(tx, SchedulePatch(pause="not durable yet"), "second")
        )
        assert (await description).schedule.state.notes == "first"
        await first

    with_history(main)


def test_who_triggers_and_then_looks_sees_the_workflow() -> None:
    async def main(bench: HistoryBench) -> None:
        await create(bench)
        await trigger(bench)
        described = await bench.call("DescribeSchedule", schedule_id=KEY.workflow_id)
        assert described.info.action_count == len(described.info.recent_actions) == 1

    with_history(main)


def test_a_start_that_takes_long_is_not_waited_for() -> None:
    async def main(bench: HistoryBench) -> None:
        loaded = await create(bench)

        def decide_and_tell_nobody(tx: ScheduleTransition) -> None:
            tx.change(StartBuffered(1, 1, manual=True))
            tx.change(ActionDecided(tx.state.buffer[0].action_id, "report-1", overlapping=True))

        bench.shard.decide(loaded, NAMESPACE, decide_and_tell_nobody)
        began = asyncio.get_running_loop().time()
        described = await bench.call("DescribeSchedule", schedule_id=KEY.workflow_id)
        assert described.info.action_count == 0
        assert asyncio.get_running_loop().time() - began == pytest.approx(STARTS_S_MAX)

    with_history(main)


def test_matching_times_are_those_of_a_durable_definition() -> None:
    async def main(bench: HistoryBench) -> None:
        loaded = await create(bench)
        update = asyncio.ensure_future(
            bench.call(
                "UpdateSchedule",
                schedule_id=KEY.workflow_id,
                schedule={"spec": {"cron_string": ["@daily"]}, "action": loaded.state.definition.action},
            )
        )
        await asyncio.sleep(0)
        commit = loaded.commit
        assert commit is not None and not commit.done
        listed = await bench.call(
            "ListScheduleMatchingTimes",
            schedule_id=KEY.workflow_id,
            start_time=Timestamp(),
            end_time=Timestamp(seconds=10 * 86_400),
        )
        assert len(listed.start_time) == 10
        assert commit.done
        await update

    with_history(main)


def test_a_thousand_matching_times_of_a_large_spec() -> None:
    async def main(bench: HistoryBench) -> None:
        await bench.call(
            "CreateSchedule",
            schedule_id=KEY.workflow_id,
            schedule={"spec": {"cron_string": [f"{number % 60} {number // 60} * * *" for number in range(400)]}},
        )
        listed = await bench.call(
            "ListScheduleMatchingTimes",
            schedule_id=KEY.workflow_id,
            start_time=Timestamp(),
            end_time=Timestamp(seconds=10 * 86_400),
        )
        seconds = [at.seconds for at in listed.start_time]
        assert seconds == [day * 86_400 + minute * 60 for day in range(3) for minute in range(400)][1:1001]

    with_history(main)


def test_a_workflow_that_is_damaged_cannot_be_stopped() -> None:
    async def main(bench: HistoryBench) -> None:
        loaded = await create(bench)
        run = await run_once(bench, loaded)
        [action] = loaded.state.started.values()
        action.stop, action.owes_stop = Stop.TERMINATE, True
        bench.store.damaged.add(run)
        bench.shard._drop(await bench.loaded(run))
        await ScheduleMessages(bench.service.engine, bench.service).stop_action(loaded.key, action.action_id)
        assert not action.owes_stop

    with_history(main)


def test_a_workflow_whose_schedule_is_damaged_owes_it_nothing() -> None:
    async def main(bench: HistoryBench) -> None:
        loaded = await create(bench)
        run = await run_once(bench, loaded)
        bench.store.damaged.add(loaded.key)
        await bench.forget()
        await bench.call("TerminateWorkflowExecution", workflow_execution={"workflow_id": run.workflow_id})
        closed = await bench.loaded(run)
        assert closed.state.owes_schedule
        await bench.until(lambda: not closed.state.owes_schedule)

    with_history(main)


def test_another_workflow_of_the_same_id_is_not_waited_for() -> None:
    async def main(bench: HistoryBench) -> None:
        loaded = await create(bench)
        run = await run_once(bench, loaded)
        await bench.shard.delete(await bench.loaded(run)).wait()
        other = await bench.start(run.workflow_id)
        assert (await bench.shard.get(LoadedExecution, other.workflow)).state.running
        await asyncio.sleep(2)
        await trigger(bench)
        await bench.until(lambda: bool(loaded.state.started) and 1 not in loaded.state.started)

    with_history(main)
