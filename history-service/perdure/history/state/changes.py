"""Changes: what no event records. Written to the journal beside the events and folded by `fold.amend`.

Evolution rule: tags and field meanings are for ever; new fields go to the end and have a default.
"""

from __future__ import annotations

from temporalio.api.activity.v1 import ActivityExecutionOutcome, ActivityOptions
from temporalio.api.common.v1 import Link, Payload, Payloads, SearchAttributes
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import (
    ActivityTaskScheduledEventAttributes,
    HistoryEvent,
    NexusOperationScheduledEventAttributes,
)
from temporalio.api.sdk.v1 import UserMetadata
from temporalio.api.update.v1 import Request as UpdateRequest

from perdure.history.state.batch_changes import AnyBatchChange
from perdure.history.state.change import Change
from perdure.history.state.execution import Fork
from perdure.history.state.schedule_changes import AnyScheduleChange


class EventsRecorded(Change, frozen=True, tag="ev"):
    """The next `count` events of the journal record's blob belong here in the order of things.

    `folded` events had been held back in the buffer and took their effect when they entered it; they only get their ids
    now. Events after the last such change are folded in order, so that most records need none of these.
    """

    count: int
    folded: bool = False


class EventBuffered(Change, frozen=True, tag="eb"):
    """An event arrived while a workflow task was running: it counts from now on, and enters the history later."""

    event: HistoryEvent


class BufferedTimerDropped(Change, frozen=True, tag="bt"):
    """A timer fired and was then cancelled by the workflow task that did not know: the buffered event is taken back."""

    timer_id: str


class WorkflowTaskScheduled(Change, frozen=True, tag="ws"):
    """A transient or speculative workflow task was scheduled without an event."""

    type: int
    at: int
    timeout: int
    queue: str
    sticky: bool


class WorkflowTaskStarted(Change, frozen=True, tag="wt"):
    """A worker got a workflow task; beside the event for a normal one, instead of it for the others."""

    at: int
    identity: str
    request_id: str
    suggest_continue_as_new: bool
    suggest_reasons: list[int]
    history_size: int
    version_changed: bool = False


class WorkflowTaskDropped(Change, frozen=True, tag="wd"):
    """The pending workflow task ended without an event; `attempt` is the next one's."""

    attempt: int


class WorkflowTaskNormalized(Change, frozen=True, tag="wn"):
    """A transient or speculative workflow task gave way, so that a normal one can be written; attempts start again."""


class HeartbeatContinued(Change, frozen=True, tag="wh"):
    """The workflow task just scheduled continues a heartbeat that began at `original_scheduled_at`."""

    original_scheduled_at: int


class StickySet(Change, frozen=True, tag="ss"):
    """Later workflow tasks go to this worker's own queue first; an empty name ends that."""

    queue: str
    timeout: int


class ActivityStarted(Change, frozen=True, tag="as"):
    """A worker got an activity task. The event follows only when the attempt turns out to be the last."""

    scheduled_event_id: int
    at: int
    identity: str
    request_id: str
    sdk_name: str = ""
    sdk_version: str = ""
    attempt: int = 1


class ActivityHeartbeat(Change, frozen=True, tag="ah"):
    scheduled_event_id: int
    at: int
    details: Payloads | None
    identity: str = ""
    by_id: bool = False
    #: It came with the report of a failure, and was no call of its own.
    at_end: bool = False


class ActivityRetried(Change, frozen=True, tag="ar"):
    """An attempt failed and the next is due at `next_at`. `completed_at` is 0 if nobody reported its end."""

    scheduled_event_id: int
    completed_at: int
    next_at: int
    interval: int
    failure: Failure | None


class ActivityHeld(Change, frozen=True, tag="al"):
    """An attempt of a paused activity failed, and the next waits until it is resumed."""

    scheduled_event_id: int
    completed_at: int
    failure: Failure | None
    interval: int = 0


class ActivityPaused(Change, frozen=True, tag="ap"):
    scheduled_event_id: int
    at: int
    identity: str
    reason: str
    request_id: str


class ActivityUnpaused(Change, frozen=True, tag="an"):
    scheduled_event_id: int
    reset_attempts: bool = False
    reset_heartbeat: bool = False


