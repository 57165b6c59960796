"""Calls to a cluster of which some part is out of reach."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any, cast

import grpc
import grpc.aio
from temporalio.api.common.v1 import WorkflowType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    StartWorkflowExecutionRequest,
    WorkflowServiceStub,
)

NAMESPACE = "probes"
CALL_S_MAX = 2.0
#: How long to wait for calls to be served again when nothing stands in their way any more. How soon they are is
#: measured in `loadtests.failover`.
RECOVERED_S_MAX = 30.0
AT_ONCE = 8
IN_VAIN = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}


class Probes:
    """Calls that nobody repeats, to workflows and to task queues of any owner."""

    def __init__(self, channel: grpc.aio.Channel, there: Callable[[str], bool] = lambda _: True) -> None:
        """Only workflow ids that are `there` are used."""
        self._service: Any = WorkflowServiceStub(cast(Any, channel))
        self._names = filter(there, map("probe-{}".format, itertools.count()))

    async def all_served(self) -> bool:
        """Whether some calls at the same time are. Those that are not fail as they should."""
        return all(await asyncio.gather(*(self._is_served() for _ in range(AT_ONCE))))

    async def _is_served(self) -> bool:
        name = next(self._names)
        start = StartWorkflowExecutionRequest(
            namespace=NAMESPACE,
            workflow_id=name,
            workflow_type=WorkflowType(name="Probe"),
            task_queue=TaskQueue(name=name),
            request_id=name,
        )
        describe = DescribeTaskQueueRequest(namespace=NAMESPACE, task_queue=TaskQueue(name=name))
        try:
            await self._service.StartWorkflowExecution(start, timeout=CALL_S_MAX)
            await self._service.DescribeTaskQueue(describe, timeout=CALL_S_MAX)
        except grpc.aio.AioRpcError as error:
            assert error.code() in IN_VAIN, error
            return False
        return True

    async def recover(self) -> None:
        """Return when all are served again, which must be soon."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + RECOVERED_S_MAX
        while not await self.all_served():
            assert loop.time() < until_s
