"""The interpreter of effects: what leaves an execution for the world, after its commit.

Offers to matching are hints and cost nothing to lose. Messages to other executions are sent by tasks that try until
their outcome, good or bad, is recorded on the sender; each is idempotent at its receiver.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, assert_never

import structlog
from temporalio.api.enums.v1 import ResourceExhaustedCause
from temporalio.api.update.v1 import Outcome

from perdure.history.effects import (
    AbortUpdates,
    ApplyParentClosePolicy,
    CancelNexusOperation,
    CheckAction,
    DeliverCallback,
    Effect,
    NotifyParent,
    NotifySchedule,
    OfferActivityTask,
    OfferWorkflowTask,
    ResolveUpdate,
    RunBatch,
    SendCancel,
    SendSignal,
    StartAction,
    StartChild,
    StartNexusOperation,
    StopAction,
)
from perdure.history.kinds.kind import Loaded
from perdure.history.kinds.workflow import LoadedExecution, UpdateNews
from perdure.history.machines.update import AbortedByClose, cut_short
from perdure.history.state.versioning import directive
from perdure.kernel.errors import DataLoss, NamespaceNotFound, ResourceExhausted, ServiceError, Unavailable
from perdure.kernel.ids import ExecutionKey, ExecutionKind, TaskKind, TaskQueueKey
from perdure.kernel.options import merged
from perdure.kernel.rpc import MatchingClient, Task
from perdure.kernel.serving import named

if TYPE_CHECKING:
    from perdure.history.batches.worker import BatchWorker
    from perdure.history.messages import Messages
    from perdure.history.nexus_messages import NexusMessages
    from perdure.history.shard import Shard

logger = structlog.get_logger(__name__)

_RETRY_DELAY_S_MIN = 0.05
_RETRY_DELAY_S_MAX = 10.0

#: Priority of a task that names none.
DEFAULT_PRIORITY = 3


class Outbound:
    """Performs effects. What it needs for that is connected after construction, since each needs the other."""

    matching: MatchingClient
    messages: Messages
    nexus: NexusMessages
    batches: BatchWorker

    def __init__(self) -> None:
        self._sending: set[asyncio.Task[None]] = set()

    @property
    def sending(self) -> set[asyncio.Task[None]]:
        """Messages that are being sent."""
        return self._sending

    async def stop(self) -> None:
        """Give up what is being sent: it is owed by its sender's state, and sent again at the next start."""
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)

    def perform(self, shard: Shard, loaded: Loaded[Any], effect: Effect) -> None:
        """Do it, or start doing it."""
        match effect:
            case OfferWorkflowTask() | OfferActivityTask():
                task = task_of(loaded, effect)
                if task is not None:
                    self.matching.offer(task)
            case ResolveUpdate(update_id, outcome):
                assert isinstance(loaded, LoadedExecution)
                loaded.tell_update_waiters(update_id, UpdateNews(outcome=outcome))
            case AbortUpdates():
                assert isinstance(loaded, LoadedExecution)
                _abort_updates(loaded, effect)
            case StartChild(initiated_event_id):
                self._send(loaded, self.messages.start_child, initiated_event_id)
            case SendSignal(initiated_event_id):
                self._send(loaded, self.messages.signal, initiated_event_id)
            case SendCancel(initiated_event_id):
                self._send(loaded, self.messages.cancel, initiated_event_id)
            case StartNexusOperation(scheduled_event_id):
                self._send(loaded, self.nexus.start, scheduled_event_id)
            case CancelNexusOperation(scheduled_event_id):
                self._send(loaded, self.nexus.cancel, scheduled_event_id)
            case DeliverCallback(index):
                self._send(loaded, self.nexus.deliver_callback, index)
            case ApplyParentClosePolicy(initiated_event_id):
                self._send(loaded, self.messages.apply_parent_close_policy, initiated_event_id)
            case NotifyParent():
                self._send(loaded, self.messages.notify_parent, 0)
            case NotifySchedule():
                self._send(loaded, self.messages.schedules.notify_schedule, 0)
            case StartAction(action_id):
                self._send(loaded, self.messages.schedules.start_action, action_id)
            case StopAction(action_id):
                self._send(loaded, self.messages.schedules.stop_action, action_id)
            case CheckAction(action_id):
                self._send(loaded, self.messages.schedules.check_action, action_id)
            case RunBatch():
                self._send(loaded, self.batches.run, 0)
            case _:
                assert_never(effect)

    def _send(self, loaded: Loaded[Any], send: Callable[[ExecutionKey, int], Awaitable[None]], number: int) -> None:
        """`number` is what the sender knows the message by: an event id, or an action's id."""
        task = asyncio.get_running_loop().create_task(self._until_sent(loaded.shard, loaded.key, send, number))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _until_sent(
        self, shard: Shard, key: ExecutionKey, send: Callable[[ExecutionKey, int], Awaitable[None]], number: int
    ) -> None:
        """Whoever owns the sender's shard next sends it too."""
        delay_s = _RETRY_DELAY_S_MIN
        while not shard.closed:
            try:
                await send(key, number)
                return
            except Unavailable:
                pass
            except (DataLoss, NamespaceNotFound) as error:
                # The sender's own, since those of receivers are recorded: nobody is left to send for.
                logger.warning("a message was given up", **named(key), message=send.__name__, error=str(error))
                return
            except Exception:
                logger.exception("a message failed", **named(key), message=send.__name__)
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, _RETRY_DELAY_S_MAX)


