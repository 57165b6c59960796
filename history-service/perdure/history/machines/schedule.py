"""PURE: a schedule: what it is told to do, what it does when its time comes, and how its workflows end.

`advance` is where everything happens: times that have come become buffered starts, backfills add theirs, and the
overlap policies say which of them are made now. Whoever changes something about a schedule calls it first, so that what
was due until now happens under the old rules, and again afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice

from temporalio.api.common.v1 import Memo, Payloads, SearchAttributes
from temporalio.api.enums.v1 import ScheduleOverlapPolicy, WorkflowExecutionStatus
from temporalio.api.failure.v1 import Failure
from temporalio.api.schedule.v1 import BackfillRequest, SchedulePatch, ScheduleSpec
from temporalio.api.schedule.v1 import Schedule as ScheduleDefinition

from perdure.history.effects import CheckAction, StartAction, StopAction
from perdure.history.schedules.notation import InvalidSpec
from perdure.history.schedules.overlap import sort_out
from perdure.history.schedules.spec import LAST_NS, Occurrence, Times, TooManyExclusions, times_of
from perdure.history.state.changes import Metered
from perdure.history.state.schedule import RUNNING, Backfill, BufferedStart, Schedule, Stop
from perdure.history.state.schedule_changes import (
    ActionClosed,
    ActionDecided,
    ActionRefused,
    ActionStarted,
    ActionStopRequested,
    ActionStopSent,
    BackfillAdded,
    BackfillAdvanced,
    BackfillDropped,
    ScheduleCreated,
    ScheduleEnded,
    SchedulePaused,
    ScheduleRequestSeen,
    ScheduleUpdated,
    StartBuffered,
    StartsSkipped,
    TimePassed,
)
from perdure.history.transition import BaseTransition
from perdure.kernel.clock import MILLISECOND_NS, SECOND_NS
from perdure.kernel.errors import FailedPrecondition
from perdure.kernel.metering.actions import PATCH_SCHEDULE
from perdure.kernel.prototime import duration, instant_ns, length_ns

ScheduleTransition = BaseTransition[Schedule]

#: Buffered starts of a schedule, and backfills that wait; backfills may use half of the buffer.
BUFFER_MAX = 1000
#: Starts of workflows that may overlap which are under way at once; the next ones wait in the buffer.
STARTING_MAX = 10
CATCHUP_WINDOW_NS_DEFAULT = 365 * 86_400 * SECOND_NS
CATCHUP_WINDOW_NS_MIN = 10 * SECOND_NS
#: Times that are dealt with in one go; more of them follow at once, after whatever else is due.
TIMES_PER_STEP = 1000
BACKFILL_STARTS_PER_STEP = 10
BACKFILL_INTERVAL_NS = 100 * MILLISECOND_NS
#: How long a schedule with nothing left to do is kept.
IDLE_NS_MAX = 7 * 86_400 * SECOND_NS

_Policy = ScheduleOverlapPolicy
_Status = WorkflowExecutionStatus


def create(
    tx: ScheduleTransition,
    definition: ScheduleDefinition,
    memo: Memo,
    search_attributes: SearchAttributes,
    request_id: str,
    patch: SchedulePatch,
) -> None:
    """A new schedule, whose spec is canonical."""
    tx.change(ScheduleCreated(tx.now, _with_defaults(definition), memo, search_attributes, request_id))
    _patch(tx, patch)
    advance(tx)


def update(
    tx: ScheduleTransition,
    definition: ScheduleDefinition,
    memo: Memo | None,
    search_attributes: SearchAttributes | None,
    seen: bytes,
    request_id: str,
) -> None:
    """Replace the definition, whose spec is canonical.

    `seen` is the conflict token of the one that the caller has seen; an empty one replaces whatever is there.

    Raises:
        FailedPrecondition: the token says that the caller has not seen the newest definition.
    """
    if request_id and request_id in tx.state.request_ids:
        return
    if seen and seen != conflict_token(tx.state):
        raise FailedPrecondition("mismatched conflict token")
    advance(tx)
    tx.change(ScheduleUpdated(tx.now, _with_defaults(definition), memo, search_attributes))
    _seen(tx, request_id)
    advance(tx)


def patch(tx: ScheduleTransition, request: SchedulePatch, request_id: str) -> None:
    """Trigger, backfill, pause, unpause; a repeated request does nothing."""
    if request_id and request_id in tx.state.request_ids:
        return
    advance(tx)
    _patch(tx, request)
    tx.change(Metered(PATCH_SCHEDULE))
    _seen(tx, request_id)
    advance(tx)


def action_started(tx: ScheduleTransition, action_id: int, run_id: str) -> None:
    """The workflow of an action runs. Told again, nothing changes."""
    if action_id in tx.state.starting:
        tx.change(ActionStarted(action_id, run_id, tx.now))
        advance(tx)


def action_refused(tx: ScheduleTransition, action_id: int) -> None:
    """The workflow of an action cannot be started."""
    if action_id in tx.state.starting:
        tx.change(ActionRefused(action_id))
        advance(tx)


def stop_sent(tx: ScheduleTransition, action_id: int) -> None:
    """The workflow of an action was told to stop, or is not there any more."""
    action = tx.state.started.get(action_id)
    if action is not None and action.owes_stop:
        tx.change(ActionStopSent(action_id))


def action_closed(
    tx: ScheduleTransition,
    action_id: int,
    workflow_id: str,
    run_id: str,
    status: WorkflowExecutionStatus.ValueType,
    result: Payloads | None,
    failure: Failure | None,
) -> None:
    """The last run of an action's chain, which began with `run_id`, has ended. Told again, nothing changes.

    Of an action that may overlap others nothing is known any more when enough others have been started after it.
    """
    state = tx.state
    if action_id in state.starting:
        # It was faster than the news of its start.
        tx.change(ActionStarted(action_id, run_id, tx.now))
    is_open = any(each.action_id == action_id and each.status == RUNNING for each in state.recent)
    if not is_open and action_id not in state.started:
        return
    tx.change(ActionClosed(action_id, status, result, failure))
    definition = state.definition
    failed = status in (_Status.WORKFLOW_EXECUTION_STATUS_FAILED, _Status.WORKFLOW_EXECUTION_STATUS_TIMED_OUT)
    if failed and definition.policies.pause_on_failure and not definition.state.paused:
        tx.change(SchedulePaused(_failure_note(workflow_id, failure)))
    advance(tx)


def _failure_note(workflow_id: str, failure: Failure | None) -> str:
    if failure is None:
        return f"paused due to workflow timeout: {workflow_id}"
    return f"paused due to workflow failure: {workflow_id}: {failure.message}"


def advance(tx: ScheduleTransition) -> None:
    """Do what is due now."""
    if not tx.state.running:
        return
    _take_times(tx)
    _take_backfills(tx)
    _empty_buffer(tx)
    ends_at = idle_until(tx.state)
    if ends_at and ends_at <= tx.now:
        tx.change(ScheduleEnded(tx.now))


def next_deadline(state: Schedule) -> int:
    """When `advance` next has something to do by itself; 0 if never."""
    instants = []
    if can_act(state) and (occurrence := _next(state, state.processed_until)) is not None:
        instants.append(occurrence.at_ns)
    if state.backfills and len(state.buffer) < BUFFER_MAX // 2:
        instants.append(state.next_backfill_at)
    if at := idle_until(state):
        instants.append(at)
    # A backfill that has not begun is due at 0, which would mean never.
    return max(min(instants), 1) if instants else 0


def idle_until(state: Schedule) -> int:
    """When a schedule that has nothing to do any more ends; 0 if it has."""
    definition = state.definition
    if definition.state.paused or state.buffer or state.backfills or state.starting or state.started:
        return 0
    if can_act(state) and _next(state, state.processed_until) is not None:
        return 0
    last_action_at = state.recent[-1].started_at if state.recent else 0
    return max(state.created_at, state.updated_at, last_action_at) + IDLE_NS_MAX


def can_act(state: Schedule) -> bool:
    """Whether the schedule acts by itself when its times come."""
    limits = state.definition.state
    return not limits.paused and (not limits.limited_actions or limits.remaining_actions > 0)


def future_times(state: Schedule, now: int, count: int) -> list[int]:
    """The next instants at which the schedule would act."""
    limits = state.definition.state
    if limits.limited_actions:
        count = min(count, max(limits.remaining_actions, 0))
    after = state.processed_until if can_act(state) else max(now, state.processed_until)
    return [each.at_ns for each in islice(_following(state, after), count)]


def catchup_window_ns(definition: ScheduleDefinition) -> int:
    """How late an action may be taken."""
    if not definition.policies.HasField("catchup_window"):
        return CATCHUP_WINDOW_NS_DEFAULT
    return max(length_ns(definition.policies.catchup_window), CATCHUP_WINDOW_NS_MIN)


def conflict_token(state: Schedule) -> bytes:
    """What an update names to say which definition it has seen."""
    return state.conflict_token.to_bytes(8, "big")


def seed(state: Schedule) -> str:
    """What tells this schedule's jitter from that of others."""
    return f"{state.namespace_id}-{state.workflow_id}"