class ActivityReset(Change, frozen=True, tag="az"):
    """Attempts count from 1 again; whoever runs one now is told."""

    scheduled_event_id: int
    reset_heartbeat: bool


class ActivityResetRequested(Change, frozen=True, tag="aq"):
    """A standalone activity begins anew once the attempt that runs has ended without success."""

    scheduled_event_id: int
    restore_options: bool
    reset_heartbeat: bool
    keep_paused: bool


class ActivityBegunAnew(Change, frozen=True, tag="aw"):
    """The next attempt of a standalone activity is its first again. `completed_at` is 0 if no attempt was running."""

    scheduled_event_id: int
    at: int
    restore_options: bool
    reset_heartbeat: bool
    keep_paused: bool
    completed_at: int = 0
    failure: Failure | None = None


class ActivityRetryIntervalChanged(Change, frozen=True, tag="ai"):
    scheduled_event_id: int
    interval: int


class ActivityRescheduled(Change, frozen=True, tag="ad"):
    """An attempt that no worker has begins at another time; in a workflow, what went before it is forgotten."""

    scheduled_event_id: int
    at: int


class ActivityOptionsChanged(Change, frozen=True, tag="ao"):
    """The options by which the activity goes on. Without `options`: those that the workflow gave it."""

    scheduled_event_id: int
    options: ActivityOptions | None


class UpdateAdmitted(Change, frozen=True, tag="ua"):
    request: UpdateRequest


class UpdateSent(Change, frozen=True, tag="us"):
    update_id: str


class UpdatesUnsent(Change, frozen=True, tag="uu"):
    """The workflow task that carried the sent updates failed: they are to be delivered again."""


class UpdateRemoved(Change, frozen=True, tag="ur"):
    """An update was rejected, or can never be answered."""

    update_id: str


class SignalRequestSeen(Change, frozen=True, tag="sr"):
    request_id: str


class RequestSeen(Change, frozen=True, tag="rs"):
    """A caller's request id led to this event (0: an event still in the buffer)."""

    request_id: str
    event_type: int
    event_id: int


class CancelRequestSeen(Change, frozen=True, tag="cr"):
    request_id: str


class ParentNotified(Change, frozen=True, tag="pn"):
    """The parent has recorded how this run ended, or can no longer."""


class OrphanHandled(Change, frozen=True, tag="oh"):
    """The parent-close policy was carried out on this child."""

    initiated_event_id: int


class ActivityExecutionScheduled(Change, frozen=True, tag="xs"):
    """A standalone activity was made; it waits for a worker from `delay` later on."""

    at: int
    delay: int
    scheduled: ActivityTaskScheduledEventAttributes
    request_id: str
    search_attributes: SearchAttributes
    user_metadata: UserMetadata | None


class ActivityExecutionLinked(Change, frozen=True, tag="xl"):
    request_id: str
    links: list[Link]


class ActivityExecutionCancelRequested(Change, frozen=True, tag="xc"):
    at: int
    identity: str
    reason: str
    request_id: str


class ActivityExecutionCommanded(Change, frozen=True, tag="xo"):
    """An operator's command was carried out; repeated, it is not."""

    command: str
    request_id: str


class ActivityExecutionClosed(Change, frozen=True, tag="xe"):
    """A standalone activity ended. `completed_at` is 0 if that was not the end of an attempt."""

    at: int
    status: int
    outcome: ActivityExecutionOutcome
    completed_at: int = 0
    last_failure: Failure | None = None
    identity: str = ""
    request_id: str = ""


class TransitionStarted(Change, frozen=True, tag="vt"):
    """A workflow task is to bring the run to this version of its workers; without a build id, to those without one."""

    deployment: str
    build_id: str
    revision: int


class TargetNotified(Change, frozen=True, tag="vn"):
    """The worker was told that the run's queue goes to another version now (as text), or that is over (None)."""

    target: str | None


class Metered(Change, frozen=True, tag="mt"):
    """This action was done, which the other changes and the events alone do not tell. It is nothing but counted."""

    action: str