def task_of(loaded: Loaded[Any], effect: OfferWorkflowTask | OfferActivityTask) -> Task | None:
    """What is to be offered; None if there is nothing to hand out any more."""
    if isinstance(effect, OfferWorkflowTask):
        return _workflow_task(loaded)
    return _activity_task(loaded, effect.scheduled_event_id)


def _workflow_task(loaded: Loaded[Any]) -> Task | None:
    state = loaded.state
    task = state.workflow_task
    if task is None or task.started_event_id or not state.running:
        return None
    priority = state.priority
    version, behavior = directive(state.versioning)
    # What was scheduled for one worker is for any since that worker has the run no more.
    sticky = task.sticky and task.queue == state.sticky_queue
    return Task(
        queue=TaskQueueKey(state.namespace_id, task.queue if sticky else state.task_queue, TaskKind.WORKFLOW),
        key=loaded.key,
        scheduled_event_id=task.scheduled_event_id,
        stamp=task.attempt,
        created_at_ns=loaded.wall_ns(task.scheduled_at),
        priority=priority.priority_key or DEFAULT_PRIORITY,
        fairness_key=priority.fairness_key,
        fairness_weight=priority.fairness_weight or 1.0,
        normal_queue=state.task_queue if sticky else "",
        epoch=loaded.shard.epoch,
        version=version,
        behavior=behavior,
    )


def _activity_task(loaded: Loaded[Any], scheduled_event_id: int) -> Task | None:
    state = loaded.state
    activity = state.activities.get(scheduled_event_id)
    if activity is None or not activity.waiting or not state.running or state.holds_tasks:
        return None
    scheduled = activity.scheduled
    version, behavior = directive(state.versioning) if loaded.kind is ExecutionKind.WORKFLOW else ("", 0)
    priority = merged(state.priority, scheduled.priority) if scheduled.HasField("priority") else state.priority
    return Task(
        queue=TaskQueueKey(state.namespace_id, scheduled.task_queue.name, TaskKind.ACTIVITY),
        key=loaded.key,
        scheduled_event_id=scheduled_event_id,
        stamp=activity.stamp,
        created_at_ns=loaded.wall_ns(activity.attempt_scheduled_at),
        priority=priority.priority_key or DEFAULT_PRIORITY,
        fairness_key=priority.fairness_key,
        fairness_weight=priority.fairness_weight or 1.0,
        epoch=loaded.shard.epoch,
        version=version,
        behavior=behavior,
    )


def _abort_updates(loaded: LoadedExecution, effect: AbortUpdates) -> None:
    for update_id in effect.accepted:
        loaded.tell_update_waiters(update_id, UpdateNews(outcome=Outcome(failure=cut_short())))
    error: ServiceError = (
        ResourceExhausted(
            "workflow operation can not be applied because workflow is closing",
            ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_BUSY_WORKFLOW,
        )
        if effect.continued
        else AbortedByClose()
    )
    for update_id in effect.unaccepted:
        loaded.tell_update_waiters(update_id, UpdateNews(error=error))
