"""What each request costs, and what is free: real requests to a history role, and the rows that it has written."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.schedule.v1 import SchedulePatch, TriggerImmediatelyRequest
from temporalio.api.workflowservice.v1 import (
    PollActivityTaskQueueRequest,
    PollActivityTaskQueueResponse,
    PollWorkflowTaskQueueRequest,
    QueryWorkflowResponse,
)

from perdure.history.metering import billable
from perdure.history.state.changes import EventBuffered, EventsRecorded
from perdure.kernel.call import Call
from perdure.kernel.errors import ServiceError
from perdure.kernel.ids import ExecutionKey, ExecutionKind, TaskKind
from perdure.kernel.metering import actions
from perdure.kernel.metering.events import estimate
from perdure.kernel.rpc import QueryTask, StickyWorkerUnavailable
from tests.differential import commands as c
from tests.differential.script import failure, payloads
from tests.differential.updates import accepted, completed, rejected
from tests.simulation.cluster import NAMESPACE
from tests.support.history import CALL, QUEUE, HistoryBench, with_history
from tests.support.usage import UNTRACED, check_sqlite

ORDER: dict[str, Any] = {"workflow_id": "order"}
#: After all hours that a test gets to.
NEVER = 1_000_000
Usage = Mapping[str, int]


class Meter:
    """Reads off what was counted since it was read last."""

    def __init__(self, bench: HistoryBench) -> None:
        self._bench = bench
        self._seen: Counter[str] = Counter()

    async def read(self) -> Usage:
        now = await self._bench.actions()
        before, self._seen = self._seen, now
        return now - before


def metered(main: Callable[[HistoryBench, Meter], Coroutine[Any, Any, None]]) -> None:
    """Run a test; what was counted in it must be what a fold over the journals says."""

    async def body(bench: HistoryBench) -> None:
        await main(bench, Meter(bench))
        counted = await bench.actions()
        assert check_sqlite(bench.database) == {each: n for each, n in counted.items() if each not in UNTRACED}

    with_history(body)


async def refused(call: Coroutine[Any, Any, Any]) -> None:
    with pytest.raises(ServiceError):
        await call


async def signal(bench: HistoryBench, **fields: Any) -> None:
    await bench.call("SignalWorkflowExecution", workflow_execution=ORDER, signal_name="go", **fields)


async def take_activity(bench: HistoryBench) -> PollActivityTaskQueueResponse:
    task = next(task for task in reversed(bench.offers.tasks) if task.queue.kind is TaskKind.ACTIVITY)
    return await bench.service.start_activity_task(CALL, task, PollActivityTaskQueueRequest())


# Starts


def test_a_start_and_its_repetitions() -> None:
    async def main(bench: HistoryBench, meter: Meter) -> None:
        await bench.start("order")
        assert await meter.read() == {actions.START: 1}
        await bench.start("order")
        assert await meter.read() == {}, "the same request"
        start: dict[str, Any] = {"workflow_type": {"name": "Order"}, "task_queue": {"name": QUEUE}} | ORDER
        await refused(bench.call("StartWorkflowExecution", **start, request_id="other"))
        use_existing = "WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING"
        await bench.call(
            "StartWorkflowExecution", **start, request_id="third", workflow_id_conflict_policy=use_existing
        )
        assert await meter.read() == {}, "neither was a start"
        await bench.call(
            "StartWorkflowExecution",
            **start,
            request_id="fourth",
            workflow_id_conflict_policy=use_existing,
            on_conflict_options={"attach_request_id": True},
        )
        assert await meter.read() == {actions.UPDATE_OPTIONS_BY_START: 1}
        await bench.call(
            "StartWorkflowExecution",
            **start,
            request_id="fifth",
            workflow_id_conflict_policy="WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING",
        )
        assert await meter.read() == {actions.START: 1}

    metered(main)


def test_a_child_costs_two() -> None:
    async def main(bench: HistoryBench, meter: Meter) -> None:
        parent = await bench.start("order")
        await meter.read()
        await bench.turn(c.start_child("child", QUEUE))
        await bench.await_event(parent, "CHILD_WORKFLOW_EXECUTION_STARTED")
        assert await meter.read() == {actions.START_CHILD: 1, actions.START: 1}

    metered(main)


def test_a_continuation_costs_one_and_so_does_a_retry() -> None:
    async def main(bench: HistoryBench, meter: Meter) -> None:
        await bench.start("order")
        await meter.read()
        await bench.turn(c.continue_as_new())
        assert await meter.read() == {actions.CONTINUE_AS_NEW: 1}
        await bench.call(
            "StartWorkflowExecution",
            workflow_id="again",
            workflow_type={"name": "Order"},
            task_queue={"name": QUEUE},
            request_id="again",
            retry_policy={"initial_interval": {"seconds": 1}},
        )
        await bench.turn(c.fail())
        assert await meter.read() == {actions.START: 2}

    metered(main)


def test_a_start_with_an_update() -> None:
    async def main(bench: HistoryBench, meter: Meter) -> None:
        start: dict[str, Any] = {
            **ORDER,
            "workflow_type": {"name": "Order"},
            "task_queue": {"name": QUEUE},
            "request_id": "start",
            "workflow_id_conflict_policy": "WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING",
        }
        update: dict[str, Any] = {
            "workflow_execution": ORDER,
            "request": {"meta": {"update_id": "u1"}, "input": {"name": "change"}},
            "wait_policy": {"lifecycle_stage": "UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED"},
        }
        operations = [{"start_workflow": start}, {"update_workflow": update}]
        call = asyncio.create_task(bench.call("ExecuteMultiOperation", operations=operations))
        await bench.until(lambda: bool(bench.offers.tasks))
        assert await meter.read() == {actions.START_MULTI_OPERATION: 1}
        await answer(bench, accepted, completed)
        await call
        assert await meter.read() == {actions.ACCEPT_UPDATE: 1}
        await bench.call("ExecuteMultiOperation", operations=operations)
        assert await meter.read() == {}

    metered(main)


# Signals, updates, queries


def test_signals() -> None:
    async def main(bench: HistoryBench, meter: Meter) -> None:
        key = await bench.start("order")
        await meter.read()
        await signal(bench, request_id="s1")
        assert await meter.read() == {actions.SIGNAL: 1}
        await signal(bench, request_id="s1")
        assert await meter.read() == {}
        task = await bench.take_task()
        await signal(bench)
        assert await meter.read() == {actions.SIGNAL: 1}, "it is held back, and was acknowledged"
        await bench.call("RespondWorkflowTaskCompleted", task_token=task.task_token)
        assert await meter.read() == {}, "and counts once"
        await bench.call("TerminateWorkflowExecution", workflow_execution=ORDER)
        await refused(signal(bench))
        assert await meter.read() == {}
        assert estimate(await bench.events(key)) == {actions.START: 1, actions.SIGNAL: 2}

    metered(main)


def test_a_signal_to_another_workflow_costs_the_sender() -> None:
    async def main(bench: HistoryBench, meter: Meter) -> None:
        await bench.start("other")
        sender = await bench.start("order")
        await meter.read()
        await bench.turn(c.signal_external("other"))
        await bench.await_event(sender, "EXTERNAL_WORKFLOW_EXECUTION_SIGNALED")
        assert await meter.read() == {actions.SIGNAL_EXTERNAL: 1}

    metered(main)


def test_a_signal_with_start_costs_one_whatever_it_finds() -> None:
    async def main(bench: HistoryBench, meter: Meter) -> None:
        fields: dict[str, Any] = {
            **ORDER,
            "workflow_type": {"name": "Order"},
            "task_queue": {"name": QUEUE},
            "signal_name": "go",
        }
        first = await bench.call("SignalWithStartWorkflowExecution", **fields, request_id="1")
        assert await meter.read() == {actions.SIGNAL_WITH_START: 1}
        await bench.call("SignalWithStartWorkflowExecution", **fields, request_id="2")
        assert await meter.read() == {actions.SIGNAL_WITH_START: 1}
        await bench.call("SignalWithStartWorkflowExecution", **fields, request_id="2")
        assert await meter.read() == {}
        await bench.take_task()
        await bench.call("SignalWithStartWorkflowExecution", **fields, request_id="3")
        assert await meter.read() == {actions.SIGNAL_WITH_START: 1}, "also if the signal is held back"
        await bench.call("TerminateWorkflowExecution", workflow_execution=ORDER)
        key = ExecutionKey(NAMESPACE.id, "order", first.run_id)  # type: ignore[arg-type]
        assert estimate(await bench.events(key)) == {actions.SIGNAL_WITH_START: 1, actions.SIGNAL: 2}

    metered(main)


async def answer(bench: HistoryBench, *how: Callable[[Any], Any]) -> None:
    """Take a workflow task and answer the updates that come with it."""
    task = await bench.take_task()
    said = [say(message) for message in task.messages for say in how]
    ordered = [c.protocol_message(each.id) for each in said if not each.id.endswith("/reject")]
    await bench.call("RespondWorkflowTaskCompleted", task_token=task.task_token, messages=said, commands=ordered)


def test_updates() -> None:
    async def main(bench: HistoryBench, meter: Meter) -> None:
        async def update(update_id: str, *how: Callable[[Any], Any]) -> Usage:
            offered = len(bench.offers.tasks)
            call = asyncio.create_task(
                bench.call(
                    "UpdateWorkflowExecution",
                    workflow_execution=ORDER,
                    request={"meta": {"update_id": update_id}, "input": {"name": "change"}},
                    wait_policy={"lifecycle_stage": "UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED"},
                )
            )
            if how:
                await bench.until(lambda: len(bench.offers.tasks) > offered)
                assert await meter.read() == {}, "it is only asked for"
                await answer(bench, *how)
            await call
            return await meter.read()

        await bench.start("order")
        await bench.turn()
        await meter.read()
        assert await update("u1", accepted, completed) == {actions.ACCEPT_UPDATE: 1}
        assert await update("u1") == {}, "answered again"
        assert await update("u2", rejected) == {actions.REJECT_UPDATE: 1}

    metered(main)


def queried(bench: HistoryBench, query_type: str = "how is") -> asyncio.Task[QueryWorkflowResponse]:
    return asyncio.create_task(bench.call("QueryWorkflow", execution=ORDER, query={"query_type": query_type}))


def test_queries_that_go_by_themselves() -> None:
    async def main(bench: HistoryBench, meter: Meter) -> None:
        async def worker(call: Call, task: QueryTask) -> QueryWorkflowResponse:
            await bench.service.query_task(CALL, task, PollWorkflowTaskQueueRequest())
            if task.sticky_timeout_ns:
                raise StickyWorkerUnavailable
            return QueryWorkflowResponse(query_result=payloads("it"))

        async def nobody(call: Call, task: QueryTask) -> QueryWorkflowResponse:
            raise ServiceErrorForTest

        bench.offers.query = worker
        await bench.start("order")
        sticky: dict[str, Any] = {"worker_task_queue": {"name": "mine"}, "schedule_to_start_timeout": {"seconds": 3}}
        await bench.turn(sticky_attributes=sticky)
        await meter.read()
        await queried(bench)
        assert await meter.read() == {actions.QUERY: 1}, "once, although two workers got it"
        await queried(bench, "__temporal_workflow_metadata")
        assert await meter.read() == {}
        bench.offers.query = nobody
        with pytest.raises(ServiceErrorForTest):
            await queried(bench)
        assert await meter.read() == {}, "no worker got it"

    metered(main)


class ServiceErrorForTest(Exception):
    pass


def test_no_answer_to_a_query_leaves_before_it_is_counted() -> None:
    async def main(bench: HistoryBench, meter: Meter) -> None:
        async def worker(call: Call, task: QueryTask) -> QueryWorkflowResponse:
            await bench.service.query_task(CALL, task, PollWorkflowTaskQueueRequest())
            return QueryWorkflowResponse(query_result=payloads("it"))

        bench.offers.query = worker
        await bench.start("order")
        await bench.turn()
        await meter.read()
        bench.store.failures["write"].append(OSError("no disk"))
        await refused(bench.call("QueryWorkflow", execution=ORDER, query={"query_type": "how is"}))
        assert await meter.read() == {}

    metered(main)


@pytest.mark.parametrize("result_type", ["ANSWERED", "FAILED"])
def test_queries_that_travel_with_a_workflow_task(result_type: str) -> None:
    async def main(bench: HistoryBench, meter: Meter) -> None:
        key = await bench.start("order")
        run = await bench.loaded(key)
        await meter.read()
        for query_type, costs in {"how is": {actions.QUERY: 1}, "__temporal_workflow_metadata": {}}.items():
            query = queried(bench, query_type)
            await bench.until(lambda: bool(run.queries))
            task = await bench.take_task()
            result: dict[str, Any] = {"result_type": f"QUERY_RESULT_TYPE_{result_type}"}
            await bench.call(
                "RespondWorkflowTaskCompleted",
                task_token=task.task_token,
                query_results=dict.fromkeys(task.queries, result),
                force_create_new_workflow_task=True,
            )
            await asyncio.wait([query])
            assert await meter.read() == costs | {actions.WORKFLOW_HEARTBEAT: 1}

    metered(main)


# Within a workflow


def test_commands() -> None:
    async def main(bench: HistoryBench, meter: Meter) -> None:
        key = await bench.start("order")
        await meter.read()
        values = {"metadata": {"type": b"KeywordList", "encoding": b"json/plain"}, "data": b'["x"]'}
        await bench.turn(
            c.start_timer("t1"),
            c.start_timer("t2"),
            c.cancel_timer("t2"),
            c.schedule_activity(QUEUE),
            c.marker("a"),
            c.marker("b"),
            c.upsert_search_attributes(TemporalChangeVersion=values),
            c.modify_properties(note=values),
            metering_metadata={"nonfirst_local_activity_execution_attempts": 3},
        )
        expected = {
            actions.START_TIMER: 2,
            actions.SCHEDULE_ACTIVITY: 1,
            actions.RECORD_MARKERS: 1,
            actions.RETRY_LOCAL_ACTIVITY: 3,
        }
        assert await meter.read() == expected
        await signal(bench)
        await bench.turn(
            c.marker("c"),
            c.upsert_search_attributes(BuildIds=values),
            c.upsert_search_attributes(TemporalChangeVersion=values, BuildIds=values),
            metering_metadata={"nonfirst_local_activity_execution_attempts": 3000},
        )
        second = {
            actions.SIGNAL: 1,
            actions.RECORD_MARKERS: 1,
            actions.UPSERT: 2,
            actions.RETRY_LOCAL_ACTIVITY: 100,
        }
        assert await meter.read() == second
        assert estimate(await bench.events(key)) == {actions.START: 1, **(Counter(expected) + Counter(second))}

    metered(main)


def test_heartbeats_of_a_workflow_task() -> None:
    async def main(bench: HistoryBench, meter: Meter) -> None:
        await bench.start("order")
        await meter.read()
        for _ in range(3):
            await bench.turn(force_create_new_workflow_task=True)
        assert await meter.read() == {actions.WORKFLOW_HEARTBEAT: 3}

    metered(main)


def test_an_activity_that_is_tried_again() -> None:
    async def main(bench: HistoryBench, meter: Meter) -> None:
        key = await bench.start("order")
        await bench.turn(c.schedule_activity(QUEUE))
        await meter.read()
        task = await take_activity(bench)
        await bench.call("RecordActivityTaskHeartbeat", task_token=task.task_token)
        await bench.call(
            "RecordActivityTaskHeartbeatById", workflow_id="order", activity_id="a1", details=payloads("half")
        )
        assert await meter.read() == {actions.ACTIVITY_HEARTBEAT: 1, actions.ACTIVITY_HEARTBEAT_BY_ID: 1}
        offered = len(bench.offers.tasks)
        await bench.call(
            "RespondActivityTaskFailed",
            task_token=task.task_token,
            failure=failure("no"),
            last_heartbeat_details=payloads("two thirds"),
        )
        await bench.until(lambda: len(bench.offers.tasks) > offered)
        assert await meter.read() == {}, "nobody has it yet"
        task = await take_activity(bench)
        assert await meter.read() == {actions.RETRY_ACTIVITY: 1}
        await bench.call("RespondActivityTaskCompleted", task_token=task.task_token)
        assert await meter.read() == {}
        assert estimate(await bench.events(key)) == {
            actions.START: 1,
            actions.SCHEDULE_ACTIVITY: 1,
            actions.RETRY_ACTIVITY: 1,
        }

    metered(main)


# Others


def test_standalone_activities() -> None:
    async def main(bench: HistoryBench, meter: Meter) -> None:
        async def start() -> None:
            await bench.call(
                "StartActivityExecution",
                activity_id="pay",
                activity_type={"name": "Pay"},
                task_queue={"name": QUEUE},
                start_to_close_timeout={"seconds": 60},
                request_id="start",
            )

        await start()
        assert await meter.read() == {actions.START_STANDALONE_ACTIVITY: 1}
        await start()
        assert await meter.read() == {}
        task = await take_activity(bench)
        await bench.call("RecordActivityTaskHeartbeat", task_token=task.task_token)
        await bench.call("RecordActivityTaskHeartbeatById", activity_id="pay")
        assert await meter.read() == {
            actions.STANDALONE_ACTIVITY_HEARTBEAT: 1,
            actions.STANDALONE_ACTIVITY_HEARTBEAT_BY_ID: 1,
        }
        offered = len(bench.offers.tasks)
        await bench.call("RespondActivityTaskFailed", task_token=task.task_token, failure=failure("no"))
        await bench.until(lambda: len(bench.offers.tasks) > offered)
        await take_activity(bench)
        assert await meter.read() == {actions.RETRY_STANDALONE_ACTIVITY: 1}
        for rpc, costs in {
            "PauseActivityExecution": {actions.PAUSE_STANDALONE_ACTIVITY: 1},
            "UnpauseActivityExecution": {},
            "UpdateActivityExecutionOptions": {actions.UPDATE_STANDALONE_ACTIVITY_OPTIONS: 1},
            "ResetActivityExecution": {actions.RESET_STANDALONE_ACTIVITY: 1},
        }.items():
            fields: dict[str, Any] = {"activity_id": "pay", "request_id": rpc}
            if rpc == "UpdateActivityExecutionOptions":
                options = {"task_queue": {"name": "q"}}
                fields |= {"activity_options": options, "update_mask": {"paths": ["task_queue.name"]}}
            await bench.call(rpc, **fields)
            assert await meter.read() == costs, rpc
        for action in await bench.usage.actions(NAMESPACE.id, 0, NEVER, None, 100):
            assert action.action.type == actions.STANDALONE_ACTIVITY_TYPE

    metered(main)


def test_schedules() -> None:
    async def main(bench: HistoryBench, meter: Meter) -> None:
        workflow = {"workflow_id": "report", "workflow_type": {"name": "Report"}, "task_queue": {"name": QUEUE}}
        schedule = {"spec": {"cron_string": ["@yearly"]}, "action": {"start_workflow": workflow}}
        which: dict[str, Any] = {"schedule_id": "nightly"}
        trigger = SchedulePatch(trigger_immediately=TriggerImmediatelyRequest())
        for _ in range(2):
            await bench.call("CreateSchedule", **which, request_id="create", schedule=schedule)
        assert await meter.read() == {actions.CREATE_SCHEDULE: 1}
        for _ in range(2):
            await bench.call("UpdateSchedule", **which, request_id="update", schedule=schedule)
        assert await meter.read() == {actions.UPDATE_SCHEDULE: 1}
        for _ in range(2):
            await bench.call("PatchSchedule", **which, request_id="patch", patch=trigger)
        await bench.until(lambda: bool(bench.offers.tasks))
        # One firing of it, which makes three with the start.
        assert await meter.read() == {actions.PATCH_SCHEDULE: 1, actions.SCHEDULE_FIRING: 2, actions.START: 1}
        offered = len(bench.offers.tasks)
        await bench.turn(c.continue_as_new(retry_policy={"initial_interval": {"seconds": 1}}))
        assert await meter.read() == {actions.CONTINUE_AS_NEW: 1}
        await bench.until(lambda: len(bench.offers.tasks) > offered)
        offered = len(bench.offers.tasks)
        await bench.turn(c.fail())
        await bench.until(lambda: len(bench.offers.tasks) > offered)
        assert await meter.read() == {actions.START: 1}, "it is no firing"
        counted = await bench.usage.actions(NAMESPACE.id, 0, NEVER, None, 100)
        assert {each.action.type for each in counted} == {"Report"}
        assert {each.action.action for each in counted if each.action.background} == {actions.SCHEDULE_FIRING}

    metered(main)


def test_removing_a_schedule() -> None:
    async def main(bench: HistoryBench) -> None:
        workflow = {"workflow_id": "report", "workflow_type": {"name": "Report"}, "task_queue": {"name": QUEUE}}
        schedule = {"spec": {"cron_string": ["@yearly"]}, "action": {"start_workflow": workflow}}
        await bench.call("CreateSchedule", schedule_id="nightly", request_id="create", schedule=schedule)
        deletions = [bench.call("DeleteSchedule", schedule_id="nightly") for _ in range(2)]
        await asyncio.gather(*deletions, return_exceptions=True)
        assert await bench.actions() == {actions.CREATE_SCHEDULE: 1, actions.DELETE_SCHEDULE: 1}

    with_history(main)


# What no request leads to yet


def event(kind: str, **attributes: Any) -> HistoryEvent:
    return HistoryEvent(
        event_type=EventType.Value(f"EVENT_TYPE_{kind}"), **{f"{kind.lower()}_event_attributes": attributes}
    )


def test_events_that_nothing_makes_yet() -> None:
    reset = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW
    started, timer = event("WORKFLOW_EXECUTION_STARTED"), event("TIMER_STARTED")
    wound_back = [started, timer, event("WORKFLOW_TASK_FAILED", cause=reset), timer]
    for events, costs in [
        ([event("NEXUS_OPERATION_SCHEDULED")], {actions.SCHEDULE_NEXUS: 1}),
        ([event("NEXUS_OPERATION_CANCEL_REQUESTED")], {actions.CANCEL_NEXUS: 1}),
        ([event("WORKFLOW_EXECUTION_OPTIONS_UPDATED")], {actions.UPDATE_OPTIONS: 1}),
        (wound_back, {actions.RESET: 1, actions.START_TIMER: 1}),
    ]:
        assert billable(ExecutionKind.WORKFLOW, events, []) == costs
        assert estimate(events) == costs


def test_an_event_that_was_held_back_counts_when_it_came() -> None:
    signaled, timer = event("WORKFLOW_EXECUTION_SIGNALED"), event("TIMER_STARTED")
    assert billable(ExecutionKind.WORKFLOW, [], [EventBuffered(signaled)]) == {actions.SIGNAL: 1}
    changes = [EventsRecorded(1), EventsRecorded(1, folded=True)]
    assert billable(ExecutionKind.WORKFLOW, [timer, signaled, timer], changes) == {actions.START_TIMER: 2}
