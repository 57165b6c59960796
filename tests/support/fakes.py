"""Stand-ins for the roles and stores behind the gateway: they remember what reached them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from perdure.frontend.routes import WORKFLOW_SERVICE
from perdure.kernel.call import Call
from perdure.kernel.deployments.records import Deployment
from perdure.kernel.ids import NamespaceId, NamespaceName
from perdure.kernel.namespace import Namespace
from perdure.kernel.persistence.deployments import DeploymentConflict
from perdure.kernel.persistence.namespaces import NamespaceConflict
from perdure.kernel.persistence.task_queues import ConfigurationConflict, ConfigurationRecord, ConfiguredQueue
from perdure.kernel.persistence.visibility import CountGroup, VisibilityPage, VisibilityRecord
from perdure.kernel.visibility.query import Query


class MemoryNamespaces:
    """A `NamespaceStore` in a dict."""

    def __init__(self) -> None:
        self.records: dict[NamespaceId, Namespace] = {}
        self.reads = 0
        self.deleted = asyncio.Event()

    async def create(self, namespace: Namespace) -> None:
        if namespace.id in self.records or await self.by_name(namespace.name):
            raise NamespaceConflict(namespace.name)
        self.records[namespace.id] = namespace

    async def update(self, namespace: Namespace) -> None:
        stored = self.records.get(namespace.id)
        taken = await self.by_name(namespace.name)
        if stored is None or stored.version != namespace.version - 1 or (taken and taken.id != namespace.id):
            raise NamespaceConflict(namespace.name)
        self.records[namespace.id] = namespace

    async def delete(self, namespace_id: NamespaceId) -> None:
        self.records.pop(namespace_id, None)
        self.deleted.set()

    async def by_id(self, namespace_id: NamespaceId) -> Namespace | None:
        self.reads += 1
        return self.records.get(namespace_id)

    async def by_name(self, name: NamespaceName) -> Namespace | None:
        self.reads += 1
        return next((record for record in self.records.values() if record.name == name), None)

    async def list(self, after: NamespaceName | None, limit: int) -> Sequence[Namespace]:
        ordered = sorted(self.records.values(), key=lambda record: record.name)
        return [record for record in ordered if after is None or record.name > after][:limit]


class MemoryDeployments:
    """A `DeploymentStore` in a dict."""

    def __init__(self) -> None:
        self.records: dict[tuple[NamespaceId, str], tuple[int, Deployment]] = {}
        self._revision = 0

    async def write(self, deployment: Deployment) -> None:
        key = deployment.namespace_id, deployment.name
        stored = self.records.get(key)
        if (stored[1].version if stored else 0) != deployment.version - 1:
            raise DeploymentConflict(deployment.name)
        self._revision += 1
        self.records[key] = self._revision, deployment

    async def find(self, namespace_id: NamespaceId, name: str) -> Deployment | None:
        stored = self.records.get((namespace_id, name))
        return stored[1] if stored else None

    async def list(self, namespace_id: NamespaceId) -> Sequence[Deployment]:
        return [each for (owner, _), (_, each) in sorted(self.records.items()) if owner == namespace_id]

    async def forget(self, namespace_id: NamespaceId, before_ns: int) -> None:
        for each in await self.list(namespace_id):
            if 0 < each.deleted_at_ns < before_ns:
                del self.records[namespace_id, each.name]

    async def changed_since(self, revision: int) -> tuple[int, Sequence[Deployment]]:
        return self._revision, [each for at, each in self.records.values() if at > revision]


class MemoryCluster:
    """A `ClusterStore` that has been asked before."""

    def __init__(self, cluster_id: str) -> None:
        self._id = cluster_id

    async def identify(self, proposed: str) -> str:
        return self._id


class MemoryVisibility:
    """A `VisibilityStore` that answers the same page to everything and remembers the queries."""

    def __init__(self) -> None:
        self.records: list[VisibilityRecord] = []
        self.groups: list[CountGroup] = []
        self.asked: list[tuple[NamespaceId, Query, int, bytes]] = []

    async def list(self, namespace_id: NamespaceId, query: Query, page_size: int, page_token: bytes) -> VisibilityPage:
        self.asked.append((namespace_id, query, page_size, page_token))
        return VisibilityPage(self.records[:page_size], b"more" if len(self.records) > page_size else b"")

    async def count(self, namespace_id: NamespaceId, query: Query) -> tuple[int, Sequence[CountGroup]]:
        return len(self.records), self.groups


@dataclass
class RecordingRole:
    """Serves every RPC of its role with an empty response, or as `answer` says, once `before` is done."""

    served: list[tuple[str, Call, Message]] = field(default_factory=list)
    answer: Callable[[str, Call, Message], Message | Exception] | None = None
    before: Callable[[], Awaitable[object]] | None = None

    async def handle(self, rpc: str, call: Call, request: Message) -> Message:
        if self.before:
            await self.before()
        self.served.append((rpc, call, request))
        result = self.answer(rpc, call, request) if self.answer else empty_response(rpc)
        if isinstance(result, Exception):
            raise result
        return result


class RecordingReclaimer:
    def __init__(self) -> None:
        self.reclaimed: list[NamespaceId] = []
        self.asked = asyncio.Event()

    async def reclaim(self, namespace_id: NamespaceId) -> None:
        self.reclaimed.append(namespace_id)
        self.asked.set()


def empty_response(rpc: str) -> Message:
    """What the RPC answers when it has nothing to say."""
    return GetMessageClass(WORKFLOW_SERVICE.methods_by_name[rpc].output_type)()


class MemoryTaskQueues:
    """A `TaskQueueStore` in a dict."""

    def __init__(self) -> None:
        self._records: dict[ConfiguredQueue, tuple[int, ConfigurationRecord]] = {}
        self._revision = 0

    async def read(self, queue: ConfiguredQueue) -> ConfigurationRecord | None:
        return self._records[queue][1] if queue in self._records else None

    async def write(self, record: ConfigurationRecord) -> None:
        stored = await self.read(record.queue)
        if record.version != (stored.version + 1 if stored else 1):
            raise ConfigurationConflict(record.queue.name)
        self._revision += 1
        self._records[record.queue] = self._revision, record

    async def changed_since(self, revision: int) -> tuple[int, Sequence[ConfigurationRecord]]:
        changed = sorted(each for each in self._records.values() if each[0] > revision)
        return self._revision, [record for _, record in changed]