def times(spec: ScheduleSpec) -> Times:
    """The times of a canonical spec. Raises InvalidSpec if its zone is not known here any more."""
    return times_of(spec.SerializeToString())


def _with_defaults(definition: ScheduleDefinition) -> ScheduleDefinition:
    """With the policies that apply if none are given, so that they show."""
    policies = definition.policies
    if policies.overlap_policy == _Policy.SCHEDULE_OVERLAP_POLICY_UNSPECIFIED:
        policies.overlap_policy = _Policy.SCHEDULE_OVERLAP_POLICY_SKIP
    policies.catchup_window.CopyFrom(duration(catchup_window_ns(definition)))
    definition.action.SetInParent()
    definition.state.SetInParent()
    return definition


def _seen(tx: ScheduleTransition, request_id: str) -> None:
    if request_id:
        tx.change(ScheduleRequestSeen(request_id))


def _patch(tx: ScheduleTransition, request: SchedulePatch) -> None:
    if request.HasField("trigger_immediately"):
        trigger = request.trigger_immediately
        at = instant_ns(trigger.scheduled_time) or tx.now
        _buffer(tx, Occurrence(at, at), trigger.overlap_policy, manual=True)
    for backfill in request.backfill_request:
        _add_backfill(tx, backfill)
    if request.pause:
        tx.change(SchedulePaused(request.pause))
    if request.unpause:
        tx.change(SchedulePaused(request.unpause, paused=False))


