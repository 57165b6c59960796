"""Messages between executions whose receiver cannot be read: the sender learns, and waits for nothing any more."""

from __future__ import annotations

from temporalio.api.enums.v1 import (
    CancelExternalWorkflowExecutionFailedCause,
    SignalExternalWorkflowExecutionFailedCause,
    StartChildWorkflowExecutionFailedCause,
)

from perdure.kernel.ids import ExecutionKey
from perdure.kernel.persistence.executions import StoreUnavailable
from tests.differential import commands as c
from tests.support.history import HistoryBench, with_history


async def damaged(bench: HistoryBench, workflow_id: str) -> ExecutionKey:
    """A run whose records are damaged from the next time on that they are read."""
    key = await bench.start(workflow_id)
    bench.store.damaged.add(key)
    await bench.forget()
    return key


def test_a_child_whose_id_belongs_to_a_damaged_run() -> None:
    async def main(bench: HistoryBench) -> None:
        await damaged(bench, "child")
        parent = await bench.start("parent")
        await bench.turn(c.start_child("child", "orders"))
        failed = await bench.await_event(parent, "START_CHILD_WORKFLOW_EXECUTION_FAILED")
        assert failed.start_child_workflow_execution_failed_event_attributes.cause == (
            StartChildWorkflowExecutionFailedCause.START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE_WORKFLOW_ALREADY_EXISTS
        )

    with_history(main)


def test_signals_and_cancel_requests_to_a_damaged_run() -> None:
    async def main(bench: HistoryBench) -> None:
        await damaged(bench, "other")
        key = await bench.start("sender")
        await bench.turn(c.signal_external("other"), c.cancel_external("other"))
        signal = await bench.await_event(key, "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED")
        assert (
            signal.signal_external_workflow_execution_failed_event_attributes.cause
            == (
                SignalExternalWorkflowExecutionFailedCause
            ).SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_EXTERNAL_WORKFLOW_EXECUTION_NOT_FOUND
        )
        cancel = await bench.await_event(key, "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED")
        assert (
            cancel.request_cancel_external_workflow_execution_failed_event_attributes.cause
            == (
                CancelExternalWorkflowExecutionFailedCause
            ).CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_EXTERNAL_WORKFLOW_EXECUTION_NOT_FOUND
        )

    with_history(main)


def test_a_run_whose_child_is_damaged_owes_it_nothing_after_its_end() -> None:
    async def main(bench: HistoryBench) -> None:
        parent = await bench.start("parent")
        await bench.turn(c.start_child("child", "orders"))
        started = await bench.await_event(parent, "CHILD_WORKFLOW_EXECUTION_STARTED")
        run_id = started.child_workflow_execution_started_event_attributes.workflow_execution.run_id
        bench.store.damaged.add(ExecutionKey(parent.namespace_id, "child", run_id))  # type: ignore[arg-type]
        await bench.forget()
        await bench.call("TerminateWorkflowExecution", workflow_execution={"workflow_id": "parent"})
        loaded = await bench.loaded(parent)
        assert loaded.state.orphans
        await bench.until(lambda: not loaded.state.orphans)

    with_history(main)


def test_a_run_whose_parent_is_damaged_owes_it_nothing() -> None:
    async def main(bench: HistoryBench) -> None:
        parent = await bench.start("parent")
        await bench.turn(c.start_child("child", "orders"))
        started = await bench.await_event(parent, "CHILD_WORKFLOW_EXECUTION_STARTED")
        run_id = started.child_workflow_execution_started_event_attributes.workflow_execution.run_id
        bench.store.damaged.add(parent)
        await bench.forget()
        await bench.call("TerminateWorkflowExecution", workflow_execution={"workflow_id": "child"})
        loaded = await bench.loaded(ExecutionKey(parent.namespace_id, "child", run_id))  # type: ignore[arg-type]
        assert loaded.state.owes_parent
        await bench.until(lambda: not loaded.state.owes_parent)

    with_history(main)


def test_a_receiver_that_is_out_of_reach_is_tried_again() -> None:
    async def main(bench: HistoryBench) -> None:
        await bench.start("other")
        key = await bench.start("sender")
        await bench.forget()
        task = await bench.take_task()
        bench.store.failures["current_run"] = [StoreUnavailable("disk")] * 3
        await bench.call(
            "RespondWorkflowTaskCompleted", task_token=task.task_token, commands=[c.signal_external("other")]
        )
        await bench.await_event(key, "EXTERNAL_WORKFLOW_EXECUTION_SIGNALED")
        assert not bench.store.failures["current_run"]

    with_history(main)
