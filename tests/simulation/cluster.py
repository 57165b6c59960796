"""A whole server in one thread on virtual time, that can crash between any two steps and come up again on its store."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.message import Message

from perdure.history.ownership import SoleOwner
from perdure.history.service import HistoryService
from perdure.infra.sqlite import (
    SqliteDatabase,
    SqliteDeploymentStore,
    SqliteExecutionStore,
    SqliteShardStore,
    SqliteTaskQueueStore,
    SqliteVisibilityStore,
)
from perdure.kernel.call import Call
from perdure.kernel.clock import SECOND_NS, VirtualClock
from perdure.kernel.deployments.directory import Deployments
from perdure.kernel.entropy import Entropy
from perdure.kernel.errors import NamespaceNotFound
from perdure.kernel.ids import NamespaceId, NamespaceName, ShardId
from perdure.kernel.limits import Limits
from perdure.kernel.namespace import Namespace
from perdure.kernel.persistence.executions import ShardWrite
from perdure.kernel.runtime import Runtime
from perdure.matching.configurations import Configurations
from perdure.matching.service import MatchingService
from tests.simulation.actors import ConnectionLost

NAMESPACE = Namespace(
    id=NamespaceId("5e55107e-0000-4000-8000-000000000000"), name=NamespaceName("default"), retention_ns=10**18
)


class Directory:
    """Knows the one namespace."""

    async def by_name(self, name: NamespaceName) -> Namespace:
        if name != NAMESPACE.name:
            raise NamespaceNotFound(name)
        return NAMESPACE

    async def by_id(self, namespace_id: NamespaceId, *, fresh: bool = False) -> Namespace:
        return NAMESPACE


class MortalStore:
    """The store as one incarnation of the server sees it: slow now and then, and out of reach once the server is dead.

    A write that is under way when the server dies may still reach the disk or not.
    """

    def __init__(self, store: SqliteExecutionStore, chance: random.Random) -> None:
        self._store = store
        self._chance = chance
        self.dead = False

    async def write(self, writes: Sequence[ShardWrite], epochs: Mapping[ShardId, int]) -> None:
        await asyncio.sleep(self._chance.choice((0.0, 0.001, 0.05, 0.8)))
        reaches_disk = not self.dead or self._chance.random() < 0.5
        if reaches_disk:
            await self._store.write(writes, epochs)
        await asyncio.sleep(self._chance.choice((0.0, 0.001, 0.3)))
        if self.dead:
            await asyncio.Future()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class Cluster:
    """One incarnation after the other."""

    def __init__(self, seed: int, clock: VirtualClock) -> None:
        self.chance = random.Random(seed)
        self._runtime = Runtime(clock, Entropy(seed))
        self.database = SqliteDatabase.open(None)
        self.store = SqliteExecutionStore(self.database)
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.incarnations = 0

    async def start(self) -> None:
        """Bring up an incarnation; whoever was there before has lost the shard from here on."""
        self._mortal = MortalStore(self.store, self.chance)
        shards = SqliteShardStore(self.database)
        self.history = HistoryService(self._runtime, Limits(), self._mortal, shards, Directory())  # type: ignore[arg-type]
        self._owner = SoleOwner(self.history.engine)
        configurations = Configurations(SqliteTaskQueueStore(self.database), self._runtime.clock, Limits())
        deployments = Deployments(SqliteDeploymentStore(self.database), self._runtime, Limits())
        self.matching = MatchingService(self._runtime, Limits(), self.history, configurations, deployments)
        self.history.connect(self.matching, SqliteVisibilityStore(self.database))
        await self._owner.start()
        await self.matching.start()
        self._gone = asyncio.get_running_loop().create_future()
        self.incarnations += 1

    async def crash(self, *, zombie: bool) -> None:
        """Kill the incarnation and start the next. A zombie goes on and believes that it is the owner."""
        self._gone.set_result(None)
        if not zombie:
            self._mortal.dead = True
            for task in [*self.history.engine.background, *self._owner.background]:
                task.cancel()
        await asyncio.sleep(self.chance.choice((0.0, 0.5, 3.0)))
        await self.start()

    async def call(self, rpc: str, request: Message, *, timeout_s: float = 30.0) -> Any:
        """Call this incarnation.

        Raises:
            ConnectionLost: it died before it answered.
            ServiceError: as the RPC documents.
        """
        role = self.matching if rpc.startswith("Poll") and rpc.endswith("TaskQueue") else self.history
        deadline_ns = self._runtime.clock.now_ns() + int(timeout_s * SECOND_NS)
        gone = self._gone
        answer = asyncio.ensure_future(role.handle(rpc, Call(NAMESPACE, deadline_ns), request))
        done, _ = await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        if answer in done and not gone.done():
            return answer.result()
        answer.cancel()
        await asyncio.wait({answer})
        raise ConnectionLost

    async def close(self) -> None:
        await self.matching.stop()
        await self._owner.stop()
        await self.history.stop()
        await self.database.close()
