"""A standalone Nexus operation in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from temporalio.api.common.v1 import Memo
from temporalio.api.enums.v1 import NexusOperationExecutionStatus, WorkflowExecutionStatus
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.nexus.v1 import NexusOperationExecutionListInfo

from perdure.history.effects import CancelNexusOperation, Effect, StartNexusOperation
from perdure.history.kinds.kind import Loaded
from perdure.history.machines import nexus_operation, standalone_nexus
from perdure.history.machines.standalone_nexus import StandaloneOperation
from perdure.history.state.changes import AnyChange, OperationClosed, OperationScheduled
from perdure.history.state.operation_execution import OPERATION_KEY, OperationExecution
from perdure.kernel.errors import NotFound
from perdure.kernel.ids import ExecutionKind
from perdure.kernel.metering.actions import STANDALONE_OPERATION_TYPE
from perdure.kernel.namespace import Namespace
from perdure.kernel.persistence.visibility import OPERATION_INFO, VisibilityRecord
from perdure.kernel.visibility import attributes

#: Changes after which a list shows something else.
_SHOWN = (OperationScheduled, OperationClosed)


class OperationAgenda:
    """What a standalone operation owes, and when it wants attention: as little as it is, it is looked up each time."""

    __slots__ = ("state",)

    def __init__(self, state: OperationExecution) -> None:
        self.state = state

    def note(self, events: Iterable[HistoryEvent], changes: Iterable[AnyChange], now: int) -> None:
        """Nothing is kept up to date here."""

    def next_deadline(self, now: int, retention: int) -> int:
        state = self.state
        return nexus_operation.deadline(state.operation, now) if state.running else state.closed_at + retention

    def expire(self, tx: StandaloneOperation) -> None:
        operation = tx.state.operation
        for news in nexus_operation.expire(tx, operation):
            standalone_nexus.record(tx, operation, news)

    @property
    def owes(self) -> bool:
        state = self.state
        return state.running and (state.operation.wants_start or state.operation.wants_cancel)

    def outstanding(self, now: int) -> list[Effect]:
        if not self.owes or nexus_operation.next_attempt_at(self.state.operation) > now:
            return []
        wants_start = self.state.operation.wants_start
        return [StartNexusOperation(OPERATION_KEY) if wants_start else CancelNexusOperation(OPERATION_KEY)]


class LoadedOperation(Loaded[StandaloneOperation]):
    """One run of a standalone Nexus operation that a shard holds in memory."""

    __slots__ = ()

    kind = ExecutionKind.NEXUS_OPERATION
    state_type = OperationExecution
    new_agenda = OperationAgenda
    new_transition = StandaloneOperation

    state: OperationExecution

    @staticmethod
    def not_found(workflow_id: str, run_id: str) -> NotFound:
        return standalone_nexus.not_found(workflow_id)

    @property
    def metered_type(self) -> str:
        return STANDALONE_OPERATION_TYPE

    def changes_visibility(self, events: Sequence[HistoryEvent], changes: Sequence[AnyChange]) -> bool:
        return any(isinstance(change, _SHOWN) for change in changes)

    def visibility_record(self, namespace: Namespace) -> VisibilityRecord:
        """Endpoint, service and operation are in the memo to be shown, and among the attributes to be found by."""
        state, operation = self.state, self.state.operation
        scheduled = operation.scheduled
        shown = NexusOperationExecutionListInfo(
            endpoint=scheduled.endpoint, service=scheduled.service, operation=scheduled.operation
        )
        memo = Memo()
        memo.fields[OPERATION_INFO].metadata["encoding"] = b"binary/protobuf"
        memo.fields[OPERATION_INFO].data = shown.SerializeToString()
        found_by = attributes.decode_stored(state.search_attributes, namespace.search_attributes)
        found_by["TemporalNexusEndpoint"] = scheduled.endpoint
        found_by["TemporalNexusService"] = scheduled.service
        found_by["TemporalNexusOperation"] = scheduled.operation
        found_by["TemporalNexusRequestId"] = scheduled.request_id
        return VisibilityRecord(
            namespace_id=state.namespace_id,
            workflow_id=state.workflow_id,
            run_id=state.run_id,
            kind=ExecutionKind.NEXUS_OPERATION,
            workflow_type="",
            task_queue="",
            status=_listed_status(state),
            start_time_ns=operation.scheduled_at,
            execution_time_ns=operation.scheduled_at,
            close_time_ns=state.closed_at or None,
            state_transition_count=state.state_transitions if state.closed_at else 0,
            memo=memo.SerializeToString(),
            indexed_fields=state.search_attributes.SerializeToString(),
            search_attributes=found_by,
        )


def _listed_status(state: OperationExecution) -> int:
    """Its number among those of workflows, which lists have for executions of all kinds."""
    status = NexusOperationExecutionStatus.ValueType(state.status)
    name = NexusOperationExecutionStatus.Name(status).removeprefix("NEXUS_OPERATION_EXECUTION_STATUS_")
    return WorkflowExecutionStatus.Value(f"WORKFLOW_EXECUTION_STATUS_{name}")
