"""ShutdownWorker: a worker says that it will poll no more."""

from __future__ import annotations

from temporalio.api.workflowservice.v1 import ShutdownWorkerRequest, ShutdownWorkerResponse

from perdure.kernel.call import Call
from perdure.kernel.ids import NamespaceId, TaskKind, TaskQueueKey
from perdure.matching.queues import TaskQueues


async def shutdown_worker(queues: TaskQueues, call: Call, request: ShutdownWorkerRequest) -> ShutdownWorkerResponse:
    """End the worker's polls, so that it gets no task that it would not work on, and drop its sticky queue."""
    namespace_id = NamespaceId(call.namespace_id)
    if request.worker_instance_key:
        queues.shut_down(request.worker_instance_key)
    if request.task_queue:
        for kind in TaskKind:
            partition = queues.find(TaskQueueKey(namespace_id, request.task_queue, kind))
            if partition is None or (request.task_queue_types and int(kind) not in request.task_queue_types):
                continue
            if request.worker_instance_key:
                partition.dismiss(request.worker_instance_key)
            partition.pollers.forget(request.identity)
    # Last, so that what waits there does not go to another poll of the same worker.
    if request.sticky_task_queue:
        queues.discard(TaskQueueKey(namespace_id, request.sticky_task_queue, TaskKind.WORKFLOW))
    return ShutdownWorkerResponse()
