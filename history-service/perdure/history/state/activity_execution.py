"""The state of one standalone activity: the activity itself, as workflows have them, and how it ended.

The rules for what is stored are those of `state.execution`.
"""

from __future__ import annotations

import msgspec
from temporalio.api.activity.v1 import ActivityExecutionOutcome
from temporalio.api.common.v1 import Link, Priority, SearchAttributes
from temporalio.api.enums.v1 import ActivityExecutionStatus
from temporalio.api.sdk.v1 import UserMetadata

from perdure.history.state.execution import Activity
from perdure.kernel.ids import ExecutionKey, ExecutionKind, NamespaceId, RunId, WorkflowId

RUNNING = ActivityExecutionStatus.ACTIVITY_EXECUTION_STATUS_RUNNING

#: By what the activity goes where workflows number theirs by their scheduled events.
ACTIVITY_KEY = 1


class Cancellation(msgspec.Struct, frozen=True):
    """Who asked for it to be cancelled, and why."""

    at: int
    identity: str
    reason: str
    request_id: str


class ActivityExecution(msgspec.Struct):
    """One run of a standalone activity. `workflow_id` is the activity's id."""

    namespace_id: NamespaceId
    workflow_id: WorkflowId
    run_id: RunId
    #: An `ActivityExecutionStatus`; one that is paused has the status of one that runs.
    status: int = RUNNING
    closed_at: int = 0
    state_transitions: int = 0
    activities: dict[int, Activity] = {}
    request_id: str = ""
    search_attributes: SearchAttributes = msgspec.field(default_factory=SearchAttributes)
    user_metadata: UserMetadata | None = None
    links: list[Link] = []
    #: Requests that have attached links, so that a repeated one does not do it again.
    linked_requests: dict[str, None] = {}
    #: The request that an operator's command (pause, unpause, ...) came with last.
    commands: dict[str, str] = {}
    cancellation: Cancellation | None = None
    terminate_request_id: str = ""
    outcome: ActivityExecutionOutcome | None = None

    @property
    def key(self) -> ExecutionKey:
        return ExecutionKey(self.namespace_id, self.workflow_id, self.run_id, ExecutionKind.ACTIVITY)

    @property
    def running(self) -> bool:
        return self.status == RUNNING

    @property
    def holds_tasks(self) -> bool:
        """Its pause is its activity's own."""
        return False

    @property
    def next_event_id(self) -> int:
        return 1

    @property
    def priority(self) -> Priority:
        return Priority()

    @property
    def activity(self) -> Activity:
        return self.activities[ACTIVITY_KEY]
