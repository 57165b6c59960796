"""Batch jobs: from start to end. What is done in between, and to whom, is decided by who works on them."""

from __future__ import annotations

from collections.abc import Sequence

from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflowservice.v1 import StartBatchOperationRequest

from perdure.history.effects import RunBatch
from perdure.history.machines.workflow import already_completed
from perdure.history.state.batch import Batch, Target
from perdure.history.state.batch_changes import (
    BatchCounted,
    BatchEnded,
    BatchListed,
    BatchProgressed,
    BatchStarted,
    BatchTargetsNamed,
)
from perdure.history.transition import BaseTransition

BatchTransition = BaseTransition[Batch]

_Status = WorkflowExecutionStatus


def start(tx: BatchTransition, request: StartBatchOperationRequest) -> None:
    """Begin. Executions that are listed in the request are the only page; else they are looked for."""
    tx.change(BatchStarted(tx.now, request))
    targets = [Target(each.workflow_id, each.run_id) for each in request.executions]
    targets += [Target(each.business_id, each.run_id) for each in request.target_executions]
    if targets:
        tx.change(BatchCounted(len(targets)))
        tx.change(BatchListed(targets, b"", last=True))
    tx.effect(RunBatch())


def counted(tx: BatchTransition, total: int) -> None:
    tx.change(BatchCounted(total))


def listed(tx: BatchTransition, targets: Sequence[Target], next_page_token: bytes) -> None:
    tx.change(BatchListed(list(targets), next_page_token, last=not next_page_token))


def named(tx: BatchTransition, targets: Sequence[Target]) -> None:
    """The first of the executions in hand were listed without a run: these are the runs that were meant."""
    tx.change(BatchTargetsNamed(list(targets)))


def progressed(tx: BatchTransition, position: int, completed: int, failed: int) -> None:
    """The operation was done, or cannot be done, to the next executions after the first `position` of all. Says nothing
    if those were reported before. Counts also after a stop.
    """
    if position != tx.state.completed + tx.state.failed:
        return
    tx.change(BatchProgressed(completed, failed))
    if tx.state.running and tx.state.all_listed and not tx.state.targets:
        complete(tx)


def complete(tx: BatchTransition) -> None:
    """Nothing is left to be done."""
    tx.change(BatchEnded(tx.now, _Status.WORKFLOW_EXECUTION_STATUS_COMPLETED, ""))


def fail(tx: BatchTransition, reason: str) -> None:
    """It cannot go on."""
    tx.change(BatchEnded(tx.now, _Status.WORKFLOW_EXECUTION_STATUS_FAILED, reason))


def stop(tx: BatchTransition, reason: str) -> None:
    """Somebody wants no more of it; what has been done stays done.

    Raises:
        NotFound: it has ended.
    """
    if not tx.state.running:
        raise already_completed()
    tx.change(BatchEnded(tx.now, _Status.WORKFLOW_EXECUTION_STATUS_TERMINATED, reason))