def _add_backfill(tx: ScheduleTransition, request: BackfillRequest) -> None:
    if len(tx.state.backfills) >= BUFFER_MAX:
        tx.change(BackfillDropped())
        return
    start, end = (min(max(instant_ns(at), 0), LAST_NS) for at in (request.start_time, request.end_time))
    # The first instant of the range belongs to it.
    tx.change(BackfillAdded(start - MILLISECOND_NS, end, request.overlap_policy))


def _following(state: Schedule, after: int) -> Iterable[Occurrence]:
    """The schedule's next times, as far as `Times.following` goes.

    It has none any more if too many are excluded, or if its zone is not known here any more.
    """
    try:
        yield from times(state.definition.spec).following(after, seed(state))
    except (TooManyExclusions, InvalidSpec):
        return


def _next(state: Schedule, after: int) -> Occurrence | None:
    return next(iter(_following(state, after)), None)


def _take_times(tx: ScheduleTransition) -> None:
    """Buffer the actions whose times have come."""
    state, now = tx.state, tx.now
    if not can_act(state):
        # What comes while the schedule may not act is neither made up for nor counted.
        if state.processed_until < now:
            tx.change(TimePassed(now))
        return
    window = catchup_window_ns(state.definition)
    # Not up to now but to the last action: one whose nominal time has come may be due later, for its jitter.
    until, missed, dropped = state.processed_until, 0, 0
    for occurrence in islice(_following(state, until), TIMES_PER_STEP):
        if occurrence.at_ns > now:
            break
        until = occurrence.at_ns
        if now - occurrence.at_ns > window:
            missed += 1
        elif not _has_room(state):
            dropped += 1
        else:
            _buffer(tx, occurrence)
    if until != state.processed_until:
        tx.change(TimePassed(until, missed, dropped))


