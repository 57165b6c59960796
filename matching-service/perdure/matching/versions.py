"""Which version of workers a task is for, and which a poll is of."""

from __future__ import annotations

from temporalio.api.deployment.v1 import WorkerDeploymentOptions
from temporalio.api.enums.v1 import VersioningBehavior, WorkerVersioningMode

from perdure.kernel.deployments.directory import Deployments
from perdure.kernel.deployments.records import VersionId, VersionQueue, parse_version
from perdure.kernel.ids import TaskKind, TaskQueueKey
from perdure.kernel.rpc import QueryTask, Task

_PINNED = VersioningBehavior.VERSIONING_BEHAVIOR_PINNED


def of_task(deployments: Deployments, task: Task | QueryTask) -> str:
    """The version whose workers are to have the task, as text; empty for workers without one.

    An activity of a pinned workflow whose version has no workers on the activity's queue belongs to nobody's version
    but goes where the queue's own routing sends it. The reference server decides so too.
    """
    queue = VersionQueue(task.queue.name, task.queue.kind)
    if task.behavior == _PINNED and task.version:
        pinned = parse_version(task.version)
        if task.queue.kind is TaskKind.WORKFLOW or (
            pinned is not None and deployments.has(task.queue.namespace_id, pinned, queue)
        ):
            return task.version
    return routed(deployments, task.queue, task.key.workflow_id)


def routed(deployments: Deployments, queue: TaskQueueKey, id: str) -> str:
    """The version for what comes to the queue under this id and is bound to none; empty for workers without one."""
    target = deployments.routing(queue.namespace_id, VersionQueue(queue.name, queue.kind)).target(id)
    return str(target) if target else ""


def has_left(deployments: Deployments, task: Task | QueryTask) -> bool:
    """Whether a task for one worker's own queue has to go to another version than that worker's."""
    if task.behavior == _PINNED:
        return False
    normal = task.normal_queue if isinstance(task, Task) else task.queue.name
    queue = VersionQueue(normal, task.queue.kind)
    target = deployments.routing(task.queue.namespace_id, queue).target(task.key.workflow_id)
    return target is not None and str(target) != task.version


def of_poll(options: WorkerDeploymentOptions) -> VersionId | None:
    """The version that a worker says it is of; None for workers without one."""
    if options.worker_versioning_mode != WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED:
        return None
    return VersionId(options.deployment_name, options.build_id)


def polled(queue: TaskQueueKey, version: VersionId | None) -> TaskQueueKey:
    """The queue as a worker of this version polls it."""
    return queue._replace(version=str(version)) if version else queue
