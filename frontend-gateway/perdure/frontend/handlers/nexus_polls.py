"""Polls for Nexus tasks, which carry what workers say of themselves to whoever knows the workers of the namespace."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.message import Message
from temporalio.api.workflowservice.v1 import PollNexusTaskQueueRequest, RecordWorkerHeartbeatRequest

from perdure.frontend.pipeline import NamespacedHandler
from perdure.kernel.call import Call
from perdure.kernel.rpc import MatchingClient


class NexusPolls:
    """Stands before matching."""

    def __init__(self, matching: MatchingClient) -> None:
        self._matching = matching
        self.handlers: Mapping[str, NamespacedHandler] = {"PollNexusTaskQueue": self._poll}

    async def _poll(self, rpc: str, call: Call, request: PollNexusTaskQueueRequest) -> Message:
        if request.worker_heartbeat:
            heartbeat = RecordWorkerHeartbeatRequest(
                namespace=request.namespace, identity=request.identity, worker_heartbeat=request.worker_heartbeat
            )
            request.ClearField("worker_heartbeat")
            await self._matching.handle("RecordWorkerHeartbeat", call, heartbeat)
        return await self._matching.handle(rpc, call, request)
