"""Probes: what one transition costs, small and large.

A scripted worker signals a workflow, polls its workflow task and completes it with one marker, over and over: four
events and three calls each time. The same is measured while the workflow is small and again when it is large; a server
whose cost per transition does not grow shows the same CPU time twice.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from temporalio.api.command.v1 import (
    Command,
    RecordMarkerCommandAttributes,
    ScheduleActivityTaskCommandAttributes,
)
from temporalio.api.common.v1 import ActivityType, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import CommandType, TaskQueueKind
from temporalio.api.taskqueue.v1 import StickyExecutionAttributes, TaskQueue
from temporalio.api.workflowservice.v1 import (
    PollWorkflowTaskQueueRequest,
    RespondWorkflowTaskCompletedRequest,
    SignalWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

NAMESPACE = "default"
_IDENTITY = "bench"
_BATCH = 200


class ScriptedWorkflow:
    """One workflow that is driven command by command, through a sticky queue as by a worker that has it cached."""

    def __init__(self, client: Client) -> None:
        self._service = client.workflow_service
        self._queue = f"scripted-{uuid.uuid4().hex}"
        self._id = self._queue
        self._sticky = TaskQueue(
            name=f"{self._queue}-sticky", kind=TaskQueueKind.TASK_QUEUE_KIND_STICKY, normal_name=self._queue
        )

    async def start(self) -> None:
        request = StartWorkflowExecutionRequest(
            namespace=NAMESPACE, workflow_id=self._id, request_id=self._id, identity=_IDENTITY
        )
        request.workflow_type.CopyFrom(WorkflowType(name="Scripted"))
        request.task_queue.name = self._queue
        await self._service.start_workflow_execution(request)
        # Whoever polls a sticky queue must have done so before anything is sent there.
        sticky_poll = asyncio.create_task(self._poll(self._sticky))
        task_token = await self._poll(TaskQueue(name=self._queue))
        await self._complete(task_token, [])
        await self.signal()
        await self._complete(await sticky_poll, [])

    async def signal(self) -> None:
        request = SignalWorkflowExecutionRequest(
            namespace=NAMESPACE,
            workflow_execution=WorkflowExecution(workflow_id=self._id),
            signal_name="go",
            identity=_IDENTITY,
            request_id=uuid.uuid4().hex,
        )
        await self._service.signal_workflow_execution(request)

    async def step(self, commands: list[Command]) -> None:
        """A signal, and the workflow task that it causes, completed with these commands."""
        await self.signal()
        await self._complete(await self._poll(self._sticky), commands)

    async def _poll(self, queue: TaskQueue) -> bytes:
        while True:
            request = PollWorkflowTaskQueueRequest(namespace=NAMESPACE, task_queue=queue, identity=_IDENTITY)
            response = await self._service.poll_workflow_task_queue(request)
            if response.task_token:
                return response.task_token

    async def _complete(self, task_token: bytes, commands: list[Command]) -> None:
        request = RespondWorkflowTaskCompletedRequest(
            namespace=NAMESPACE, task_token=task_token, identity=_IDENTITY, commands=commands
        )
        sticky = StickyExecutionAttributes(worker_task_queue=self._sticky)
        sticky.schedule_to_start_timeout.FromSeconds(60)
        request.sticky_attributes.CopyFrom(sticky)
        await self._service.respond_workflow_task_completed(request)


def marker(name: str) -> Command:
    return Command(
        command_type=CommandType.COMMAND_TYPE_RECORD_MARKER,
        record_marker_command_attributes=RecordMarkerCommandAttributes(marker_name=name),
    )


def scheduled_activity(activity_id: str) -> Command:
    attributes = ScheduleActivityTaskCommandAttributes(
        activity_id=activity_id, activity_type=ActivityType(name="never"), task_queue=TaskQueue(name="nobody-polls")
    )
    attributes.schedule_to_close_timeout.FromSeconds(86_400)
    return Command(
        command_type=CommandType.COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK,
        schedule_activity_task_command_attributes=attributes,
    )


async def _grow_history(scripted: ScriptedWorkflow, events: int) -> None:
    for batch in range(events // (_BATCH + 4)):
        await scripted.step([marker(f"{batch}-{number}") for number in range(_BATCH)])


async def _grow_activities(scripted: ScriptedWorkflow, count: int) -> None:
    for batch in range(0, count, _BATCH):
        await scripted.step([scheduled_activity(str(number)) for number in range(batch, min(batch + _BATCH, count))])


@dataclass(frozen=True)
class Probe:
    """`grow` makes the workflow `small` before the first measurement and `large` before the second one."""

    title: str
    grow: Callable[[ScriptedWorkflow, int], Awaitable[None]]
    small: int
    large: int


PROBES: dict[str, Probe] = {
    "events": Probe("events in the history", _grow_history, 10, 20_000),
    "activities": Probe("pending activities", _grow_activities, 10, 2_000),
}


async def prepare(client: Client, probe: Probe, size: int) -> ScriptedWorkflow:
    """A workflow of this size, ready for `transitions`."""
    scripted = ScriptedWorkflow(client)
    await scripted.start()
    await probe.grow(scripted, size)
    return scripted


async def transitions(scripted: ScriptedWorkflow, count: int) -> list[float]:
    """Latency of each transition, in seconds."""
    latencies = []
    for number in range(count):
        began = time.perf_counter()
        await scripted.step([marker(str(number))])
        latencies.append(time.perf_counter() - began)
    return latencies


async def store(client: Client, count: int) -> None:
    """Leave this many open workflows behind that nobody works on."""
    remaining = iter(range(count))
    prefix = uuid.uuid4().hex

    async def lane() -> None:
        for number in remaining:
            request = StartWorkflowExecutionRequest(
                namespace=NAMESPACE, workflow_id=f"stored-{prefix}-{number}", request_id=str(number), identity=_IDENTITY
            )
            request.workflow_type.name = "Stored"
            request.task_queue.name = "nobody-polls"
            try:
                await client.workflow_service.start_workflow_execution(request)
            except RPCError as error:
                # The real dev server breaks some off when many come. The same request starts nothing twice.
                if error.status is not RPCStatusCode.CANCELLED:
                    raise
                await client.workflow_service.start_workflow_execution(request)

    await asyncio.gather(*(lane() for _ in range(50)))
