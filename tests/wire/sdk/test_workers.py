"""What the official SDK says of its workers."""

from __future__ import annotations

from uuid import uuid4

from temporalio import activity
from temporalio.api.enums.v1 import WorkerStatus
from temporalio.api.workflowservice.v1 import DescribeWorkerRequest, ListWorkersRequest
from temporalio.client import Client

from tests.support.sdk import SHORT, worker


@activity.defn
async def nothing() -> None: ...


async def test_a_worker_that_stops_leaves_its_last_heartbeat(client: Client) -> None:
    queue = f"workers-{uuid4()}"
    async with worker(client, [], [nothing], queue):
        # Only a worker that has got so far has something to say.
        await client.execute_activity(nothing, id=queue, task_queue=queue, start_to_close_timeout=SHORT)
    request = ListWorkersRequest(namespace="default", query=f"TaskQueue = '{queue}' AND SdkName = 'temporal-python'")
    listed = (await client.workflow_service.list_workers(request)).workers
    assert [each.worker_identity for each in listed] == [client.identity]
    assert listed[0].status == WorkerStatus.WORKER_STATUS_SHUTTING_DOWN
    described = await client.workflow_service.describe_worker(
        DescribeWorkerRequest(namespace="default", worker_instance_key=listed[0].worker_instance_key)
    )
    assert described.worker_info.worker_heartbeat.HasField("activity_task_slots_info")