class StartedBySchedule(Change, frozen=True, tag="sb"):
    """The run belongs to a chain that a schedule started, as this action of that run of the schedule."""

    schedule_id: str
    run_id: str
    action_id: int


class ScheduleNotified(Change, frozen=True, tag="sn"):
    """The schedule has recorded how this run ended, or can no longer."""


class EventsInherited(Change, frozen=True, tag="ei"):
    """The events of this journal record were copied from another run, where they have had their effect and price."""


class RunReset(Change, frozen=True, tag="rr"):
    """This run goes on from the events that it inherited, as if it had been started at `at`."""

    at: int
    request_id: str
    forks: list[Fork]


class RunSuperseded(Change, frozen=True, tag="rx"):
    """A reset put another run in this one's place. `base`: the other one goes on from events of this one."""

    run_id: str
    base: bool


class NexusAttemptFailed(Change, frozen=True, tag="na"):
    """A Nexus operation could not be started yet; the next attempt is due at `next_at`."""

    scheduled_event_id: int
    at: int
    next_at: int
    failure: Failure


class NexusCancelAttemptFailed(Change, frozen=True, tag="nc"):
    """The handler of a Nexus operation could not be told yet that it is not wanted any more."""

    scheduled_event_id: int
    at: int
    next_at: int
    failure: Failure


class OperationScheduled(Change, frozen=True, tag="os"):
    """A standalone Nexus operation was made. `request_id` is that of the caller who made it."""

    at: int
    scheduled: NexusOperationScheduledEventAttributes
    request_id: str
    identity: str
    search_attributes: SearchAttributes
    user_metadata: UserMetadata | None


class OperationStarted(Change, frozen=True, tag="ot"):
    """The handler of a standalone Nexus operation goes on with it, since `at`."""

    at: int
    token: str
    links: list[Link]


class OperationCancelRequested(Change, frozen=True, tag="oc"):
    at: int
    identity: str
    reason: str
    request_id: str


class OperationCancelTold(Change, frozen=True, tag="ol"):
    """The handler knows that the operation is not wanted any more, or with a `failure` does not want to know."""

    at: int
    failure: Failure | None = None


class OperationClosed(Change, frozen=True, tag="oe"):
    """A standalone Nexus operation ended. `attempted`: that was the end of an attempt to start it."""

    at: int
    status: int
    links: list[Link]
    result: Payload | None = None
    failure: Failure | None = None
    attempted: bool = False
    request_id: str = ""


class CallbackDelivered(Change, frozen=True, tag="cd"):
    """Whoever is behind this callback was told, or with a `failure` does not want to know."""

    index: int
    at: int
    failure: Failure | None = None


AnyChange = (
    EventsRecorded
    | EventBuffered
    | BufferedTimerDropped
    | WorkflowTaskScheduled
    | WorkflowTaskStarted
    | WorkflowTaskDropped
    | WorkflowTaskNormalized
    | HeartbeatContinued
    | StickySet
    | ActivityStarted
    | ActivityHeartbeat
    | ActivityRetried
    | ActivityHeld
    | ActivityPaused
    | ActivityUnpaused
    | ActivityReset
    | ActivityResetRequested
    | ActivityBegunAnew
    | ActivityRetryIntervalChanged
    | ActivityRescheduled
    | ActivityOptionsChanged
    | ActivityExecutionScheduled
    | ActivityExecutionLinked
    | ActivityExecutionCancelRequested
    | ActivityExecutionCommanded
    | ActivityExecutionClosed
    | UpdateAdmitted
    | UpdateSent
    | UpdatesUnsent
    | UpdateRemoved
    | SignalRequestSeen
    | RequestSeen
    | CancelRequestSeen
    | TransitionStarted
    | TargetNotified
    | Metered
    | ParentNotified
    | OrphanHandled
    | StartedBySchedule
    | ScheduleNotified
    | EventsInherited
    | RunReset
    | RunSuperseded
    | NexusAttemptFailed
    | NexusCancelAttemptFailed
    | OperationScheduled
    | OperationStarted
    | OperationCancelRequested
    | OperationCancelTold
    | OperationClosed
    | CallbackDelivered
    | AnyScheduleChange
    | AnyBatchChange
)
