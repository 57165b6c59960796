"""Reset on a running history role: what is stored, what is found again, and who is told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from temporalio.api.command.v1 import Command
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.enums.v1 import EventType

from perdure.history.histories import PAGE_BYTES_MAX
from perdure.history.kinds.workflow import RECENT_BYTES_MAX
from perdure.kernel.errors import NotFound
from perdure.kernel.ids import ExecutionKey, RunId
from tests.differential import commands as c
from tests.support.history import HistoryBench, with_history


async def reset(bench: HistoryBench, key: ExecutionKey, event_id: int, **fields: Any) -> ExecutionKey:
    fields.setdefault("request_id", f"reset-{event_id}")
    response = await bench.call(
        "ResetWorkflowExecution",
        workflow_execution={"workflow_id": key.workflow_id, "run_id": key.run_id},
        workflow_task_finish_event_id=event_id,
        **fields,
    )
    return key.workflow.run(RunId(response.run_id))


async def signal(bench: HistoryBench, workflow_id: str, name: str, size: int = 0) -> None:
    data = Payloads(payloads=[Payload(data=b"x" * size)]) if size else None
    await bench.call(
        "SignalWorkflowExecution",
        workflow_execution={"workflow_id": workflow_id},
        signal_name=name,
        request_id=name,
        input=data,
    )


def test_a_restart_finds_the_new_run_as_it_was() -> None:
    async def main(bench: HistoryBench) -> None:
        base = await bench.start("w")
        await bench.turn(c.start_timer("t", seconds=30), c.schedule_activity("acts", "a"))
        await signal(bench, "w", "go")
        await bench.turn()
        new = await reset(bench, base, 9)
        events, state = await bench.events(new), (await bench.loaded(new)).state
        await bench.restart()
        assert await bench.events(new) == events
        assert (await bench.loaded(new)).state == state
        fired = await bench.await_event(new, "TIMER_FIRED")
        assert fired.timer_fired_event_attributes.timer_id == "t"

    with_history(main)


def test_a_repeated_request_finds_the_run_that_it_made() -> None:
    async def main(bench: HistoryBench) -> None:
        base = await bench.start("w")
        await bench.turn()
        new = await reset(bench, base, 4)
        await bench.forget()
        assert await reset(bench, base, 4) == new
        assert await reset(bench, base, 4, request_id="another") != new

    with_history(main)


def test_a_long_history_is_inherited_in_pieces() -> None:
    async def main(bench: HistoryBench) -> None:
        base = await bench.start("w")
        await bench.turn()
        for number in range(5):
            await signal(bench, "w", f"s{number}", PAGE_BYTES_MAX // 2)
        await bench.turn()
        assert (await bench.loaded(base)).state.next_event_id == 13
        new = await reset(bench, base, 12)
        await bench.forget()
        seen, token = [], b""
        while True:
            page = await bench.call(
                "GetWorkflowExecutionHistory",
                execution={"workflow_id": "w", "run_id": new.run_id},
                next_page_token=token,
            )
            assert page.ByteSize() < 2 * PAGE_BYTES_MAX
            seen += page.history.events
            if not (token := page.next_page_token):
                break
        assert [event.event_id for event in seen] == list(range(1, 14))
        assert sum(event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED for event in seen) == 5

    with_history(main)


def test_what_arrives_while_a_long_history_is_read_is_not_lost() -> None:
    async def main(bench: HistoryBench) -> None:
        base = await bench.start("w")
        await bench.turn()
        # More than a run keeps in memory.
        for number in range(3):
            await signal(bench, "w", f"s{number}", RECENT_BYTES_MAX)
        bench.store.meanwhile["read_history"] = lambda: signal(bench, "w", "meanwhile")
        new = await reset(bench, base, 4)
        signals = [
            e for e in await bench.events(new) if e.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
        ]
        assert [event.workflow_execution_signaled_event_attributes.signal_name for event in signals] == [
            "s0",
            "s1",
            "s2",
            "meanwhile",
        ]

    with_history(main)


def test_only_what_happens_anew_costs() -> None:
    async def main(bench: HistoryBench) -> None:
        base = await bench.start("w")
        await bench.turn(c.start_timer("t", seconds=30))
        await signal(bench, "w", "go")
        await bench.turn()
        before = await bench.actions()
        await reset(bench, base, 8)
        assert await bench.actions() - before == {"reset_workflow": 1}

    with_history(main)


async def with_child(bench: HistoryBench) -> tuple[ExecutionKey, ExecutionKey]:
    """A parent that has taken note of its child's start in a task of its own (events 7 to 9), and the child."""
    parent = await bench.start("parent")
    await bench.turn(c.start_child("child", "orders"))
    started = await bench.await_event(parent, "CHILD_WORKFLOW_EXECUTION_STARTED")
    await turn_of(bench, parent)
    execution = started.child_workflow_execution_started_event_attributes.workflow_execution
    return parent, ExecutionKey(parent.namespace_id, execution.workflow_id, execution.run_id)  # type: ignore[arg-type]


