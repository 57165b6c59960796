"""What a worker is handed: workflow tasks and activity tasks, built from the state."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, TaskQueueKind
from temporalio.api.history.v1 import (
    History,
    HistoryEvent,
    WorkflowTaskScheduledEventAttributes,
    WorkflowTaskStartedEventAttributes,
)
from temporalio.api.protocol.v1 import Message
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import PollActivityTaskQueueResponse, PollWorkflowTaskQueueResponse

from perdure.history import histories
from perdure.history.kinds.workflow import LoadedExecution
from perdure.history.shard import Shard
from perdure.history.state.activity_execution import ActivityExecution
from perdure.history.state.execution import Activity, Execution, WorkflowTask, WorkflowTaskType
from perdure.kernel import tokens
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.ids import ExecutionKey
from perdure.kernel.namespace import Namespace
from perdure.kernel.options import merged
from perdure.kernel.prototime import duration, timestamp


class HistoryPage(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """Where the next page of a history begins: the token that callers pass back.

    `until` is the end of a history that is read once, 0 for one that is followed. `task_started_event_id` is set for
    the pages that belong to a workflow task: they end with the task's own started event, written or not.
    """

    run_id: str
    next_event_id: int
    until: int = 0
    task_started_event_id: int = 0

    def encode(self) -> bytes:
        return _encoder.encode(self)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(HistoryPage)


def decode_page(token: bytes) -> HistoryPage:
    """Raises InvalidArgument if the token is not one of ours."""
    try:
        return _decoder.decode(token)
    except msgspec.DecodeError:
        raise InvalidArgument("Invalid NextPageToken.") from None


async def workflow_task(
    shard: Shard, loaded: LoadedExecution, task: WorkflowTask, messages: Sequence[Message], *, partial: bool
) -> PollWorkflowTaskQueueResponse:
    """The started workflow task. `partial`: the worker has the workflow in its cache and needs only what is new."""
    state = loaded.state
    previous = state.completed_task_started_event_id
    queries = {query_id: pending.query for query_id, pending in loaded.queries.items()}
    for pending in loaded.queries.values():
        pending.sent = True
    first = previous + 1 if partial else 1
    end = task.started_event_id + 1 if task.type is WorkflowTaskType.NORMAL else task.scheduled_event_id
    response = PollWorkflowTaskQueueResponse(
        task_token=tokens.encode(
            tokens.WorkflowTaskToken(
                state.namespace_id,
                state.workflow_id,
                state.run_id,
                task.scheduled_event_id,
                task.started_event_id,
                task.attempt,
                task.started_at,
            )
        ),
        workflow_execution=WorkflowExecution(workflow_id=state.workflow_id, run_id=state.run_id),
        workflow_type=state.started.workflow_type,
        previous_started_event_id=previous,
        started_event_id=task.started_event_id,
        attempt=task.attempt,
        workflow_execution_task_queue=_normal_queue(state),
        scheduled_time=timestamp(task.scheduled_at),
        started_time=timestamp(task.started_at),
        queries=queries,
        messages=messages,
    )
    events = await histories.read(shard, loaded, first, end, shard.limits.history_page_size_max)
    reached = events[-1].event_id + 1 if events else first
    if reached < end:
        response.next_page_token = HistoryPage(
            state.run_id, reached, until=end, task_started_event_id=task.started_event_id
        ).encode()
        response.history.events.extend(events)
    else:
        response.history.CopyFrom(History(events=[*events, *promised_events(state, task, task.identity)]))
    return response


def promised_events(state: Execution, task: WorkflowTask, identity: str) -> list[HistoryEvent]:
    """The events that a transient or speculative task will have once it completes, to be seen already."""
    if task.type is WorkflowTaskType.NORMAL or task.scheduled_event_id != state.next_event_id:
        return []
    queue = TaskQueue(name=task.queue, kind=TaskQueueKind.TASK_QUEUE_KIND_NORMAL)
    if task.sticky:
        queue.kind = TaskQueueKind.TASK_QUEUE_KIND_STICKY
        queue.normal_name = state.task_queue
    events = [
        HistoryEvent(
            event_id=task.scheduled_event_id,
            event_time=timestamp(task.scheduled_at),
            event_type=EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
            workflow_task_scheduled_event_attributes=WorkflowTaskScheduledEventAttributes(
                task_queue=queue, start_to_close_timeout=duration(task.timeout), attempt=task.attempt
            ),
        )
    ]
    if not task.started_event_id:
        return events
    events.append(
        HistoryEvent(
            event_id=task.started_event_id,
            event_time=timestamp(task.started_at),
            event_type=EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED,
            workflow_task_started_event_attributes=WorkflowTaskStartedEventAttributes(
                scheduled_event_id=task.scheduled_event_id,
                identity=identity,
                request_id=task.request_id,
                suggest_continue_as_new=task.suggest_continue_as_new,
                suggest_continue_as_new_reasons=task.suggest_reasons,  # type: ignore[arg-type]
                history_size_bytes=task.history_size,
                target_worker_deployment_version_changed=task.version_changed,
            ),
        )
    )
    return events


def _normal_queue(state: Execution) -> TaskQueue:
    return TaskQueue(name=state.task_queue, kind=TaskQueueKind.TASK_QUEUE_KIND_NORMAL)


async def query_only(shard: Shard, loaded: LoadedExecution, *, partial: bool) -> PollWorkflowTaskQueueResponse:
    """A workflow task that carries a query and no work: the history so far, and nothing to complete."""
    state = loaded.state
    end = state.next_event_id
    first = state.completed_task_started_event_id + 1 if partial else 1
    events = await histories.read(shard, loaded, first, end, shard.limits.history_page_size_max)
    reached = events[-1].event_id + 1 if events else end
    return PollWorkflowTaskQueueResponse(
        workflow_execution=WorkflowExecution(workflow_id=state.workflow_id, run_id=state.run_id),
        workflow_type=state.started.workflow_type,
        previous_started_event_id=state.completed_task_started_event_id,
        attempt=1,
        workflow_execution_task_queue=_normal_queue(state),
        history=History() if partial else History(events=events),
        next_page_token=b"" if partial or reached >= end else HistoryPage(state.run_id, reached, until=end).encode(),
    )


def activity_task(namespace: Namespace, state: Execution, activity: Activity) -> PollActivityTaskQueueResponse:
    """The started attempt of an activity of a workflow."""
    response = _attempt(namespace, state.key, activity)
    response.workflow_type.CopyFrom(state.started.workflow_type)
    response.workflow_execution.workflow_id = state.workflow_id
    response.workflow_execution.run_id = state.run_id
    if state.priority.ByteSize():
        response.priority.CopyFrom(merged(state.priority, activity.scheduled.priority))
    return response


def standalone_activity_task(
    namespace: Namespace, state: ActivityExecution, activity: Activity
) -> PollActivityTaskQueueResponse:
    """The started attempt of a standalone activity."""
    response = _attempt(namespace, state.key, activity)
    response.activity_run_id = state.run_id
    response.workflow_execution.SetInParent()  # there, and empty, for workers that look at it
    return response


def _attempt(namespace: Namespace, key: ExecutionKey, activity: Activity) -> PollActivityTaskQueueResponse:
    """An attempt. Its worker is told the time-outs that the workflow asked for, even if an operator has changed them
    since.
    """
    scheduled = activity.scheduled
    original = scheduled if activity.standalone or activity.original is None else activity.original
    response = PollActivityTaskQueueResponse(
        task_token=tokens.encode(
            tokens.ActivityToken(
                key.namespace_id,
                key.workflow_id,
                key.run_id,
                activity.scheduled_event_id,
                scheduled.activity_id,
                activity.attempt,
                activity.stamp,
                activity.started_at,
                key.kind,
            )
        ),
        workflow_namespace=namespace.name,
        activity_type=scheduled.activity_type,
        activity_id=scheduled.activity_id,
        header=scheduled.header if scheduled.HasField("header") else None,
        input=scheduled.input if scheduled.HasField("input") else None,
        heartbeat_details=activity.heartbeat_details,
        scheduled_time=timestamp(activity.scheduled_at),
        current_attempt_scheduled_time=timestamp(activity.attempt_scheduled_at),
        started_time=timestamp(activity.started_at),
        attempt=activity.attempt,
        schedule_to_close_timeout=original.schedule_to_close_timeout,
        start_to_close_timeout=original.start_to_close_timeout,
        heartbeat_timeout=original.heartbeat_timeout,
        retry_policy=scheduled.retry_policy if scheduled.HasField("retry_policy") else None,
    )
    if scheduled.HasField("priority"):
        response.priority.CopyFrom(scheduled.priority)
    return response
