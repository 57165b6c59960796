"""Requests of workers: polls, answers to tasks, and questions about task queues."""

from __future__ import annotations

from temporalio.api.enums.v1 import DescribeTaskQueueMode, TaskQueueKind, TaskQueueType, WorkerVersioningMode
from temporalio.api.failure.v1 import Failure
from temporalio.api.worker.v1 import WorkerHeartbeat
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    ListTaskQueuePartitionsRequest,
    PollActivityTaskQueueRequest,
    PollNexusTaskQueueRequest,
    PollWorkflowTaskQueueRequest,
    RecordActivityTaskHeartbeatByIdRequest,
    RecordWorkerHeartbeatRequest,
    RespondActivityTaskCanceledByIdRequest,
    RespondActivityTaskCanceledRequest,
    RespondActivityTaskCompletedByIdRequest,
    RespondActivityTaskCompletedRequest,
    RespondActivityTaskFailedByIdRequest,
    RespondActivityTaskFailedRequest,
    RespondWorkflowTaskCompletedRequest,
    RespondWorkflowTaskFailedRequest,
    ShutdownWorkerRequest,
)

from perdure.frontend.validation.rules import Scene, check_identity, check_run_id, check_task_queue, check_worker
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.limits import Limits

_DURATION_S_MAX = 315_576_000_000  # the range of google.protobuf.Duration

ByIdRequest = (
    RecordActivityTaskHeartbeatByIdRequest
    | RespondActivityTaskCanceledByIdRequest
    | RespondActivityTaskCompletedByIdRequest
    | RespondActivityTaskFailedByIdRequest
)


def check_poll_workflow_task(request: PollWorkflowTaskQueueRequest, scene: Scene) -> None:
    check_identity(request.identity, scene.limits)
    _check_poller(request, scene)
    check_task_queue(request, "task_queue", scene.limits)
    if request.binary_checksum in scene.namespace.bad_binaries:
        raise InvalidArgument(f"Binary {request.binary_checksum} already marked as bad deployment.")


def check_poll_activity_task(request: PollActivityTaskQueueRequest | PollNexusTaskQueueRequest, scene: Scene) -> None:
    check_task_queue(request, "task_queue", scene.limits)
    check_identity(request.identity, scene.limits)
    _check_poller(request, scene)


def _check_poller(
    request: PollWorkflowTaskQueueRequest | PollActivityTaskQueueRequest | PollNexusTaskQueueRequest, scene: Scene
) -> None:
    capabilities = request.worker_version_capabilities
    check_worker(
        capabilities.use_versioning,
        capabilities.build_id,
        request.deployment_options if request.HasField("deployment_options") else None,
        request.task_queue if request.HasField("task_queue") else None,
        scene.limits,
    )


def check_workflow_task_completed(request: RespondWorkflowTaskCompletedRequest, scene: Scene) -> None:
    check_identity(request.identity, scene.limits)
    versioned = WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED
    has_version = request.HasField("deployment") or request.deployment_options.worker_versioning_mode == versioned
    if request.versioning_behavior and not has_version:
        raise InvalidArgument(
            "versioning behavior cannot be specified without deployment options being set with versioned mode"
        )
    stamp = request.worker_version_stamp
    sticky = request.sticky_attributes
    check_worker(
        stamp.use_versioning,
        stamp.build_id,
        request.deployment_options if request.HasField("deployment_options") else None,
        sticky.worker_task_queue if sticky.HasField("worker_task_queue") else None,
        scene.limits,
    )


def check_workflow_task_failed(request: RespondWorkflowTaskFailedRequest, scene: Scene) -> None:
    check_identity(request.identity, scene.limits)


def check_activity_answer(
    request: RespondActivityTaskCompletedRequest | RespondActivityTaskCanceledRequest, scene: Scene
) -> None:
    check_identity(request.identity, scene.limits)


def check_activity_failed(request: RespondActivityTaskFailedRequest, scene: Scene) -> None:
    if request.HasField("failure") and not request.failure.HasField("application_failure_info"):
        raise InvalidArgument("Failure must have ApplicationFailureInfo.")
    _check_retry_delays(request.failure)
    check_identity(request.identity, scene.limits)


def check_activity_heartbeat_by_id(request: RecordActivityTaskHeartbeatByIdRequest, scene: Scene) -> None:
    _check_activity_id(request)
    _check_run(request)


def check_activity_answer_by_id(
    request: RespondActivityTaskCompletedByIdRequest | RespondActivityTaskCanceledByIdRequest, scene: Scene
) -> None:
    _check_activity_id(request)
    check_identity(request.identity, scene.limits)
    _check_run(request)


def check_activity_failed_by_id(request: RespondActivityTaskFailedByIdRequest, scene: Scene) -> None:
    _check_activity_id(request)
    check_identity(request.identity, scene.limits)
    _check_run(request)
    _check_retry_delays(request.failure)


def _check_activity_id(request: ByIdRequest) -> None:
    if not request.activity_id:
        raise InvalidArgument("ActivityId is not set on request.")


def _check_run(request: ByIdRequest) -> None:
    check_run_id(request.run_id, "RunId is not valid UUID.")


def _check_retry_delays(failure: Failure) -> None:
    """A worker may say when to retry, anywhere in the chain of causes."""
    while True:
        delay = failure.application_failure_info.next_retry_delay
        if not -_DURATION_S_MAX <= delay.seconds <= _DURATION_S_MAX or not -(10**9) < delay.nanos < 10**9:
            raise InvalidArgument("NextRetryDelay is not a valid duration: it is out of range")
        if (delay.seconds > 0 and delay.nanos < 0) or (delay.seconds < 0 and delay.nanos > 0):
            raise InvalidArgument("NextRetryDelay is not a valid duration: seconds and nanos have different signs")
        if not failure.HasField("cause"):
            return
        failure = failure.cause


def check_describe_task_queue(request: DescribeTaskQueueRequest, scene: Scene) -> None:
    enhanced = request.api_mode == DescribeTaskQueueMode.DESCRIBE_TASK_QUEUE_MODE_ENHANCED
    check_task_queue(request, "task_queue", scene.limits, partition=not request.api_mode)
    if enhanced or request.task_queue_type == TaskQueueType.TASK_QUEUE_TYPE_UNSPECIFIED:
        request.task_queue_type = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
    if not request.task_queue_types:
        request.task_queue_types.extend(
            (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY)
        )
    if enhanced and request.task_queue.kind == TaskQueueKind.TASK_QUEUE_KIND_STICKY:
        raise InvalidArgument(
            "Enhanced DescribeTaskQueue is not valid for a sticky queue, use api_mode=UNSPECIFIED or a normal queue."
        )


def check_list_partitions(request: ListTaskQueuePartitionsRequest, scene: Scene) -> None:
    check_task_queue(request, "task_queue", scene.limits)


def check_worker_heartbeats(request: RecordWorkerHeartbeatRequest | PollNexusTaskQueueRequest, scene: Scene) -> None:
    for heartbeat in request.worker_heartbeat:
        _check_heartbeat(heartbeat, scene.limits)


def check_shutdown_worker(request: ShutdownWorkerRequest, scene: Scene) -> None:
    _check_heartbeat(request.worker_heartbeat, scene.limits)


def _check_heartbeat(heartbeat: WorkerHeartbeat, limits: Limits) -> None:
    if (size := heartbeat.ByteSize()) > limits.worker_heartbeat_size_max:
        raise InvalidArgument(f"WorkerHeartbeat exceeds size limit ({size}/{limits.worker_heartbeat_size_max}).")
