"""The state of one standalone Nexus operation: the operation itself, as workflows have them, and how it ended.

The rules for what is stored are those of `state.execution`.
"""

from __future__ import annotations

import msgspec
from temporalio.api.common.v1 import Link, Payload, SearchAttributes
from temporalio.api.enums.v1 import NexusOperationExecutionStatus
from temporalio.api.failure.v1 import Failure
from temporalio.api.sdk.v1 import UserMetadata

from perdure.history.state.activity_execution import Cancellation
from perdure.history.state.nexus import NexusOperation
from perdure.kernel.ids import ExecutionKey, ExecutionKind, NamespaceId, RunId, WorkflowId

RUNNING = NexusOperationExecutionStatus.NEXUS_OPERATION_EXECUTION_STATUS_RUNNING

#: By what the operation goes where workflows number theirs by their scheduled events.
OPERATION_KEY = 1


class OperationExecution(msgspec.Struct):
    """One run of a standalone Nexus operation. `workflow_id` is the operation's id."""

    namespace_id: NamespaceId
    workflow_id: WorkflowId
    run_id: RunId
    #: A `NexusOperationExecutionStatus`.
    status: int = RUNNING
    closed_at: int = 0
    state_transitions: int = 0
    operations: dict[int, NexusOperation] = {}
    #: Of the caller who started it; its handler knows it by the one in `operations`.
    request_id: str = ""
    identity: str = ""
    search_attributes: SearchAttributes = msgspec.field(default_factory=SearchAttributes)
    user_metadata: UserMetadata | None = None
    links: list[Link] = []
    cancellation: Cancellation | None = None
    terminate_request_id: str = ""
    result: Payload | None = None
    failure: Failure | None = None

    @property
    def key(self) -> ExecutionKey:
        return ExecutionKey(self.namespace_id, self.workflow_id, self.run_id, ExecutionKind.NEXUS_OPERATION)

    @property
    def running(self) -> bool:
        return self.status == RUNNING

    @property
    def next_event_id(self) -> int:
        return 1

    @property
    def operation(self) -> NexusOperation:
        return self.operations[OPERATION_KEY]
