"""Fairness keys, and what users set of task queues, as workers and clients of the official SDK meet them."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from uuid import uuid4

from temporalio import activity, workflow
from temporalio.api.enums.v1 import RateLimitSource, TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    UpdateTaskQueueConfigRequest,
)
from temporalio.client import Client
from temporalio.common import Priority

from tests.support.process import ANY_PORTS, dev
from tests.support.sdk import SHORT, worker

ACTIVITY = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY

_order: list[str] = []


@activity.defn
async def note(key: str) -> None:
    _order.append(key)


@workflow.defn
class Tenants:
    """One tenant has a lot to do, another comes later with a little."""

    @workflow.run
    async def run(self, queue: str) -> None:
        keys = ["many"] * 40 + ["few"] * 4 + ["heavy"] * 20
        await asyncio.gather(
            *(
                workflow.execute_activity(
                    note, key, task_queue=queue, start_to_close_timeout=SHORT, priority=Priority(fairness_key=key)
                )
                for key in keys
            )
        )


async def described(client: Client, queue: str) -> DescribeTaskQueueResponse:
    return await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace="default",
            task_queue=TaskQueue(name=queue),
            task_queue_type=ACTIVITY,
            report_config=True,
            report_stats=True,
        )
    )


def a_change(queue: str) -> UpdateTaskQueueConfigRequest:
    return UpdateTaskQueueConfigRequest(namespace="default", task_queue=queue, task_queue_type=ACTIVITY, identity="me")


async def test_a_tenant_with_little_to_do_does_not_wait_for_one_with_much(client: Client) -> None:
    queue = f"shared-{uuid4()}"
    change = a_change(queue)
    change.set_fairness_weight_overrides["heavy"] = 3
    await client.workflow_service.update_task_queue_config(change)
    _order.clear()
    async with worker(client, [Tenants]) as workflows:
        handle = await client.start_workflow(Tenants.run, queue, id=str(uuid4()), task_queue=workflows.task_queue)
        while (await described(client, queue)).stats.approximate_backlog_count < 64:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        async with worker(client, [], [note], queue, max_concurrent_activities=1, max_concurrent_activity_task_polls=1):
            await handle.result()
    assert len(_order) == 64
    assert set(_order[:20]) == {"many", "few", "heavy"}
    assert max(place for place, key in enumerate(_order) if key == "few") < 25, "done while the others have much left"
    counts = Counter(_order[:20])
    assert counts["heavy"] >= 2 * counts["many"], "its weight is three times that of the others"


async def test_what_was_set_is_there_after_a_restart(tmp_path: Path) -> None:
    database = str(tmp_path / "data.db")
    async with dev("--db", database, *ANY_PORTS) as process:
        client = await Client.connect(process.address)
        change = a_change("q")
        change.update_queue_rate_limit.rate_limit.requests_per_second = 12.5
        change.update_queue_rate_limit.reason = "a slow neighbour"
        config = (await client.workflow_service.update_task_queue_config(change)).config
    async with dev("--db", database, *ANY_PORTS) as process:
        client = await Client.connect(process.address)
        after = await described(client, "q")
    assert after.config == config
    assert after.config.queue_rate_limit.metadata.reason == "a slow neighbour"
    assert after.effective_rate_limit.requests_per_second == 12.5
    assert after.effective_rate_limit.rate_limit_source == RateLimitSource.RATE_LIMIT_SOURCE_API
