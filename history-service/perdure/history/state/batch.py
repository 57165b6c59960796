"""The state of one batch job. The rules for stored structs are those of `state.execution`."""

from __future__ import annotations

import msgspec
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflowservice.v1 import StartBatchOperationRequest

from perdure.kernel.ids import ExecutionKey, ExecutionKind, NamespaceId, RunId, WorkflowId

RUNNING = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING


class Target(msgspec.Struct, frozen=True, array_like=True):
    """An execution to which the operation is to be done. `id` is a workflow's, or a standalone activity's."""

    id: str
    run_id: str


class Batch(msgspec.Struct):
    """One job. `workflow_id` is the job's id.

    `targets` are those of the page in hand that have not been dealt with, in order; `next_page_token` is where the next
    page begins, unless that was the last.
    """

    namespace_id: NamespaceId
    workflow_id: WorkflowId
    run_id: RunId
    request: StartBatchOperationRequest = msgspec.field(default_factory=StartBatchOperationRequest)
    started_at: int = 0
    #: A `WorkflowExecutionStatus`: of a job that was stopped, TERMINATED.
    status: int = RUNNING
    closed_at: int = 0
    state_transitions: int = 0
    #: How many executions there were when the job began; unset until they are counted.
    total: int | None = None
    completed: int = 0
    failed: int = 0
    targets: list[Target] = []
    next_page_token: bytes = b""
    all_listed: bool = False
    #: Why it ended before its time.
    reason: str = ""

    @property
    def key(self) -> ExecutionKey:
        return ExecutionKey(self.namespace_id, self.workflow_id, self.run_id, ExecutionKind.BATCH)

    @property
    def running(self) -> bool:
        return self.status == RUNNING

    @property
    def next_event_id(self) -> int:
        return 1
