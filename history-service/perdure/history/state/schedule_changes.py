"""Changes of a schedule, folded by `fold.schedule`. The evolution rule is that of `state.changes`."""

from __future__ import annotations

from temporalio.api.common.v1 import Memo, Payloads, SearchAttributes
from temporalio.api.failure.v1 import Failure
from temporalio.api.schedule.v1 import Schedule as ScheduleDefinition

from perdure.history.state.change import Change


class ScheduleCreated(Change, frozen=True, tag="sc-created"):
    at: int
    definition: ScheduleDefinition
    memo: Memo
    search_attributes: SearchAttributes
    request_id: str


class ScheduleUpdated(Change, frozen=True, tag="sc-updated"):
    """The definition was replaced; memo and search attributes too if they are given."""

    at: int
    definition: ScheduleDefinition
    memo: Memo | None = None
    search_attributes: SearchAttributes | None = None


class ScheduleRequestSeen(Change, frozen=True, tag="sc-request"):
    """An update or patch with this request id was carried out."""

    request_id: str


class SchedulePaused(Change, frozen=True, tag="sc-paused"):
    notes: str
    paused: bool = True


class StartBuffered(Change, frozen=True, tag="sc-buffered"):
    """An action is due; it gets the next action id."""

    nominal_at: int
    scheduled_at: int
    overlap_policy: int = 0
    manual: bool = False


class TimePassed(Change, frozen=True, tag="sc-passed"):
    """The schedule's times up to an instant are dealt with; some of them came too late, or found the buffer full."""

    until: int
    missed: int = 0
    dropped: int = 0


class BackfillAdded(Change, frozen=True, tag="sc-backfill"):
    after: int
    until: int
    overlap_policy: int = 0


class BackfillDropped(Change, frozen=True, tag="sc-backfill-dropped"):
    """There are too many backfills already."""


class BackfillAdvanced(Change, frozen=True, tag="sc-backfill-advanced"):
    """The first backfill has come as far as `after`, or is done; the next step is due at `next_at`."""

    after: int
    done: bool
    next_at: int


class StartsSkipped(Change, frozen=True, tag="sc-skipped"):
    """These buffered starts will not be made: `overlapping`, too late, or the schedule is paused or out of actions."""

    action_ids: list[int]
    overlapping: bool


class ActionDecided(Change, frozen=True, tag="sc-decided"):
    """A buffered start is to be made now."""

    action_id: int
    workflow_id: str
    overlapping: bool


class ActionStarted(Change, frozen=True, tag="sc-started"):
    action_id: int
    run_id: str
    at: int


class ActionRefused(Change, frozen=True, tag="sc-refused"):
    """The workflow could not be started, and never will be."""

    action_id: int


class ActionStopRequested(Change, frozen=True, tag="sc-stop"):
    action_id: int
    terminate: bool


class ActionStopSent(Change, frozen=True, tag="sc-stop-sent"):
    action_id: int


class ActionClosed(Change, frozen=True, tag="sc-closed"):
    """The last run of a chain that was started has ended. `status` 0: nobody knows how."""

    action_id: int
    status: int
    result: Payloads | None = None
    failure: Failure | None = None


class ScheduleEnded(Change, frozen=True, tag="sc-ended"):
    """Nothing has been left to do for a long time."""

    at: int


AnyScheduleChange = (
    ScheduleCreated
    | ScheduleUpdated
    | ScheduleRequestSeen
    | SchedulePaused
    | StartBuffered
    | TimePassed
    | BackfillAdded
    | BackfillDropped
    | BackfillAdvanced
    | StartsSkipped
    | ActionDecided
    | ActionStarted
    | ActionRefused
    | ActionStopRequested
    | ActionStopSent
    | ActionClosed
    | ScheduleEnded
)
