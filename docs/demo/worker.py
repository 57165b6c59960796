"""The worker process: `python -m docs.demo.worker ADDRESS`. Nothing in it knows that the server is Perdure."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta

from temporalio.client import Client
from temporalio.worker import Worker

from docs.demo import activities, workflows

TASK_QUEUE = "orders"


async def main(address: str) -> None:
    worker = Worker(
        await Client.connect(address),
        task_queue=TASK_QUEUE,
        workflows=[workflows.Order, workflows.Delivery],
        activities=[activities.reserve, activities.charge, activities.refund, activities.carry],
        # The drive is short, so that each kilometre counts.
        max_heartbeat_throttle_interval=timedelta(milliseconds=100),
    )
    await worker.run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
