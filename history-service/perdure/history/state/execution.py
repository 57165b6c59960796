"""The state of one run. Changed only by `evolve` (from events) and `amend` (from changes), see `fold`.

Evolution rule for everything stored here: new fields go to the end and have a default; none changes its meaning.
Instants and durations are nanoseconds; 0 means unset.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec
from temporalio.api.common.v1 import Memo, Payloads, Priority, SearchAttributes, WorkerVersionStamp
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import (
    ActivityTaskScheduledEventAttributes,
    HistoryEvent,
    RequestCancelExternalWorkflowExecutionInitiatedEventAttributes,
    SignalExternalWorkflowExecutionInitiatedEventAttributes,
    StartChildWorkflowExecutionInitiatedEventAttributes,
    WorkflowExecutionStartedEventAttributes,
)
from temporalio.api.sdk.v1 import UserMetadata
from temporalio.api.update.v1 import Request as UpdateRequest
from temporalio.api.workflow.v1 import ResetPoints, WorkflowExecutionVersioningInfo

from perdure.history.state.nexus import CompletionCallback, NexusOperation
from perdure.history.state.time_skipping import TimeSkipping
from perdure.kernel.ids import ExecutionKey, NamespaceId, RunId, WorkflowId
from perdure.kernel.mail import ScheduledBy

RUNNING = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING
PAUSED = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_PAUSED
#: Of executions of every kind that have not ended.
OPEN = frozenset({RUNNING, PAUSED})


class WorkflowTaskType(IntEnum):
    """How much of the pending workflow task is already in the history.

    NORMAL: its scheduled event is. TRANSIENT (a retry) and SPECULATIVE (made only to deliver an update): nothing yet;
    both are written when they complete, and a speculative one that rejected its updates never is.
    """

    NORMAL = 0
    TRANSIENT = 1
    SPECULATIVE = 2


class WorkflowTask(msgspec.Struct):
    """The pending workflow task; at most one per run. `started_event_id` is 0 until a worker has it."""

    type: WorkflowTaskType
    scheduled_event_id: int
    attempt: int
    scheduled_at: int
    original_scheduled_at: int
    timeout: int
    queue: str
    sticky: bool = False
    started_event_id: int = 0
    started_at: int = 0
    identity: str = ""
    request_id: str = ""
    suggest_continue_as_new: bool = False
    suggest_reasons: list[int] = []
    history_size: int = 0
    version_changed: bool = False
    #: How long it waits for its sticky worker; kept here, since stickiness may end while it waits.
    sticky_timeout: int = 0


class Pause(msgspec.Struct, frozen=True):
    """An operator holds an activity or a whole run back since `at`."""

    at: int
    identity: str
    reason: str
    request_id: str


class Activity(msgspec.Struct):
    """A pending activity. `stamp` grows with everything that makes an earlier task obsolete.

    `scheduled` has the options as they are now.
    """

    scheduled_event_id: int
    scheduled: ActivityTaskScheduledEventAttributes
    scheduled_at: int
    attempt: int = 1
    attempt_scheduled_at: int = 0
    stamp: int = 0
    started_at: int = 0
    started_identity: str = ""
    request_id: str = ""
    cancel_requested_event_id: int = 0
    heartbeat_at: int = 0
    heartbeat_details: Payloads | None = None
    last_failure: Failure | None = None
    last_attempt_completed_at: int = 0
    retry_interval: int = 0
    last_identity: str = ""
    pause: Pause | None = None
    #: An operator wants the attempts to begin anew; the attempt that runs learns it with its next heartbeat.
    reset: bool = False
    #: The attempt after the one that runs is not to see the heartbeat details so far.
    forgets_heartbeat: bool = False
    #: The attempt after the one that runs goes by the original options.
    restores_options: bool = False
    #: It belongs to no workflow but is an execution of its own, and waits for a worker from `delay` after its start.
    standalone: bool = False
    delay: int = 0
    heartbeat_count: int = 0
    first_started_at: int = 0
    last_started_at: int = 0
    sdk_name: str = ""
    sdk_version: str = ""
    #: What the workflow asked for, once an operator has changed `scheduled`.
    original: ActivityTaskScheduledEventAttributes | None = None
    original_delay: int = 0

    @property
    def started(self) -> bool:
        return self.started_at != 0

    @property
    def cancel_requested(self) -> bool:
        return self.cancel_requested_event_id != 0

    @property
    def waiting(self) -> bool:
        """Whether a worker may take it, now or when its next attempt is due."""
        return not self.started_at and self.pause is None


class Timer(msgspec.Struct):
    """A running user timer."""

    timer_id: str
    started_event_id: int
    fires_at: int


class Child(msgspec.Struct):
    """A child execution that was initiated and has not closed as far as this run knows."""

    initiated_event_id: int
    initiated: StartChildWorkflowExecutionInitiatedEventAttributes
    started_event_id: int = 0
    run_id: str = ""
    user_metadata: UserMetadata | None = None
    #: The parent's start was delivered, so that only the outcome is still due.
    started: bool = False


class SignalOut(msgspec.Struct):
    """A signal to another execution that has not been answered yet."""

    initiated_event_id: int
    initiated: SignalExternalWorkflowExecutionInitiatedEventAttributes


class CancelOut(msgspec.Struct):
    """A cancel request to another execution that has not been answered yet."""

    initiated_event_id: int
    initiated: RequestCancelExternalWorkflowExecutionInitiatedEventAttributes


class UpdateStage(IntEnum):
    """How far an update has come. SENT: delivered with the workflow task that is now running."""

    ADMITTED = 0
    SENT = 1
    ACCEPTED = 2
    COMPLETED = 3


class Update(msgspec.Struct):
    """An update that was admitted. `request` is dropped when the accepted event holds it."""

    update_id: str
    stage: UpdateStage
    request: UpdateRequest | None = None
    accepted_event_id: int = 0
    completed_event_id: int = 0
    #: An event holds the request: it was accepted by a run that was reset, and is new to this one.
    admitted_event_id: int = 0


class Fork(msgspec.Struct, frozen=True):
    """Events up to `last_event_id` were first recorded by the run `run_id`, and inherited from it by a reset."""

    run_id: RunId
    last_event_id: int


class RequestOrigin(msgspec.Struct):
    """Which event a caller's request id led to, so that a repeated request finds it."""

    event_type: int
    event_id: int


