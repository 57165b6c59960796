"""The roles behind the gateway with a span around each call. What is not traced uses the classes themselves."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message
from temporalio.api.workflowservice.v1 import (
    PollActivityTaskQueueRequest,
    PollActivityTaskQueueResponse,
    PollWorkflowTaskQueueRequest,
    PollWorkflowTaskQueueResponse,
    QueryWorkflowResponse,
)

from perdure.history.service import HistoryService
from perdure.kernel.call import Call
from perdure.kernel.ids import ExecutionKey
from perdure.kernel.rpc import NexusAnswer, NexusTask, QueryTask, Task
from perdure.kernel.serving import about
from perdure.kernel.tracing import SpanKind, Tracer
from perdure.matching.service import MatchingService


class TracedHistory(HistoryService):
    def __init__(self, tracer: Tracer, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._tracer = tracer

    async def handle(self, rpc: str, call: Call, request: Message) -> Message:
        with self._tracer.span(f"history/{rpc}", SpanKind.INTERNAL, _attributes(call, request)):
            return await super().handle(rpc, call, request)

    async def start_workflow_task(
        self, call: Call, task: Task, request: PollWorkflowTaskQueueRequest
    ) -> PollWorkflowTaskQueueResponse:
        with self._tracer.span("history/StartWorkflowTask", SpanKind.INTERNAL, _of_execution(call, task.key)):
            return await super().start_workflow_task(call, task, request)

    async def start_activity_task(
        self, call: Call, task: Task, request: PollActivityTaskQueueRequest, request_id: str = ""
    ) -> PollActivityTaskQueueResponse:
        with self._tracer.span("history/StartActivityTask", SpanKind.INTERNAL, _of_execution(call, task.key)):
            return await super().start_activity_task(call, task, request, request_id)

    async def query_task(
        self, call: Call, task: QueryTask, request: PollWorkflowTaskQueueRequest
    ) -> PollWorkflowTaskQueueResponse:
        with self._tracer.span("history/QueryTask", SpanKind.INTERNAL, _of_execution(call, task.key)):
            return await super().query_task(call, task, request)


class TracedMatching(MatchingService):
    def __init__(self, tracer: Tracer, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._tracer = tracer

    async def handle(self, rpc: str, call: Call, request: Message) -> Message:
        with self._tracer.span(f"matching/{rpc}", SpanKind.INTERNAL, _attributes(call, request)):
            return await super().handle(rpc, call, request)

    async def poll(self, rpc: str, call: Call, request: Message, partition: int = 0) -> Message:
        with self._tracer.span(f"matching/{rpc}", SpanKind.INTERNAL, _attributes(call, request)):
            return await super().poll(rpc, call, request, partition)

    async def query(self, call: Call, task: QueryTask) -> QueryWorkflowResponse:
        with self._tracer.span("matching/Query", SpanKind.INTERNAL, _of_execution(call, task.key)):
            return await super().query(call, task)

    async def dispatch(self, call: Call, task: NexusTask) -> NexusAnswer:
        with self._tracer.span("matching/Dispatch", SpanKind.INTERNAL, {"namespace": call.namespace.name}):
            return await super().dispatch(call, task)


def _attributes(call: Call, request: Message) -> dict[str, str]:
    return {**about(request), "namespace": call.namespace.name}


def _of_execution(call: Call, key: ExecutionKey) -> dict[str, str]:
    return {"namespace": call.namespace.name, "workflow_id": key.workflow_id, "run_id": key.run_id}
