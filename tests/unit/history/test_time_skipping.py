"""Runs on a clock of their own: what the rest of the server must not notice of it, and what outlives a restart."""

from __future__ import annotations

import asyncio
from typing import Any

from temporalio.api.command.v1 import Command

from perdure.kernel.clock import SECOND_NS
from perdure.kernel.prototime import instant_ns
from tests.support.history import HistoryBench, with_history

DAY_S = 86_400
MONTH = {"seconds": 30 * DAY_S}
SKIPPING: dict[str, Any] = {
    "workflow_run_timeout": MONTH,
    "time_skipping_config": {"enabled": True, "max_session_skip_count": 200},
}


def timer(name: str = "t") -> Command:
    attributes = {"timer_id": name, "start_to_fire_timeout": {"seconds": DAY_S}}
    return Command(command_type="COMMAND_TYPE_START_TIMER", start_timer_command_attributes=attributes)


def complete() -> Command:
    return Command(
        command_type="COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION", complete_workflow_execution_command_attributes={}
    )


async def ahead_s(bench: HistoryBench) -> float:
    """By how much the clock of the run is ahead."""
    described = await bench.call("DescribeWorkflowExecution", execution={"workflow_id": "order"})
    shown = described.workflow_extended_info.time_skipping_info
    return (instant_ns(shown.current_time) - bench.clock.now_ns()) / SECOND_NS


async def skip_a_day(bench: HistoryBench) -> None:
    offered = len(bench.offers.tasks)
    await bench.turn(timer(f"t{offered}"))
    await bench.until(lambda: len(bench.offers.tasks) > offered)


def test_a_workflow_of_three_weeks_takes_no_time() -> None:
    async def main(bench: HistoryBench) -> None:
        key = await bench.start("order", **SKIPPING)
        began = bench.clock.now_ns()
        for _ in range(21):
            await skip_a_day(bench)
        await bench.turn(complete())
        assert bench.clock.now_ns() - began < SECOND_NS
        events = await bench.events(key)
        lasted = instant_ns(events[-1].event_time) - instant_ns(events[0].event_time)
        assert 21 * DAY_S <= lasted / SECOND_NS < 21 * DAY_S + 1

    with_history(main)


def test_the_clock_of_a_run_outlives_the_process() -> None:
    async def main(bench: HistoryBench) -> None:
        key = await bench.start("order", **SKIPPING)
        await skip_a_day(bench)
        before = await ahead_s(bench)
        assert before > DAY_S - 1
        await bench.restart()
        assert await ahead_s(bench) == before
        await skip_a_day(bench)
        assert await ahead_s(bench) > 2 * DAY_S - 1
        await bench.turn(complete())
        assert (await bench.events(key))[-1].HasField("workflow_execution_completed_event_attributes")

    with_history(main)


def test_a_skip_that_was_decided_is_made_though_the_process_dies() -> None:
    async def main(bench: HistoryBench) -> None:
        key = await bench.start("order", **SKIPPING)
        await bench.turn(timer())
        await bench.restart()
        await bench.await_event(key, "TIMER_FIRED")
        assert (await ahead_s(bench)) < DAY_S + 1

    with_history(main)


def test_tasks_are_as_old_as_they_are_for_everybody_else() -> None:
    async def main(bench: HistoryBench) -> None:
        await bench.start("order", **SKIPPING)
        await skip_a_day(bench)
        task = bench.offers.tasks[-1]
        assert 0 <= bench.clock.now_ns() - task.created_at_ns < SECOND_NS

    with_history(main)


def test_other_runs_wait_as_long_as_they_have_to() -> None:
    async def main(bench: HistoryBench) -> None:
        await bench.start("order", **SKIPPING)
        await skip_a_day(bench)
        patient = await bench.start("patient", workflow_run_timeout=MONTH)
        await bench.turn(timer())
        await asyncio.sleep(DAY_S - 10)
        assert len(await bench.events(patient)) == 5
        await bench.await_event(patient, "TIMER_FIRED")

    with_history(main, patience_s=2 * DAY_S)


def test_who_waits_for_a_fast_forward_is_told_of_its_end() -> None:
    async def main(bench: HistoryBench) -> None:
        config = {
            "enabled": True,
            "max_session_skip_count": 200,
            "fast_forward_config": {"id": "f", "duration": {"seconds": DAY_S // 2}},
        }
        await bench.start("order", **(SKIPPING | {"time_skipping_config": config}))
        waiting = asyncio.create_task(
            bench.call(
                "PollWorkflowExecutionTimeSkipping", workflow_execution={"workflow_id": "order"}, fast_forward_id="f"
            )
        )
        await asyncio.sleep(1)
        assert not waiting.done()
        await bench.turn(timer())
        answer = await waiting
        assert answer.fast_forward_info.has_completed
        assert DAY_S // 2 - 2 < await ahead_s(bench) < DAY_S // 2

    with_history(main)


def test_nobody_skips_to_where_stores_know_no_instants() -> None:
    async def main(bench: HistoryBench) -> None:
        century = timer()
        century.start_timer_command_attributes.start_to_fire_timeout.seconds = 100 * 365 * DAY_S
        await bench.start("order", time_skipping_config={"enabled": True, "max_session_skip_count": 200})
        offered = len(bench.offers.tasks)
        await bench.turn(century)
        await bench.until(lambda: len(bench.offers.tasks) > offered)
        century.start_timer_command_attributes.timer_id = "another"
        await bench.turn(century)
        assert 100 * 365 * DAY_S <= await ahead_s(bench) < 101 * 365 * DAY_S
        assert not bench.service.engine.metrics.shards_lost

    with_history(main)
