"""What people do with workflows every day, by the official SDK."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateStage,
)
from temporalio.common import (
    RetryPolicy,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
)
from temporalio.exceptions import ApplicationError, CancelledError, ChildWorkflowError, WorkflowAlreadyStartedError

from tests.support.sdk import history, kinds, until, worker

CUSTOMER = SearchAttributeKey.for_keyword("Customer")
AMOUNT = SearchAttributeKey.for_int("Amount")


@workflow.defn
class Counter:
    """Adds up what it is told, until it is told to stop."""

    @workflow.init
    def __init__(self, initial: int = 0) -> None:
        self.total = initial
        self.stopped = False

    @workflow.run
    async def run(self, initial: int = 0) -> int:
        await workflow.wait_condition(lambda: self.stopped)
        return self.total

    @workflow.signal
    def add(self, amount: int) -> None:
        self.total += amount

    @workflow.signal
    def stop(self) -> None:
        self.stopped = True

    @workflow.query
    def value(self) -> int:
        return self.total

    @workflow.update
    async def add_and_get(self, amount: int) -> int:
        if amount == 13:
            raise ApplicationError("unlucky")
        self.total += amount
        return self.total

    @add_and_get.validator
    def only_positive(self, amount: int) -> None:
        if amount < 0:
            raise ValueError("negative")


@workflow.defn
class Echo:
    @workflow.run
    async def run(self, word: str) -> str:
        return word


@workflow.defn
class Parent:
    @workflow.run
    async def run(self, words: list[str]) -> list[str]:
        calls = (workflow.execute_child_workflow(Echo.run, word) for word in words)
        return list(await asyncio.gather(*calls))


@workflow.defn
class ParentOfFailure:
    @workflow.run
    async def run(self) -> str:
        try:
            await workflow.execute_child_workflow(FailsUntil.run, 99)
        except ChildWorkflowError as error:
            assert isinstance(error.cause, ApplicationError)
            return error.cause.message
        return "nothing failed"


@workflow.defn
class ParentOfForever:
    @workflow.run
    async def run(self) -> None:
        child = await workflow.start_child_workflow(Forever.run, id=f"{workflow.info().workflow_id}-child")
        await child


@workflow.defn
class Forever:
    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)


@workflow.defn
class FailsUntil:
    """Fails until its given attempt."""

    @workflow.run
    async def run(self, attempt: int) -> int:
        if workflow.info().attempt < attempt:
            raise ApplicationError(f"attempt {workflow.info().attempt}")
        return workflow.info().attempt


@workflow.defn
class Countdown:
    @workflow.run
    async def run(self, left: int) -> str:
        if left:
            workflow.continue_as_new(left - 1)
        return "ignition"


@workflow.defn
class TidiesUp:
    @workflow.run
    async def run(self) -> str:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
            return "tidied up"
        return "slept"


@workflow.defn
class Tick:
    """A cron job that counts its runs."""

    @workflow.run
    async def run(self) -> int:
        last: int = workflow.get_last_completion_result(int) or 0
        return last + 1


@workflow.defn
class Marks:
    """Changes its search attributes and memo."""

    @workflow.run
    async def run(self) -> None:
        workflow.upsert_search_attributes([AMOUNT.value_set(7)])
        workflow.upsert_memo({"note": "paid", "draft": None})


@workflow.defn
class SignalsAnother:
    @workflow.run
    async def run(self, workflow_id: str) -> None:
        other = workflow.get_external_workflow_handle_for(Counter.run, workflow_id)
        await other.signal(Counter.add, 5)
        await other.signal(Counter.stop)


def new_id() -> str:
    return f"workflow-{uuid4()}"


async def test_signals_and_queries(client: Client) -> None:
    async with worker(client, [Counter]) as running:
        handle = await client.start_workflow(Counter.run, 1, id=new_id(), task_queue=running.task_queue)
        assert await handle.query(Counter.value) == 1
        await handle.signal(Counter.add, 2)
        assert await handle.query(Counter.value) == 3
        await handle.signal(Counter.stop)
        assert await handle.result() == 3
        assert await handle.query(Counter.value) == 3


async def test_queries_of_a_cold_workflow(client: Client) -> None:
    async with worker(client, [Counter]) as first:
        handle = await client.start_workflow(Counter.run, 4, id=new_id(), task_queue=first.task_queue)
        assert await handle.query(Counter.value) == 4
    async with worker(client, [Counter], task_queue=first.task_queue):
        assert await handle.query(Counter.value) == 4


async def test_updates(client: Client) -> None:
    async with worker(client, [Counter]) as running:
        handle = await client.start_workflow(Counter.run, id=new_id(), task_queue=running.task_queue)
        assert await handle.execute_update(Counter.add_and_get, 2, id="first") == 2
        assert await handle.execute_update(Counter.add_and_get, 2, id="first") == 2, "the same id is the same update"
        with pytest.raises(WorkflowUpdateFailedError) as rejected:
            await handle.execute_update(Counter.add_and_get, -1)
        assert "negative" in str(rejected.value.cause)
        with pytest.raises(WorkflowUpdateFailedError) as failed:
            await handle.execute_update(Counter.add_and_get, 13)
        assert "unlucky" in str(failed.value.cause)
        pending = await handle.start_update(
            Counter.add_and_get, 3, wait_for_stage=WorkflowUpdateStage.ACCEPTED, id="second"
        )
        assert await pending.result() == 5
        assert await handle.get_update_handle_for(Counter.add_and_get, "second").result() == 5
        seen = kinds(await history(handle))
        assert seen.count("WORKFLOW_EXECUTION_UPDATE_ACCEPTED") == 3, "a rejected update leaves no trace"
        assert seen.count("WORKFLOW_EXECUTION_UPDATE_COMPLETED") == 3


async def test_update_with_start(client: Client) -> None:
    async with worker(client, [Counter]) as running:
        workflow_id = new_id()

        def operation() -> WithStartWorkflowOperation[Counter, int]:
            return WithStartWorkflowOperation(
                Counter.run,
                100,
                id=workflow_id,
                task_queue=running.task_queue,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            )

        add, started = Counter.add_and_get, operation()
        assert await client.execute_update_with_start_workflow(add, 1, start_workflow_operation=started) == 101
        existing = operation()
        assert await client.execute_update_with_start_workflow(add, 1, start_workflow_operation=existing) == 102
        handles = await started.workflow_handle(), await existing.workflow_handle()
        assert handles[0].first_execution_run_id == handles[1].first_execution_run_id


async def test_signal_with_start(client: Client) -> None:
    async with worker(client, [Counter]) as running:
        workflow_id = new_id()
        for amount in (1, 2):
            handle = await client.start_workflow(
                Counter.run,
                10,
                id=workflow_id,
                task_queue=running.task_queue,
                start_signal="add",
                start_signal_args=[amount],
            )
        await handle.signal(Counter.stop)
        assert await handle.result() == 13


async def test_signal_of_another_workflow(client: Client) -> None:
    async with worker(client, [Counter, SignalsAnother]) as running:
        counter = await client.start_workflow(Counter.run, id=new_id(), task_queue=running.task_queue)
        await client.execute_workflow(SignalsAnother.run, counter.id, id=new_id(), task_queue=running.task_queue)
        assert await counter.result() == 5
        signals = [
            event for event in await history(counter) if event.HasField("workflow_execution_signaled_event_attributes")
        ]
        assert len(signals) == 2


async def test_cancellation_lets_the_workflow_tidy_up(client: Client) -> None:
    async with worker(client, [TidiesUp, Forever]) as running:
        tidy = await client.start_workflow(TidiesUp.run, id=new_id(), task_queue=running.task_queue)
        await until(tidy, EventType.EVENT_TYPE_TIMER_STARTED)
        await tidy.cancel()
        assert await tidy.result() == "tidied up"
        forever = await client.start_workflow(Forever.run, id=new_id(), task_queue=running.task_queue)
        await forever.cancel()
        with pytest.raises(WorkflowFailureError) as cancelled:
            await forever.result()
        assert isinstance(cancelled.value.cause, CancelledError)
        assert (await forever.describe()).status == WorkflowExecutionStatus.CANCELED


async def test_children(client: Client) -> None:
    async with worker(client, [Parent, ParentOfFailure, Echo, FailsUntil]) as running:
        words = [f"word {number}" for number in range(10)]
        assert await client.execute_workflow(Parent.run, words, id=new_id(), task_queue=running.task_queue) == words
        failed = await client.execute_workflow(ParentOfFailure.run, id=new_id(), task_queue=running.task_queue)
        assert failed == "attempt 1"


async def test_a_terminated_parent_takes_its_child_along(client: Client) -> None:
    async with worker(client, [ParentOfForever, Forever]) as running:
        parent = await client.start_workflow(ParentOfForever.run, id=new_id(), task_queue=running.task_queue)
        await until(parent, EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED)
        await parent.terminate("enough")
        child: WorkflowHandle[Forever, None] = client.get_workflow_handle(f"{parent.id}-child")
        ended = await until(child, EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED)
        assert ended.workflow_execution_terminated_event_attributes.reason == "by parent close policy"


async def test_continue_as_new(client: Client) -> None:
    async with worker(client, [Countdown]) as running:
        handle = await client.start_workflow(Countdown.run, 1, id=new_id(), task_queue=running.task_queue)
        assert await handle.result() == "ignition"
        assert (await handle.describe()).status == WorkflowExecutionStatus.COMPLETED
        first = client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id)
        assert (await first.describe()).status == WorkflowExecutionStatus.CONTINUED_AS_NEW
        runs = [run async for run in client.list_workflows(f"WorkflowId = '{handle.id}'")]
        assert len(runs) == 2


async def test_workflow_retries(client: Client) -> None:
    async with worker(client, [FailsUntil]) as running:
        retry = RetryPolicy(initial_interval=timedelta(milliseconds=10), maximum_attempts=2)
        options: dict[str, Any] = {"task_queue": running.task_queue, "retry_policy": retry}
        assert await client.execute_workflow(FailsUntil.run, 2, id=new_id(), **options) == 2
        with pytest.raises(WorkflowFailureError) as failed:
            await client.execute_workflow(FailsUntil.run, 3, id=new_id(), **options)
        assert "attempt 2" in str(failed.value.cause)


async def test_cron_hands_the_last_result_on(client: Client) -> None:
    async with worker(client, [Tick]) as running:
        handle = await client.start_workflow(
            Tick.run, id=new_id(), task_queue=running.task_queue, cron_schedule="@every 1s"
        )
        assert await handle.result(follow_runs=False) == 1
        first = client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id)
        next_run = (await history(first))[-1].workflow_execution_completed_event_attributes.new_execution_run_id
        second: WorkflowHandle[Tick, int] = client.get_workflow_handle(handle.id, run_id=next_run)
        assert await second.result(follow_runs=False) == 2
        await client.get_workflow_handle(handle.id).terminate()


async def test_search_attributes_memo_list_and_count(client: Client) -> None:
    async with worker(client, [Marks]) as running:
        customer = str(uuid4())
        for _ in range(3):
            handle = await client.start_workflow(
                Marks.run,
                id=new_id(),
                task_queue=running.task_queue,
                memo={"draft": True},
                search_attributes=TypedSearchAttributes([SearchAttributePair(CUSTOMER, customer)]),
            )
            await handle.result()
        query = f"Customer = '{customer}' AND Amount > 6 AND ExecutionStatus = 'Completed'"
        found = [run async for run in client.list_workflows(query)]
        assert len(found) == 3
        assert all(run.typed_search_attributes[AMOUNT] == 7 for run in found)
        assert (await client.count_workflows(query)).count == 3
        grouped = await client.count_workflows(f"Customer = '{customer}' GROUP BY ExecutionStatus")
        assert [(group.count, list(group.group_values)) for group in grouped.groups] == [(3, ["Completed"])]
        description = await handle.describe()
        assert await description.memo() == {"note": "paid"}
        assert description.typed_search_attributes[CUSTOMER] == customer


async def test_ids(client: Client) -> None:
    async with worker(client, [Counter]) as running:
        workflow_id = new_id()
        options: dict[str, Any] = {"id": workflow_id, "task_queue": running.task_queue}
        first = await client.start_workflow(Counter.run, **options)
        with pytest.raises(WorkflowAlreadyStartedError) as refused:
            await client.start_workflow(Counter.run, **options)
        assert refused.value.run_id == first.first_execution_run_id
        same = await client.start_workflow(
            Counter.run, **options, id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING
        )
        assert same.first_execution_run_id == first.first_execution_run_id
        other = await client.start_workflow(
            Counter.run, **options, id_conflict_policy=WorkflowIDConflictPolicy.TERMINATE_EXISTING
        )
        assert other.first_execution_run_id != first.first_execution_run_id
        old = client.get_workflow_handle(workflow_id, run_id=first.first_execution_run_id)
        assert (await old.describe()).status == WorkflowExecutionStatus.TERMINATED


async def test_eager_start(client: Client) -> None:
    async with worker(client, [Echo]) as running:
        handle = await client.start_workflow(
            Echo.run, "hello", id=new_id(), task_queue=running.task_queue, request_eager_start=True
        )
        assert await handle.result() == "hello"
        started = (await history(handle))[0].workflow_execution_started_event_attributes
        assert started.eager_execution_accepted


async def test_start_delay(client: Client) -> None:
    async with worker(client, [Echo]) as running:
        handle = await client.start_workflow(
            Echo.run, "late", id=new_id(), task_queue=running.task_queue, start_delay=timedelta(milliseconds=300)
        )
        assert await handle.result() == "late"
        first, second = (await history(handle))[:2]
        waited = second.event_time.ToNanoseconds() - first.event_time.ToNanoseconds()
        assert 0.3e9 <= waited < 5e9


async def test_timeouts(client: Client) -> None:
    async with worker(client, [Forever]) as running:
        handle = await client.start_workflow(
            Forever.run, id=new_id(), task_queue=running.task_queue, run_timeout=timedelta(milliseconds=500)
        )
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        assert (await handle.describe()).status == WorkflowExecutionStatus.TIMED_OUT
