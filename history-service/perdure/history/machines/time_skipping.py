"""Runs that wait for nothing but time need not wait: their clock jumps to what comes next.

The rules are those of `service/history/workflow/timeskipping.go` of temporalio/temporal.
"""

from __future__ import annotations

from collections.abc import Iterator

from temporalio.api.common.v1 import TimeSkippingConfig, TimeSkippingInfo, TimeSkippingStatePropagation
from temporalio.api.enums.v1 import EventType

from perdure.history.state.execution import PAUSED, Execution
from perdure.history.state.time_skipping import TimeSkipping
from perdure.history.transition import Transition
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.prototime import duration, timestamp

_TRANSITIONED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIME_SKIPPING_TRANSITIONED

#: Nobody skips beyond the year 2200: stores know no instants much later.
_LATEST_NS = 7_258_118_400 * SECOND_NS


def settle(tx: Transition) -> None:
    """Skip, if the run has come to rest with this transition. Decided last in it."""
    state = tx.state
    skipping = state.time_skipping
    if skipping is None or not skipping.enabled or not _rests(state, tx.now):
        return
    instants = list(_awaited(state))
    if any(at <= tx.now for at in instants):
        # That is about to happen.
        return
    target = min(instants, default=0)
    arrived = False
    if skipping.forwarding and (not target or target >= skipping.target):
        target, arrived = skipping.target, True
    if 0 < target <= _LATEST_NS:
        _record(tx, skipping, target if target > tx.now else 0, arrived=arrived)


def arrive(tx: Transition) -> None:
    """The instant has come where a fast-forward ends, whatever the run is doing."""
    skipping = tx.state.time_skipping
    if skipping is not None and skipping.forwarding and skipping.target <= tx.now:
        _record(tx, skipping, 0, arrived=True)


def _record(tx: Transition, skipping: TimeSkipping, target: int, *, arrived: bool) -> None:
    tx.record(
        _TRANSITIONED,
        target_time=timestamp(target) if target else None,
        disabled_after_fast_forward=arrived,
        wall_clock_time=timestamp(tx.now - skipping.skipped),
    )


def _rests(state: Execution, now: int) -> bool:
    """Whether nobody works on it, or is to."""
    return (
        state.running
        and state.status != PAUSED
        and state.workflow_task is None
        and not (state.operations or state.children or state.signals_out or state.cancels_out)
        and all(activity.waiting and activity.attempt_scheduled_at > now for activity in state.activities.values())
    )


def _awaited(state: Execution) -> Iterator[int]:
    """What a run at rest waits for."""
    yield from (timer.fires_at for timer in state.timers.values())
    yield from (activity.attempt_scheduled_at for activity in state.activities.values())
    if state.completed_task_event_id:
        if state.run_expires_at:
            yield state.run_expires_at
    else:
        yield state.first_task_at


def handed_down(
    state: Execution,
) -> tuple[TimeSkippingConfig | None, TimeSkippingStatePropagation | None]:
    """What a child gets: the parent's clock, and how it runs on, but no fast-forward."""
    skipping = state.time_skipping
    if skipping is None:
        return None, None
    ahead = None
    if skipping.skipped:
        ahead = TimeSkippingStatePropagation(initial_skipped_duration=duration(skipping.skipped))
    if skipping.config is None or skipping.config.disable_propagation:
        return None, ahead
    config = TimeSkippingConfig()
    config.CopyFrom(skipping.config)
    config.ClearField("fast_forward_config")
    return config, ahead


def carried_on(
    state: Execution,
) -> tuple[TimeSkippingConfig | None, TimeSkippingStatePropagation | None]:
    """What the next run of a chain gets: everything."""
    skipping = state.time_skipping
    if skipping is None:
        return None, None
    return skipping.config, TimeSkippingStatePropagation(
        initial_skipped_duration=duration(skipping.skipped),
        initial_skip_count=skipping.skips,
        fast_forward_target_time=timestamp(skipping.target) if skipping.target else None,
    )


def shown(skipping: TimeSkipping, now: int) -> TimeSkippingInfo:
    """What clients see. `now` is the run's."""
    info = TimeSkippingInfo(current_time=timestamp(now), effective_config=skipping.config)
    if skipping.target and skipping.config is not None:
        forward = skipping.config.fast_forward_config
        info.fast_forward_info.fast_forward_duration.CopyFrom(forward.duration)
        info.fast_forward_info.fast_forward_id = forward.id
        info.fast_forward_info.target_time.CopyFrom(timestamp(skipping.target))
        info.fast_forward_info.has_completed = skipping.reached
    return info