async def turn_of(bench: HistoryBench, key: ExecutionKey, *commands: Command) -> None:
    bench.offers.tasks.append(next(task for task in reversed(bench.offers.tasks) if task.key == key))
    await bench.turn(*commands)


def test_a_child_tells_the_run_that_took_its_parents_place() -> None:
    async def main(bench: HistoryBench) -> None:
        parent, _ = await with_child(bench)
        new = await reset(bench, parent, 9)
        again = await reset(bench, new, 9, request_id="again")
        await bench.call("TerminateWorkflowExecution", workflow_execution={"workflow_id": "child"})
        ended = await bench.await_event(again, "CHILD_WORKFLOW_EXECUTION_TERMINATED")
        assert ended.child_workflow_execution_terminated_event_attributes.initiated_event_id == 5

    with_history(main)


def test_the_new_run_signals_and_ends_the_children_that_it_inherited() -> None:
    async def main(bench: HistoryBench) -> None:
        parent, child = await with_child(bench)
        new = await reset(bench, parent, 9)
        await turn_of(bench, new, c.signal_external("child", child_workflow_only=True))
        await bench.await_event(new, "EXTERNAL_WORKFLOW_EXECUTION_SIGNALED")
        assert (await bench.loaded(child)).state.running
        await bench.call("TerminateWorkflowExecution", workflow_execution={"workflow_id": "parent"})
        await bench.await_event(child, "WORKFLOW_EXECUTION_TERMINATED")

    with_history(main)


def test_a_child_finds_the_new_run_when_the_old_one_is_gone() -> None:
    async def main(bench: HistoryBench) -> None:
        parent, _ = await with_child(bench)
        new = await reset(bench, parent, 9)
        await bench.call(
            "DeleteWorkflowExecution", workflow_execution={"workflow_id": "parent", "run_id": parent.run_id}
        )
        await bench.call("TerminateWorkflowExecution", workflow_execution={"workflow_id": "child"})
        await bench.await_event(new, "CHILD_WORKFLOW_EXECUTION_TERMINATED")

    with_history(main)


def test_children_that_the_new_run_does_not_know_are_left_alone() -> None:
    async def main(bench: HistoryBench) -> None:
        parent, child = await with_child(bench)
        new = await reset(bench, parent, 4)
        await bench.call("TerminateWorkflowExecution", workflow_execution={"workflow_id": "child"})
        loaded = await bench.loaded(child)
        await bench.until(lambda: not loaded.state.owes_parent)
        assert len(await bench.events(new)) == 5

    with_history(main)


def test_a_deleted_base_leaves_the_new_run_whole() -> None:
    async def main(bench: HistoryBench) -> None:
        base = await bench.start("w")
        await bench.turn()
        new = await reset(bench, base, 4)
        await bench.call("DeleteWorkflowExecution", workflow_execution={"workflow_id": "w", "run_id": base.run_id})
        await bench.forget()
        with pytest.raises(NotFound):
            await bench.events(base)
        assert [event.event_id for event in await bench.events(new)] == [1, 2, 3, 4, 5]

    with_history(main)


def test_two_resets_at_once_leave_one_current_run() -> None:
    async def main(bench: HistoryBench) -> None:
        base = await bench.start("w")
        await bench.turn()
        await bench.forget()
        first, second = await asyncio.gather(
            reset(bench, base, 4, request_id="one"), reset(bench, base, 4, request_id="two")
        )
        runs = {key.run_id: (await bench.loaded(key)).state.running for key in (base, first, second)}
        assert first != second
        assert sorted(runs.values()) == [False, False, True]

    with_history(main)
