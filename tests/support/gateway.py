"""A gateway on a real port, with fakes behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import grpc.aio

from perdure.frontend.handlers.cluster import ClusterDescription
from perdure.frontend.namespaces import Namespaces
from perdure.frontend.nexus_endpoints import NexusEndpoints
from perdure.frontend.service import Gateway
from perdure.infra.sqlite import SqliteDatabase, SqliteNexusEndpointStore
from perdure.kernel.acts import ActLog
from perdure.kernel.deployments.directory import Deployments
from perdure.kernel.identity import Guard
from perdure.kernel.ids import NamespaceId, NamespaceName
from perdure.kernel.limits import DEVELOPMENT, Limits, NamespaceLimits
from perdure.kernel.namespace import Namespace
from perdure.kernel.rpc import HistoryClient, MatchingClient
from perdure.kernel.runtime import Runtime
from tests.support.fakes import (
    MemoryCluster,
    MemoryDeployments,
    MemoryNamespaces,
    MemoryVisibility,
    RecordingReclaimer,
    RecordingRole,
)
from tests.support.rpc import Client

DEFAULT_NAMESPACE = Namespace(id=NamespaceId("4f6d1c3e-0000-4000-8000-000000000001"), name=NamespaceName("default"))


class GatewayBench:
    """The gateway and what stands behind it."""

    def __init__(
        self,
        limits: Limits | None = None,
        namespace_limits: NamespaceLimits = DEVELOPMENT,
        guard: Guard | None = None,
        acts: ActLog | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.runtime = Runtime()
        self.store = MemoryNamespaces()
        self.store.records[DEFAULT_NAMESPACE.id] = DEFAULT_NAMESPACE
        self.namespaces = Namespaces(self.store)
        self.endpoints = NexusEndpoints(SqliteNexusEndpointStore(SqliteDatabase.open(None)), self.runtime.clock)
        self.visibility = MemoryVisibility()
        self.history = RecordingRole()
        self.matching = RecordingRole()
        self.reclaimer = RecordingReclaimer()
        self.gateway = Gateway(
            self.runtime,
            self.limits,
            self.namespaces,
            # The gateway calls nothing but `handle` of these two.
            cast(HistoryClient, self.history),
            cast(MatchingClient, self.matching),
            self.visibility,
            self.reclaimer,
            MemoryCluster("a-cluster"),
            self.endpoints,
            ClusterDescription(1, "memory", "127.0.0.1:0"),
            Deployments(MemoryDeployments(), self.runtime, self.limits),
            limits_of=lambda namespace: namespace_limits,
            guard=guard,
            acts=acts,
        )


@asynccontextmanager
async def running(bench: GatewayBench) -> AsyncIterator[Client]:
    """The gateway serving, and a client of it."""
    port = (await bench.gateway.start("127.0.0.1:0")).public
    options: list[tuple[str, Any]] = [("grpc.max_send_message_length", -1)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        try:
            yield Client(channel)
        finally:
            await bench.gateway.drain()
            await bench.gateway.stop(0)
            await bench.gateway.close()