def _has_room(state: Schedule) -> bool:
    return len(state.buffer) + len(state.starting) < BUFFER_MAX


def _buffer(tx: ScheduleTransition, occurrence: Occurrence, overlap_policy: int = 0, *, manual: bool = False) -> None:
    if not _has_room(tx.state):
        tx.change(TimePassed(tx.state.processed_until, dropped=1))
        return
    tx.change(StartBuffered(occurrence.nominal_ns, occurrence.at_ns, overlap_policy, manual))


def _take_backfills(tx: ScheduleTransition) -> None:
    """Buffer the next actions of the backfills, a few at a time."""
    state = tx.state
    if state.next_backfill_at > tx.now:
        return
    left = BACKFILL_STARTS_PER_STEP
    while state.backfills and left > 0 and len(state.buffer) < BUFFER_MAX // 2:
        left -= _take_backfill(tx, state.backfills[0], left)


def _take_backfill(tx: ScheduleTransition, backfill: Backfill, count: int) -> int:
    """Buffer up to `count` actions of the first backfill; returns how many."""
    upcoming = islice(_following(tx.state, backfill.after), count)
    taken = [each for each in upcoming if each.at_ns <= backfill.until]
    after = taken[-1].at_ns if taken else backfill.after
    for occurrence in taken:
        _buffer(tx, occurrence, backfill.overlap_policy, manual=True)
    following = _next(tx.state, after)
    done = following is None or following.at_ns > backfill.until
    tx.change(BackfillAdvanced(after, done, next_at=tx.now + BACKFILL_INTERVAL_NS))
    return len(taken)


def _empty_buffer(tx: ScheduleTransition) -> None:
    """Decide on what waits in the buffer, as far as it can be decided now."""
    state = tx.state
    waiting = len(state.buffer)
    if state.buffer and not state.definition.action.HasField("start_workflow"):
        tx.change(StartsSkipped([start.action_id for start in state.buffer], overlapping=False))
    again = True
    while again and state.buffer:
        again = False
        verdict = sort_out(state.buffer, state.occupied, state.definition.policies.overlap_policy)
        if verdict.skipped:
            tx.change(StartsSkipped([start.action_id for start in verdict.skipped], overlapping=True))
        if verdict.dropped:
            tx.change(StartsSkipped([start.action_id for start in verdict.dropped], overlapping=False))
        for start, overlapping in verdict.starts:
            if overlapping and len(state.starting) >= STARTING_MAX:
                # Its turn comes when another one's start is done.
                continue
            if _is_still_wanted(tx, start):
                _decide(tx, start, overlapping)
            else:
                tx.change(StartsSkipped([start.action_id], overlapping=False))
                again = True
        if verdict.stop is not Stop.NONE:
            _stop_running(tx, verdict.stop)
    if waiting and state.occupied:
        tx.effects += [CheckAction(action_id) for action_id in state.started]


def _is_still_wanted(tx: ScheduleTransition, start: BufferedStart) -> bool:
    """Whether a start that has waited in the buffer is to be made now; takes note if it is too late."""
    state = tx.state
    if start.manual:
        return True
    if not can_act(state):
        return False
    in_time = tx.now - start.scheduled_at <= catchup_window_ns(state.definition)
    if not in_time:
        tx.change(TimePassed(state.processed_until, missed=1))
    return in_time


def _decide(tx: ScheduleTransition, start: BufferedStart, overlapping: bool) -> None:
    workflow_id = tx.state.definition.action.start_workflow.workflow_id
    nominal = datetime.fromtimestamp(start.nominal_at // SECOND_NS, UTC)
    tx.change(ActionDecided(start.action_id, f"{workflow_id}-{nominal:%Y-%m-%dT%H:%M:%SZ}", overlapping))
    tx.effect(StartAction(start.action_id))


def _stop_running(tx: ScheduleTransition, stop: Stop) -> None:
    for action in list(tx.state.started.values()):
        if action.stop < stop:
            tx.change(ActionStopRequested(action.action_id, terminate=stop is Stop.TERMINATE))
            tx.effect(StopAction(action.action_id))
