"""The matching role and a scripted history in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.enums.v1 import DescribeTaskQueueMode, QueryResultType, TaskQueueKind, TaskQueueType
from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.taskqueue.v1 import TaskQueue, TaskQueueConfig, TaskQueueMetadata
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    PollActivityTaskQueueRequest,
    PollActivityTaskQueueResponse,
    PollWorkflowTaskQueueRequest,
    PollWorkflowTaskQueueResponse,
    RespondQueryTaskCompletedRequest,
    UpdateTaskQueueConfigRequest,
    UpdateTaskQueueConfigResponse,
)

from perdure.kernel.call import Call
from perdure.kernel.clock import SECOND_NS, VirtualClock
from perdure.kernel.deployments.directory import Deployments
from perdure.kernel.entropy import Entropy
from perdure.kernel.errors import (
    NotFound,
)
from perdure.kernel.ids import ExecutionKey, NamespaceId, NamespaceName, RunId, TaskKind, TaskQueueKey, WorkflowId
from perdure.kernel.limits import Limits
from perdure.kernel.namespace import Namespace
from perdure.kernel.rpc import QueryTask, Task, TaskObsolete
from perdure.kernel.runtime import Runtime
from perdure.matching.configurations import Configurations
from perdure.matching.service import MatchingService
from tests.support.fakes import MemoryDeployments, MemoryTaskQueues
from tests.support.virtual_time import run

T = TypeVar("T")

NAMESPACE = Namespace(NamespaceId("ns"), NamespaceName("default"))
WORKFLOWS = TaskQueueKey(NAMESPACE.id, "queue", TaskKind.WORKFLOW)
ACTIVITIES = TaskQueueKey(NAMESPACE.id, "queue", TaskKind.ACTIVITY)
ENHANCED = DescribeTaskQueueMode.DESCRIBE_TASK_QUEUE_MODE_ENHANCED
STICKY = TaskQueueKey(NAMESPACE.id, "sticky", TaskKind.WORKFLOW)


@dataclass
class FakeHistory:
    """Starts every task once. `before_start` runs before each start and may fail or wait."""

    clock: VirtualClock
    started: list[str] = field(default_factory=list)
    queries_built: list[QueryTask] = field(default_factory=list)
    refills: list[TaskQueueKey] = field(default_factory=list)
    before_start: Callable[[], object] | None = None
    obsolete: set[str] = field(default_factory=set)
    #: Workflows that have a workflow task pending, so that queries go with it.
    overtaken: set[str] = field(default_factory=set)

    async def handle(self, rpc: str, call: Call, request: Message) -> Message:
        raise AssertionError(f"matching has no business with {rpc}")

    async def start_workflow_task(
        self, call: Call, task: Task, request: PollWorkflowTaskQueueRequest
    ) -> PollWorkflowTaskQueueResponse:
        await self._start(task)
        return PollWorkflowTaskQueueResponse(task_token=task.key.workflow_id.encode())

    async def start_activity_task(
        self, call: Call, task: Task, request: PollActivityTaskQueueRequest, request_id: str = ""
    ) -> PollActivityTaskQueueResponse:
        await self._start(task)
        return PollActivityTaskQueueResponse(task_token=task.key.workflow_id.encode())

    async def query_task(
        self, call: Call, task: QueryTask, request: PollWorkflowTaskQueueRequest
    ) -> PollWorkflowTaskQueueResponse:
        self.queries_built.append(task)
        if task.key.workflow_id in self.obsolete:
            raise NotFound("no such workflow")
        if task.key.workflow_id in self.overtaken:
            raise TaskObsolete
        return PollWorkflowTaskQueueResponse(query=task.query)

    def redispatch(self, queue: TaskQueueKey) -> None:
        self.refills.append(queue)

    async def _start(self, task: Task) -> None:
        if self.before_start is not None:
            waiting = self.before_start()
            if asyncio.isfuture(waiting):
                await waiting
        if task.key.workflow_id in self.started or task.key.workflow_id in self.obsolete:
            raise TaskObsolete
        self.started.append(task.key.workflow_id)


class World:
    def __init__(self, limits: Limits) -> None:
        self.clock = VirtualClock()
        self.history = FakeHistory(self.clock)
        runtime = Runtime(self.clock, Entropy(1))
        configurations = Configurations(MemoryTaskQueues(), self.clock, limits)
        self.deployments = Deployments(MemoryDeployments(), runtime, limits)
        self.matching = MatchingService(runtime, limits, self.history, configurations, self.deployments)

    @property
    def seconds(self) -> float:
        return (self.clock.now_ns() - VirtualClock().now_ns()) / SECOND_NS

    def call(self, timeout_s: float = 30) -> Call:
        return Call(NAMESPACE, self.clock.now_ns() + int(timeout_s * SECOND_NS))

    def task(self, name: str, queue: TaskQueueKey = WORKFLOWS, normal_queue: str = "", priority: int = 3) -> Task:
        key = ExecutionKey(NAMESPACE.id, WorkflowId(name), RunId("r"))
        return Task(queue, key, 2, 1, self.clock.now_ns(), priority, normal_queue=normal_queue)

    def query_task(self, name: str = "w", queue: TaskQueueKey = WORKFLOWS) -> QueryTask:
        key = ExecutionKey(NAMESPACE.id, WorkflowId(name), RunId("r"))
        return QueryTask(queue, key, WorkflowQuery(query_type="state"), 5 * SECOND_NS if queue == STICKY else 0)

    async def poll(
        self, queue: TaskQueueKey = WORKFLOWS, timeout_s: float = 30, identity: str = "me", worker: str = ""
    ) -> PollWorkflowTaskQueueResponse:
        request = PollWorkflowTaskQueueRequest(identity=identity, worker_instance_key=worker)
        request.task_queue.name = queue.name
        if queue == STICKY:
            request.task_queue.kind = TaskQueueKind.TASK_QUEUE_KIND_STICKY
            request.task_queue.normal_name = WORKFLOWS.name
        response = await self.matching.handle("PollWorkflowTaskQueue", self.call(timeout_s), request)
        assert isinstance(response, PollWorkflowTaskQueueResponse)
        return response

    async def poll_activity(self, timeout_s: float = 30, rate: float | None = None) -> PollActivityTaskQueueResponse:
        request = PollActivityTaskQueueRequest(identity="me", task_queue=TaskQueue(name="queue"))
        if rate is not None:
            metadata = TaskQueueMetadata()
            metadata.max_tasks_per_second.value = rate
            request.task_queue_metadata.CopyFrom(metadata)
        response = await self.matching.handle("PollActivityTaskQueue", self.call(timeout_s), request)
        assert isinstance(response, PollActivityTaskQueueResponse)
        return response

    async def configure(self, **fields: Any) -> TaskQueueConfig:
        request = UpdateTaskQueueConfigRequest(
            task_queue="queue", task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY, **fields
        )
        response = await self.matching.handle("UpdateTaskQueueConfig", self.call(), request)
        assert isinstance(response, UpdateTaskQueueConfigResponse)
        return response.config

    async def answer(self, task_token: bytes, **fields: Any) -> None:
        request = RespondQueryTaskCompletedRequest(task_token=task_token, **fields)
        await self.matching.handle("RespondQueryTaskCompleted", self.call(), request)

    async def describe(self, **fields: Any) -> DescribeTaskQueueResponse:
        request = DescribeTaskQueueRequest(task_queue=TaskQueue(name="queue"), **fields)
        response = await self.matching.handle("DescribeTaskQueue", self.call(), request)
        assert isinstance(response, DescribeTaskQueueResponse)
        return response


def scenario(main: Callable[[World], Coroutine[Any, Any, None]], limits: Limits | None = None) -> None:
    """Run a coroutine function on a fresh world in virtual time."""
    world = World(limits or Limits())
    run(world.clock, main(world))


async def started(coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """The coroutine as a task that has run until it waits."""
    task = asyncio.create_task(coroutine)
    await asyncio.sleep(0)
    return task


ANSWERED = {
    "completed_type": QueryResultType.QUERY_RESULT_TYPE_ANSWERED,
    "query_result": Payloads(payloads=[Payload(data=b"42")]),
}
