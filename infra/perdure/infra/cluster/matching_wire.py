"""Both ends of matching's internal RPC: what callers hold, and what the owner serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    QueryWorkflowResponse,
)

from perdure.frontend.routes import WORKFLOW_ROUTES, WORKFLOW_SERVICE, Role, Wait
from perdure.infra.cluster import wire
from perdure.kernel.call import Call
from perdure.kernel.clock import SECOND_NS, Clock
from perdure.kernel.ids import TaskQueueKey
from perdure.kernel.rpc import NexusAnswer, NexusTask, QueryTask, Task
from perdure.kernel.serving import serving
from perdure.kernel.transport import Handler, IncomingCall, Transport
from perdure.matching.service import MatchingService

_RPCS = {
    method.name: (GetMessageClass(method.input_type), GetMessageClass(method.output_type))
    for method in WORKFLOW_SERVICE.methods
    if WORKFLOW_ROUTES[method.name].role is Role.MATCHING
}
_OFFER = wire.MATCHING + "Offer"
_QUERY = wire.MATCHING + "Query"
_DISPATCH = wire.MATCHING + "Dispatch"
_FETCH = wire.MATCHING + "Fetch"
_DESCRIBE = wire.MATCHING + "DescribePartition"
POLLS = frozenset(rpc for rpc in _RPCS if WORKFLOW_ROUTES[rpc].wait is Wait.POLL)

#: Of a call that is about one partition of a queue: which.
_PARTITION = "perdure-partition"
#: Of a call for a task: who asks.
_MEMBER = "perdure-member"

_tasks = wire.Decoder(list[Task])
_query = wire.Decoder(QueryTask)
_nexus_task = wire.Decoder(NexusTask)
_nexus_answer = wire.Decoder(NexusAnswer)
_root = wire.Decoder(TaskQueueKey)
_fetched: wire.Decoder[Task | None] = wire.Decoder(Task | None)  # type: ignore[arg-type]

#: How long the owner of a task queue may take to take tasks in, which it does at once.
_OFFER_S = 5.0


class RemoteMatching:
    """Matching in another process."""

    def __init__(self, transport: Transport, address: str, clock: Clock) -> None:
        self._transport = transport
        self._address = address
        self._clock = clock

    async def accept(self, tasks: Sequence[Task]) -> list[Task]:
        """See `MatchingService.accept`."""
        return _tasks.decode(await self._transport.call(self._address, _OFFER, wire.encode(tasks), timeout_s=_OFFER_S))

    async def poll(self, rpc: str, call: Call, request: Message, partition: int) -> Message:
        body = await self._call(wire.MATCHING + rpc, call, request.SerializeToString(), {_PARTITION: str(partition)})
        return _RPCS[rpc][1].FromString(body)

    async def fetch(self, root: TaskQueueKey, until_ns: int, member_id: str) -> Task | None:
        timeout_s = max(until_ns - self._clock.now_ns(), 0) / SECOND_NS + _OFFER_S
        metadata = {_MEMBER: member_id}
        return _fetched.decode(
            await self._transport.call(self._address, _FETCH, wire.encode(root), timeout_s=timeout_s, metadata=metadata)
        )

    async def describe(
        self, call: Call, request: DescribeTaskQueueRequest, partition: int
    ) -> DescribeTaskQueueResponse:
        body = await self._call(_DESCRIBE, call, request.SerializeToString(), {_PARTITION: str(partition)})
        return DescribeTaskQueueResponse.FromString(body)

    async def query(self, call: Call, task: QueryTask) -> QueryWorkflowResponse:
        return QueryWorkflowResponse.FromString(await self._call(_QUERY, call, wire.encode(task)))

    async def dispatch(self, call: Call, task: NexusTask) -> NexusAnswer:
        return _nexus_answer.decode(await self._call(_DISPATCH, call, wire.encode(task)))

    async def handle(self, rpc: str, call: Call, request: Message) -> Message:
        body = await self._call(wire.MATCHING + rpc, call, request.SerializeToString())
        return _RPCS[rpc][1].FromString(body)

    async def _call(self, path: str, call: Call, body: bytes, extra: Mapping[str, str] | None = None) -> bytes:
        timeout_s, metadata = wire.timeout_s(call, self._clock), {**wire.metadata_of(call), **(extra or {})}
        return await self._transport.call(self._address, path, body, timeout_s=timeout_s, metadata=metadata)


def handlers(matching: MatchingService, calls: wire.Calls) -> Mapping[str, Handler]:
    """What a process with the matching role serves to others."""

    def public(rpc: str, request_type: type[Message]) -> Handler:
        async def serve(body: bytes, incoming: IncomingCall) -> bytes:
            request = request_type.FromString(body)
            serving.set((rpc, request))
            response = await matching.handle(rpc, await calls.received(incoming), request)
            return response.SerializeToString()

        return serve

    def poll(rpc: str) -> Handler:
        request_type = _RPCS[rpc][0]

        async def serve(body: bytes, incoming: IncomingCall) -> bytes:
            partition = int(incoming.metadata.get(_PARTITION, "0"))
            call, request = await calls.received(incoming), request_type.FromString(body)
            serving.set((rpc, request))
            return (await matching.poll(rpc, call, request, partition)).SerializeToString()

        return serve

    async def describe(body: bytes, incoming: IncomingCall) -> bytes:
        partition = int(incoming.metadata.get(_PARTITION, "0"))
        call, request = await calls.received(incoming), DescribeTaskQueueRequest.FromString(body)
        return (await matching.describe(call, request, partition)).SerializeToString()

    async def fetch(body: bytes, incoming: IncomingCall) -> bytes:
        # An answer sets out in time, so that no task is on its way to somebody who has given up.
        wait_s = max((incoming.timeout_s or 0.0) - _OFFER_S, 0.0)
        until_ns = calls.clock.now_ns() + int(wait_s * SECOND_NS)
        member_id = incoming.metadata.get(_MEMBER, "")
        return wire.encode(await matching.fetch(_root.decode(body), until_ns, member_id))

    async def offer(body: bytes, _: IncomingCall) -> bytes:
        return wire.encode(matching.accept(_tasks.decode(body)))

    async def query(body: bytes, incoming: IncomingCall) -> bytes:
        return (await matching.query(await calls.received(incoming), _query.decode(body))).SerializeToString()

    async def dispatch(body: bytes, incoming: IncomingCall) -> bytes:
        return wire.encode(await matching.dispatch(await calls.received(incoming), _nexus_task.decode(body)))

    return {
        **{wire.MATCHING + rpc: public(rpc, request_type) for rpc, (request_type, _) in _RPCS.items()},
        **{wire.MATCHING + rpc: poll(rpc) for rpc in POLLS},
        _OFFER: offer,
        _FETCH: fetch,
        _DESCRIBE: describe,
        _QUERY: query,
        _DISPATCH: dispatch,
    }
