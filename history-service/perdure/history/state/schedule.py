"""The state of a schedule. Changed only by `fold.schedule`, from changes: a schedule has no history.

The evolution rule and the units are those of `state.execution`.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec
from temporalio.api.common.v1 import Memo, Payloads, SearchAttributes
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.failure.v1 import Failure
from temporalio.api.schedule.v1 import Schedule as ScheduleDefinition

from perdure.kernel.ids import ExecutionKey, ExecutionKind, NamespaceId, RunId, WorkflowId

RUNNING = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING


class BufferedStart(msgspec.Struct):
    """A start that is due and has not been decided on. `overlap_policy` 0: whatever the schedule's is by then.

    `nominal_at` is the time in the spec, `scheduled_at` has the jitter added.
    """

    action_id: int
    nominal_at: int
    scheduled_at: int
    overlap_policy: int = 0
    manual: bool = False


class Backfill(msgspec.Struct):
    """A stretch of time whose actions are taken now: those after `after`, up to and including `until`."""

    after: int
    until: int
    overlap_policy: int = 0


class Stop(IntEnum):
    """How the schedule wants a workflow that it started to end early."""

    NONE = 0
    CANCEL = 1
    TERMINATE = 2


class Action(msgspec.Struct):
    """A start that was decided on. `run_id` is the first of the chain, and empty until the start is known to be done.

    An `overlapping` one (started under ALLOW_ALL) takes no part in what depends on whether a workflow is running.
    """

    action_id: int
    workflow_id: str
    nominal_at: int
    scheduled_at: int
    manual: bool = False
    overlapping: bool = False
    run_id: str = ""
    started_at: int = 0
    status: int = RUNNING
    stop: Stop = Stop.NONE
    #: The workflow has not been told yet that it is to stop.
    owes_stop: bool = False


class Schedule(msgspec.Struct):
    """A schedule: what it does and when, what it has done, and what it is about to do."""

    namespace_id: NamespaceId
    workflow_id: WorkflowId
    run_id: RunId
    status: int = RUNNING
    closed_at: int = 0
    state_transitions: int = 0

    #: As the user wants it, with the spec in its canonical form; `definition.state` changes as actions are taken.
    definition: ScheduleDefinition = msgspec.field(default_factory=ScheduleDefinition)
    memo: Memo = msgspec.field(default_factory=Memo)
    search_attributes: SearchAttributes = msgspec.field(default_factory=SearchAttributes)
    created_at: int = 0
    updated_at: int = 0
    create_request_id: str = ""
    #: Newest last; those of updates and patches.
    request_ids: list[str] = []
    conflict_token: int = 1

    #: The schedule's times up to here are dealt with.
    processed_until: int = 0
    last_action_id: int = 0
    buffer: list[BufferedStart] = []
    backfills: list[Backfill] = []
    next_backfill_at: int = 0

    #: Decided on, and not known to be started.
    starting: dict[int, Action] = {}
    #: Their workflows run. Those that may overlap are not kept here: there is no bound on how many run.
    started: dict[int, Action] = {}
    #: Started last, whether they still run or not; the newest comes last.
    recent: list[Action] = []

    last_result: Payloads | None = None
    last_failure: Failure | None = None

    action_count: int = 0
    missed_count: int = 0
    overlap_skipped_count: int = 0
    buffer_dropped_count: int = 0

    @property
    def key(self) -> ExecutionKey:
        return ExecutionKey(self.namespace_id, self.workflow_id, self.run_id, ExecutionKind.SCHEDULE)

    @property
    def running(self) -> bool:
        return self.status == RUNNING

    @property
    def occupied(self) -> bool:
        """Whether a workflow of this schedule runs, or is about to, that others may not overlap."""
        return bool(self.started) or any(not action.overlapping for action in self.starting.values())

    @property
    def next_event_id(self) -> int:
        return 1
