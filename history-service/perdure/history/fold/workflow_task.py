"""The pending workflow task, its attempts, and where the next one goes."""

from __future__ import annotations

from temporalio.api.enums.v1 import EventType, TaskQueueKind, TimeoutType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent

from perdure.history.fold import problems, versioning
from perdure.history.state.changes import (
    HeartbeatContinued,
    StickySet,
    WorkflowTaskDropped,
    WorkflowTaskNormalized,
    WorkflowTaskScheduled,
    WorkflowTaskStarted,
)
from perdure.history.state.execution import Execution, WorkflowTask, WorkflowTaskType
from perdure.kernel.prototime import instant_ns, length_ns


def _scheduled(state: Execution, event: HistoryEvent) -> None:
    attributes = event.workflow_task_scheduled_event_attributes
    at = instant_ns(event.event_time)
    state.workflow_task = WorkflowTask(
        type=WorkflowTaskType.NORMAL,
        scheduled_event_id=event.event_id,
        attempt=1,
        scheduled_at=at,
        original_scheduled_at=at,
        timeout=length_ns(attributes.start_to_close_timeout),
        queue=attributes.task_queue.name,
        sticky=attributes.task_queue.kind == TaskQueueKind.TASK_QUEUE_KIND_STICKY,
        sticky_timeout=state.sticky_timeout,
    )
    state.workflow_task_attempt = 1


def _started(state: Execution, event: HistoryEvent) -> None:
    attributes = event.workflow_task_started_event_attributes
    task = state.workflow_task
    assert task is not None
    task.started_event_id = event.event_id
    task.started_at = instant_ns(event.event_time)
    task.identity = attributes.identity
    task.request_id = attributes.request_id
    task.suggest_continue_as_new = attributes.suggest_continue_as_new
    task.suggest_reasons = list(attributes.suggest_continue_as_new_reasons)
    task.history_size = attributes.history_size_bytes
    task.version_changed = attributes.target_worker_deployment_version_changed


def _completed(state: Execution, event: HistoryEvent) -> None:
    _note_build(state, event)
    versioning.task_completed(state, event.workflow_task_completed_event_attributes, event.event_id)
    if event.workflow_task_completed_event_attributes.HasField("worker_version"):
        state.worker_version = event.workflow_task_completed_event_attributes.worker_version
    state.completed_task_started_event_id = event.workflow_task_completed_event_attributes.started_event_id
    state.completed_task_event_id = event.event_id
    state.workflow_task = None
    state.workflow_task_attempt = 1
    problems.solved(state, event)


#: Builds that are remembered as points to which a run can be reset.
_RESET_POINTS_MAX = 100
#: The run was wound back to before this task, or is paused.
_TAKEN_BACK = (
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW,
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_PAUSE_REQUESTED_BEFORE_TASK_STARTED,
)


def _note_build(state: Execution, event: HistoryEvent) -> None:
    """Remember the first task that each build of the worker completed."""
    attributes = event.workflow_task_completed_event_attributes
    build_id = attributes.deployment_version.build_id or attributes.worker_version.build_id
    points = state.reset_points.points
    known = any(p.binary_checksum == attributes.binary_checksum and p.build_id == build_id for p in points)
    if not known:
        _add_reset_point(state, event, build_id)


def _add_reset_point(state: Execution, event: HistoryEvent, build_id: str) -> None:
    attributes = event.workflow_task_completed_event_attributes
    points = state.reset_points.points
    points.add(
        binary_checksum=attributes.binary_checksum,
        build_id=build_id,
        run_id=state.run_id,
        first_workflow_task_completed_id=event.event_id,
        create_time=event.event_time,
        resettable=not state.children,
    )
    if len(points) > _RESET_POINTS_MAX:
        del points[0]


def _failed(state: Execution, event: HistoryEvent) -> None:
    # What was taken back is nobody's failure either.
    failed = event.workflow_task_failed_event_attributes.cause not in _TAKEN_BACK
    _end_unsuccessfully(state, event, failed=failed)
    if not failed:
        state.workflow_task_attempt = 1


def _timed_out(state: Execution, event: HistoryEvent) -> None:
    timeout_type = event.workflow_task_timed_out_event_attributes.timeout_type
    # A sticky worker that did not come is nobody's failure.
    failed = timeout_type != TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START
    _end_unsuccessfully(state, event, failed=failed)


def _end_unsuccessfully(state: Execution, event: HistoryEvent, *, failed: bool = True) -> None:
    """Let the next task go to any worker. What failed on a sticky worker may be the fault of its cache, so that only a
    failure with the whole history counts as an attempt."""
    state.workflow_task = None
    if state.sticky_queue:
        state.sticky_queue = ""
        state.sticky_timeout = 0
    elif failed:
        state.workflow_task_attempt += 1
        problems.failed(state, event)


EVOLVE = {
    EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED: _scheduled,
    EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED: _started,
    EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED: _completed,
    EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED: _failed,
    EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT: _timed_out,
}


def _scheduled_without_event(state: Execution, change: WorkflowTaskScheduled) -> None:
    state.workflow_task = WorkflowTask(
        type=WorkflowTaskType(change.type),
        scheduled_event_id=state.next_event_id,
        attempt=state.workflow_task_attempt,
        scheduled_at=change.at,
        original_scheduled_at=change.at,
        timeout=change.timeout,
        queue=change.queue,
        sticky=change.sticky,
        sticky_timeout=state.sticky_timeout,
    )


def _started_without_event(state: Execution, change: WorkflowTaskStarted) -> None:
    task = state.workflow_task
    assert task is not None
    task.started_event_id = task.scheduled_event_id + 1
    task.started_at = change.at
    task.identity = change.identity
    task.request_id = change.request_id
    task.suggest_continue_as_new = change.suggest_continue_as_new
    task.suggest_reasons = list(change.suggest_reasons)
    task.history_size = change.history_size
    task.version_changed = change.version_changed


def _dropped(state: Execution, change: WorkflowTaskDropped) -> None:
    state.workflow_task = None
    state.workflow_task_attempt = change.attempt
    if change.attempt > 1:
        problems.failed(state)


def _normalized(state: Execution, change: WorkflowTaskNormalized) -> None:
    state.workflow_task = None
    state.workflow_task_attempt = 1


def _heartbeat_continued(state: Execution, change: HeartbeatContinued) -> None:
    assert state.workflow_task is not None
    state.workflow_task.original_scheduled_at = change.original_scheduled_at


def _sticky_set(state: Execution, change: StickySet) -> None:
    state.sticky_queue = change.queue
    state.sticky_timeout = change.timeout


AMEND = {
    WorkflowTaskScheduled: _scheduled_without_event,
    WorkflowTaskStarted: _started_without_event,
    WorkflowTaskDropped: _dropped,
    WorkflowTaskNormalized: _normalized,
    HeartbeatContinued: _heartbeat_continued,
    StickySet: _sticky_set,
}
