"""Both ends of history's internal RPC: what callers hold, and what the owner serves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from temporalio.api.workflowservice.v1 import (
    PollActivityTaskQueueRequest,
    PollActivityTaskQueueResponse,
    PollWorkflowTaskQueueRequest,
    PollWorkflowTaskQueueResponse,
)

from perdure.frontend.routes import WORKFLOW_ROUTES, WORKFLOW_SERVICE, Role, Wait
from perdure.history.service import HistoryService
from perdure.infra.cluster import wire
from perdure.kernel.call import Call
from perdure.kernel.clock import Clock
from perdure.kernel.ids import NamespaceId, ShardId, TaskQueueKey, WorkflowKey
from perdure.kernel.mail import Letter
from perdure.kernel.rpc import QueryTask, Task
from perdure.kernel.serving import serving
from perdure.kernel.transport import Handler, IncomingCall, Transport

_RPCS = {
    method.name: (GetMessageClass(method.input_type), GetMessageClass(method.output_type))
    for method in WORKFLOW_SERVICE.methods
    if WORKFLOW_ROUTES[method.name].role is Role.HISTORY
}
#: Calls that only wait for something to happen.
INTERRUPTIBLE = frozenset(wire.HISTORY + rpc for rpc in _RPCS if WORKFLOW_ROUTES[rpc].wait in (Wait.READ, Wait.QUERY))

_START_WORKFLOW_TASK = wire.HISTORY + "StartWorkflowTask"
_START_ACTIVITY_TASK = wire.HISTORY + "StartActivityTask"
_QUERY_TASK = wire.HISTORY + "QueryTask"
_DELIVER = wire.HISTORY + "Deliver"
_REDISPATCH = wire.HISTORY + "Redispatch"
_RECLAIM = wire.HISTORY + "Reclaim"


class _ActivityStart(NamedTuple):
    task: Task
    request: PollActivityTaskQueueRequest
    request_id: str = ""


_workflow_task = wire.Decoder(tuple[Task, PollWorkflowTaskQueueRequest])
_activity_task = wire.Decoder(_ActivityStart)
_query_task = wire.Decoder(tuple[QueryTask, PollWorkflowTaskQueueRequest])
_letter = wire.Decoder(tuple[WorkflowKey, Letter])
_queue = wire.Decoder(TaskQueueKey)
_namespace_on_shard = wire.Decoder(tuple[NamespaceId, ShardId])

#: How long the owner of an addressee may take to take a letter in.
_DELIVERY_S = 10.0


class RemoteHistory:
    """History in another process."""

    def __init__(self, transport: Transport, address: str, clock: Clock) -> None:
        self._transport = transport
        self._address = address
        self._clock = clock

    async def handle(self, rpc: str, call: Call, request: Message) -> Message:
        body = await self._call(wire.HISTORY + rpc, call, request.SerializeToString())
        return _RPCS[rpc][1].FromString(body)

    async def start_workflow_task(
        self, call: Call, task: Task, request: PollWorkflowTaskQueueRequest
    ) -> PollWorkflowTaskQueueResponse:
        body = await self._call(_START_WORKFLOW_TASK, call, wire.encode((task, request)))
        return PollWorkflowTaskQueueResponse.FromString(body)

    async def start_activity_task(
        self, call: Call, task: Task, request: PollActivityTaskQueueRequest, request_id: str = ""
    ) -> PollActivityTaskQueueResponse:
        body = await self._call(_START_ACTIVITY_TASK, call, wire.encode(_ActivityStart(task, request, request_id)))
        return PollActivityTaskQueueResponse.FromString(body)

    async def query_task(
        self, call: Call, task: QueryTask, request: PollWorkflowTaskQueueRequest
    ) -> PollWorkflowTaskQueueResponse:
        body = await self._call(_QUERY_TASK, call, wire.encode((task, request)))
        return PollWorkflowTaskQueueResponse.FromString(body)

    async def deliver(self, to: WorkflowKey, letter: Letter) -> str:
        body = wire.encode((to, letter))
        return (await self._transport.call(self._address, _DELIVER, body, timeout_s=_DELIVERY_S)).decode()

    async def redispatch(self, queue: TaskQueueKey) -> None:
        await self._transport.call(self._address, _REDISPATCH, wire.encode(queue), timeout_s=wire.TIMEOUT_S)

    async def reclaim(self, namespace_id: NamespaceId, shard: ShardId) -> None:
        body = wire.encode((namespace_id, shard))
        await self._transport.call(self._address, _RECLAIM, body, timeout_s=wire.TIMEOUT_S)

    async def _call(self, path: str, call: Call, body: bytes) -> bytes:
        timeout_s, metadata = wire.timeout_s(call, self._clock), wire.metadata_of(call)
        return await self._transport.call(self._address, path, body, timeout_s=timeout_s, metadata=metadata)


def handlers(history: HistoryService, calls: wire.Calls) -> Mapping[str, Handler]:
    """What a process with the history role serves to others."""

    def public(rpc: str, request_type: type[Message]) -> Handler:
        async def serve(body: bytes, incoming: IncomingCall) -> bytes:
            request = request_type.FromString(body)
            serving.set((rpc, request))
            response = await history.handle(rpc, await calls.received(incoming), request)
            return response.SerializeToString()

        return serve

    def task(start: Callable[..., Awaitable[Message]], decode: Callable[[bytes], Any]) -> Handler:
        async def serve(body: bytes, incoming: IncomingCall) -> bytes:
            asked = decode(body)
            return (await start(await calls.received(incoming), *asked)).SerializeToString()

        return serve

    async def deliver(body: bytes, _: IncomingCall) -> bytes:
        return (await history.deliver(*_letter.decode(body))).encode()

    async def redispatch(body: bytes, _: IncomingCall) -> bytes:
        history.redispatch(_queue.decode(body))
        return b""

    async def reclaim(body: bytes, _: IncomingCall) -> bytes:
        await history.reclaim(*_namespace_on_shard.decode(body))
        return b""

    return {
        **{wire.HISTORY + rpc: public(rpc, request_type) for rpc, (request_type, _) in _RPCS.items()},
        _START_WORKFLOW_TASK: task(history.start_workflow_task, _workflow_task.decode),
        _START_ACTIVITY_TASK: task(history.start_activity_task, _activity_task.decode),
        _QUERY_TASK: task(history.query_task, _query_task.decode),
        _DELIVER: deliver,
        _REDISPATCH: redispatch,
        _RECLAIM: reclaim,
    }
