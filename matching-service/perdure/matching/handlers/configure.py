"""UpdateTaskQueueConfig."""

from __future__ import annotations

from temporalio.api.workflowservice.v1 import UpdateTaskQueueConfigRequest, UpdateTaskQueueConfigResponse

from perdure.kernel.call import Call
from perdure.kernel.ids import NamespaceId
from perdure.kernel.persistence.task_queues import ConfiguredQueue
from perdure.matching.queues import TaskQueues


async def update_task_queue_config(
    queues: TaskQueues, call: Call, request: UpdateTaskQueueConfigRequest
) -> UpdateTaskQueueConfigResponse:
    """Set the rates and weights of a task queue. They hold everywhere within a second or so.

    Raises:
        InvalidArgument, ResourceExhausted: there would be too many overrides, or configured queues.
        Unavailable: others keep changing it.
    """
    queue = ConfiguredQueue(NamespaceId(call.namespace_id), request.task_queue, request.task_queue_type)
    return UpdateTaskQueueConfigResponse(config=await queues.configurations.update(queue, request))
