"""Whether anything is being done, and when something is to be done next: for a test server that skips the time between.

Looks at every execution in memory, which nothing else does that runs again and again.
"""

from __future__ import annotations

from typing import Any

from perdure.history.engine import Engine
from perdure.history.kinds.kind import Loaded
from perdure.history.state.execution import Activity
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.ids import ExecutionKind
from perdure.kernel.persistence.executions import Head

_FOREVER_NS = (1 << 63) - 1
_RUNNING = 1
_HEADS_PER_PAGE = 100
_OVERDUE_NS = SECOND_NS
_WITH_ACTIVITIES = frozenset({ExecutionKind.WORKFLOW, ExecutionKind.ACTIVITY})


def is_busy(engine: Engine) -> bool:
    """Whether a workflow task waits for a worker or is with one, a message is on its way, or something is written."""
    return any(_is_busy(loaded) for shard in engine.shards.values() for loaded in shard.held)


def activities_at_work(engine: Engine) -> int:
    """How many activities wait for a worker or are with one. Those that wait for their next attempt do not count."""
    now = engine.runtime.clock.now_ns()
    return sum(
        _is_at_work(activity, loaded.state, now)
        for shard in engine.shards.values()
        for loaded in shard.held
        if loaded.key.kind in _WITH_ACTIVITIES and loaded.state.running
        for activity in loaded.state.activities.values()
    )


async def next_alarm_ns(engine: Engine) -> int | None:
    """When the first of all executions that run wants to be looked at, if nothing happens until then."""
    found, overdue = [], engine.runtime.clock.now_ns() - _OVERDUE_NS
    for shard in engine.shards.values():
        after = None
        while heads := await shard.store.due(shard.id, _FOREVER_NS, after, _HEADS_PER_PAGE):
            # Those that have ended only wait to be deleted. Those that are overdue were looked at too early, and have
            # said when they want to be looked at next without a word to the store.
            running = [head for head in heads if head.status == _RUNNING and _wake_at_ns(head) > overdue]
            if running:
                found.append(_wake_at_ns(running[0]))
                break
            after = _wake_at_ns(heads[-1]), heads[-1].key
    return min(found, default=None)


def _wake_at_ns(head: Head) -> int:
    assert head.wake_at_ns is not None
    return head.wake_at_ns


def _is_at_work(activity: Activity, state: Any, now: int) -> bool:
    if activity.started:
        return True
    return activity.waiting and not state.holds_tasks and activity.attempt_scheduled_at + activity.delay <= now


def _is_busy(loaded: Loaded[Any]) -> bool:
    state = loaded.state
    if loaded.commit is not None and not loaded.commit.done:
        return True
    if not state.running:
        return bool(loaded.agenda.owes)
    if loaded.key.kind is ExecutionKind.BATCH:
        return True
    if loaded.key.kind is ExecutionKind.SCHEDULE:
        return bool(loaded.agenda.owes)
    if loaded.key.kind in (ExecutionKind.ACTIVITY, ExecutionKind.NEXUS_OPERATION):
        return False
    task = state.workflow_task
    return bool(
        (task is not None and not (state.holds_tasks and not task.started_event_id))
        or state.signals_out
        or state.cancels_out
        or any(not child.started for child in state.children.values())
    )
