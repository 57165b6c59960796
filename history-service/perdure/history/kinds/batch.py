"""A batch job in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from temporalio.api.enums.v1 import BatchOperationType
from temporalio.api.history.v1 import HistoryEvent

from perdure.history.effects import Effect, RunBatch
from perdure.history.kinds.kind import Loaded
from perdure.history.machines.batch import BatchTransition
from perdure.history.state.batch import Batch
from perdure.history.state.batch_changes import BatchEnded, BatchStarted
from perdure.history.state.changes import AnyChange
from perdure.history.transition import BaseTransition
from perdure.kernel.batch_operations import operation_type
from perdure.kernel.entropy import Entropy
from perdure.kernel.errors import NotFound, workflow_not_found
from perdure.kernel.ids import ExecutionKind
from perdure.kernel.limits import Limits
from perdure.kernel.namespace import Namespace
from perdure.kernel.persistence.visibility import VisibilityRecord


class BatchAgenda:
    """The open ends of one job: all of it."""

    __slots__ = ("state",)

    def __init__(self, state: Batch) -> None:
        self.state = state

    def note(self, events: Iterable[HistoryEvent], changes: Iterable[AnyChange], now: int) -> None:
        """Nothing is kept beside the state."""

    def next_deadline(self, now: int, retention: int) -> int:
        return 0 if self.state.running else self.state.closed_at + retention

    def expire(self, tx: BatchTransition) -> None:
        """Nothing happens by time alone."""

    @property
    def owes(self) -> bool:
        return self.state.running

    def outstanding(self, now: int) -> list[Effect]:
        return [RunBatch()] if self.state.running else []


class LoadedBatch(Loaded[BatchTransition]):
    """One batch job that a shard holds in memory."""

    __slots__ = ()

    kind = ExecutionKind.BATCH
    state_type = Batch
    new_agenda = BatchAgenda

    state: Batch
    agenda: BatchAgenda

    @staticmethod
    def not_found(workflow_id: str, run_id: str) -> NotFound:
        return workflow_not_found(workflow_id, run_id)

    @staticmethod
    def new_transition(state: Any, now: int, entropy: Entropy, limits: Limits, namespace: Namespace) -> BatchTransition:
        return BaseTransition(state, now, entropy, limits, namespace)

    @property
    def metered_type(self) -> str:
        return ""

    def changes_visibility(self, events: Sequence[HistoryEvent], changes: Sequence[AnyChange]) -> bool:
        return any(isinstance(change, BatchStarted | BatchEnded) for change in changes)

    def visibility_record(self, namespace: Namespace) -> VisibilityRecord:
        state = self.state
        return VisibilityRecord(
            namespace_id=state.namespace_id,
            workflow_id=state.workflow_id,
            run_id=state.run_id,
            kind=ExecutionKind.BATCH,
            # What lists show of it.
            workflow_type=BatchOperationType.Name(operation_type(state.request)),
            task_queue="",
            status=state.status,
            start_time_ns=state.started_at,
            execution_time_ns=state.started_at,
            close_time_ns=state.closed_at or None,
        )