class Execution(msgspec.Struct):
    """One run of a workflow, with all that is pending in it."""

    namespace_id: NamespaceId
    workflow_id: WorkflowId
    run_id: RunId
    started: WorkflowExecutionStartedEventAttributes = msgspec.field(
        default_factory=WorkflowExecutionStartedEventAttributes
    )
    started_at: int = 0
    execution_at: int = 0
    status: int = RUNNING
    next_event_id: int = 1
    history_size: int = 0
    state_transitions: int = 0
    closed_at: int = 0
    close_event: HistoryEvent | None = None
    successor_run_id: str = ""
    first_task_at: int = 0
    run_expires_at: int = 0
    execution_expires_at: int = 0

    workflow_task: WorkflowTask | None = None
    workflow_task_attempt: int = 1
    completed_task_started_event_id: int = 0
    completed_task_event_id: int = 0
    sticky_queue: str = ""
    sticky_timeout: int = 0

    activities: dict[int, Activity] = {}
    activity_ids: dict[str, int] = {}
    timers: dict[str, Timer] = {}
    children: dict[int, Child] = {}
    signals_out: dict[int, SignalOut] = {}
    cancels_out: dict[int, CancelOut] = {}
    updates: dict[str, Update] = {}

    buffered: list[HistoryEvent] = []
    buffered_size: int = 0

    memo: Memo = msgspec.field(default_factory=Memo)
    search_attributes: SearchAttributes = msgspec.field(default_factory=SearchAttributes)
    user_metadata: UserMetadata | None = None
    cancel_requested: bool = False
    cancel_request_id: str = ""
    signal_count: int = 0
    signal_request_ids: dict[str, None] = {}
    requests: dict[str, RequestOrigin] = {}

    worker_version: WorkerVersionStamp | None = None
    reset_points: ResetPoints = msgspec.field(default_factory=ResetPoints)

    #: Closed, and the parent does not know yet.
    owes_parent: bool = False
    #: Closed, and these children (by initiated event id) have not been told what the parent-close policy wants.
    orphans: list[int] = []

    scheduled_by: ScheduledBy | None = None
    #: Closed, and the schedule that started it does not know yet.
    owes_schedule: bool = False

    #: By a reset: whose events it begins with, the oldest run first.
    forks: list[Fork] = []
    reset_at: int = 0
    reset_request_id: str = ""
    original_started_at: int = 0
    #: A reset made another run from this one's events, or at least put another in its place.
    reset_run_id: str = ""
    superseded: bool = False

    pause: Pause | None = None
    #: Of the run's tasks, if it was changed since the start.
    changed_priority: Priority | None = None

    #: Which version of its workers it belongs to, if that was ever said.
    versioning: WorkflowExecutionVersioningInfo | None = None
    worker_deployment_name: str = ""
    #: The version that its queue goes to, as text, if its worker was told that this is another one.
    notified_target: str | None = None
    #: The event after which lists show something else of that.
    versioning_shown_event_id: int = 0

    #: Workflow tasks in a row that came to nothing, and what the last one that has an event came to.
    problems: int = 0
    problem: list[str] = []
    #: The event after which there were none any more.
    solved_event_id: int = 0

    #: Nexus operations that have not ended, by scheduled event id.
    operations: dict[int, NexusOperation] = {}
    #: Whoever wants to be told how the chain of runs ends, in the order in which they came.
    callbacks: list[CompletionCallback] = []

    #: Its own clock, if that runs ahead or may.
    time_skipping: TimeSkipping | None = None

    @property
    def key(self) -> ExecutionKey:
        return ExecutionKey(self.namespace_id, self.workflow_id, self.run_id)

    @property
    def running(self) -> bool:
        return self.status in OPEN

    @property
    def holds_tasks(self) -> bool:
        """Whether workers get none of its tasks for now."""
        return self.pause is not None

    @property
    def priority(self) -> Priority:
        """That of tasks that have none of their own."""
        return self.started.priority if self.changed_priority is None else self.changed_priority

    @property
    def task_queue(self) -> str:
        return self.started.task_queue.name

    @property
    def first_run_id(self) -> str:
        return self.started.first_execution_run_id or self.run_id

    def recorded_by(self, event_id: int) -> RunId:
        """The run that first recorded an event of this one's history. Others know what it led to by that run."""
        for fork in self.forks:
            if event_id <= fork.last_event_id:
                return fork.run_id
        return self.run_id
