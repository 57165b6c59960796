"""A whole cluster in one thread on virtual time: the wiring of production on stores, network and news that can fail."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Coroutine, Set
from contextvars import copy_context
from dataclasses import replace
from typing import Any

from google.protobuf.message import Message

from perdure.frontend.handlers.tasks import WorkerAnswers
from perdure.frontend.limits.namespaces import NamespaceGates
from perdure.frontend.pipeline import Endpoint, Handlers, Pipeline
from perdure.frontend.routes import WORKFLOW_ROUTES, WORKFLOW_SERVICE
from perdure.infra.cluster.node import INTERRUPTIBLE, ClusterNode, Place, Stores
from perdure.infra.sqlite import (
    SqliteDeploymentStore,
    SqliteNexusEndpointStore,
    SqliteTaskQueueStore,
    SqliteVisibilityStore,
)
from perdure.kernel.clock import VirtualClock
from perdure.kernel.entropy import Entropy
from perdure.kernel.errors import Internal
from perdure.kernel.identity import KnownCaller
from perdure.kernel.ids import NamespaceId, NamespaceName, ShardId
from perdure.kernel.limits import DEVELOPMENT, Limits
from perdure.kernel.masking import service_error
from perdure.kernel.membership import Role
from perdure.kernel.namespace import Namespace
from perdure.kernel.persistence.executions import StoreError
from perdure.kernel.runtime import Runtime
from tests.simulation.actors import ConnectionLost
from tests.simulation.rumours import Rumours
from tests.simulation.steps import Owner
from tests.simulation.stores import (
    ExecutionsInReach,
    MembersInReach,
    OneNamespace,
    Reach,
    ShardsInReach,
    SharedStores,
)
from tests.support.network import MemoryNetwork, MemoryServer, Weather

NAMESPACE = Namespace(
    id=NamespaceId("5e55107e-0000-4000-8000-000000000000"), name=NamespaceName("default"), retention_ns=10**18
)
#: Few, so that each process has one or two: what matters is that they move.
SHARD_COUNT = 4
LEASE_S = 3.0
#: How long a process that stops waits for what clients have asked it.
GRACE_S = 5.0

Roles = frozenset[Role]


class Process:
    """One process. It is dead for good when it dies; whoever comes after it is another one."""

    def __init__(self, world: World, name: str, roles: Roles) -> None:
        self.name = name
        self.roles = roles
        self.owner = Owner()
        self.data = Reach(world.chance, world.outside)
        self.directory = Reach(world.chance, world.outside)
        #: It serves.
        self.ready = False
        self._world = world
        self._context = self.owner.context()
        self._node: ClusterNode | None = None
        self._server: MemoryServer | None = None
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._endpoints: dict[str, Endpoint] = {}
        #: Clients' calls that it has not answered.
        self._calls: dict[asyncio.Future[Any], None] = {}

    @property
    def alive(self) -> bool:
        return not self.owner.dead

    def shows(self, shards: Set[ShardId]) -> Set[ShardId]:
        """Of which of these shards it would show now what it holds in memory."""
        history = self._node.history if self.alive and self._node is not None else None
        if history is None or asyncio.get_running_loop().time() > history.engine.trusted_until_s:
            return frozenset()
        return shards & history.engine.shards.keys()

    @property
    def node(self) -> ClusterNode:
        assert self._node is not None
        return self._node

    async def start(self) -> bool:
        """Whether it has come up. If not it is gone."""
        await self._do(self._start())
        return self.ready

    async def _start(self) -> None:
        world = self._world
        shared = world.stores
        runtime, limits = Runtime(world.clock, Entropy(world.chance.getrandbits(64))), world.limits
        self._node = node = ClusterNode(
            runtime,
            limits,
            Place(sorted(self.roles), SHARD_COUNT, LEASE_S, self.name),
            Stores(
                ExecutionsInReach(self.name, shared, self.data),  # type: ignore[arg-type]
                ShardsInReach(self.name, shared, self.data),
                OneNamespace(shared.namespace),  # type: ignore[arg-type]
                MembersInReach(shared, self.directory),
                SqliteVisibilityStore(shared.database),
                SqliteNexusEndpointStore(shared.database),
                SqliteTaskQueueStore(shared.database),
                SqliteDeploymentStore(shared.database),
            ),
            world.network.transport(self.name),
            world.rumours,
        )
        self._server = world.network.serve(self.name, node.handlers, interruptible=INTERRUPTIBLE, context=self._context)
        answers = WorkerAnswers(node.history_router, limits).handlers
        handlers = Handlers(node.history_router.handle, node.matching_router.handle, answers, {})
        gates = NamespaceGates(lambda _: DEVELOPMENT, node.count_gateways, Counter())
        self._pipeline = Pipeline(runtime, limits, node.namespaces, gates, handlers)
        try:
            await node.start(self.name)
            await node.join()
        except StoreError:
            self.die()
            return
        self.ready = True

    def die(self) -> None:
        """Make no further step."""
        if self.owner.dead:
            return
        self.owner.dead = True
        self.ready = False
        self._gone.set_result(None)
        if self._server is not None:
            self._server.crash(zombie=True)
        self._world.network.hang_up(self.name)
        for call in list(self._calls):
            if not call.done():
                call.set_exception(ConnectionLost())

    async def leave(self) -> None:
        """Stop in peace."""
        await self._do(self._leave())

    async def _do(self, work: Coroutine[Any, Any, None]) -> None:
        """Have the process do something, and return when it is done or the process is dead."""
        task = asyncio.get_running_loop().create_task(work, context=self._context)
        await asyncio.wait((task, self._gone), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()

    async def _leave(self) -> None:
        assert self._server is not None
        await self.node.leave()
        self.ready = False
        await self.node.hand_over()
        if self._calls:
            await asyncio.wait(list(self._calls), timeout=GRACE_S)
        await self._server.stop()
        await self.node.stop()
        self.die()

    def take(self, rpc: str, request: Message, timeout_s: float) -> asyncio.Future[Any]:
        """A client's call: what comes of it, or ConnectionLost."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        self._calls[answer] = None
        serving = loop.create_task(self._serve(rpc, request, timeout_s), context=self._context.copy())

        def served(serving: asyncio.Task[Any]) -> None:
            if answer.done():
                return
            if serving.cancelled():
                answer.set_exception(ConnectionLost())
            elif (error := serving.exception()) is not None:
                answer.set_exception(error)
            else:
                answer.set_result(serving.result())

        def ended(_: object) -> None:
            self._calls.pop(answer, None)
            # Nobody waits any more.
            serving.cancel()

        serving.add_done_callback(served, context=self._world.outside)
        answer.add_done_callback(ended, context=self._world.outside)
        return answer

    async def _serve(self, rpc: str, request: Message, timeout_s: float) -> Message:
        endpoint = self._endpoints.get(rpc)
        if endpoint is None:
            endpoint = self._pipeline.endpoint(WORKFLOW_SERVICE.methods_by_name[rpc], WORKFLOW_ROUTES[rpc])
            self._endpoints[rpc] = endpoint
        try:
            return await endpoint(request, timeout_s, KnownCaller())
        except Exception as error:
            shown = service_error(error)
            if shown is None:
                self._world.violations.append(f"{rpc} would be answered with INTERNAL: {type(error).__name__}: {error}")
                raise Internal("internal error") from error
            raise shown from error


class World:
    """All processes, and what is between them. Everything that happens by chance is drawn from the seed."""

    def __init__(self, seed: int, clock: VirtualClock, limits: Limits) -> None:
        self.chance = random.Random(seed)
        self.clock = clock
        self.limits = replace(limits, task_queue_partitions=self.chance.choice((1, 3)))
        self.outside = copy_context()
        #: What must not be and was seen to be.
        self.violations: list[str] = []
        self.stores = SharedStores(clock, NAMESPACE, self.violations.append)
        self.stores.taking = self._check_taking
        self.network = MemoryNetwork(self.chance, Weather(0.0, 0.002))
        self.rumours = Rumours(self.chance)
        self.processes: list[Process] = []
        #: How many answers to clients get lost.
        self.answers_lost = 0.01
        self._named = 0

    def _check_taking(self, taker: str, shards: Set[ShardId]) -> None:
        """Nobody else shows them any more: what he shows would be stale from the taker's first write on."""
        for process in self.processes:
            if process.name != taker and (shown := process.shows(shards)):
                self.violations.append(f"{taker} has taken shards {sorted(shown)} while {process.name} shows them")

    async def start(self, roles: Roles) -> Process:
        """Have a process come up, however often it takes."""
        while True:
            self._named += 1
            process = Process(self, f"p{self._named}", roles)
            for other in self.processes:
                if other.alive and other.owner.frozen:
                    self.network.cut(process.name, other.name)
            self.processes.append(process)
            if await process.start():
                return process
            self.processes.remove(process)
            await asyncio.sleep(1.0)

    @property
    def living(self) -> list[Process]:
        return [process for process in self.processes if process.alive and process.ready]

    def freeze(self, process: Process) -> None:
        """It makes no step, and is not heard of."""
        process.owner.freeze()
        for other in self.processes:
            if other is not process:
                self.network.cut(process.name, other.name)

    def thaw(self, process: Process) -> None:
        for other in self.processes:
            if other is not process and not other.owner.frozen:
                self.network.heal(process.name, other.name)
        process.owner.thaw()

    def heal(self) -> None:
        """From here on nothing goes wrong."""
        for process in self.processes:
            if process.owner.frozen:
                process.owner.thaw()
            for reach in (process.data, process.directory):
                reach.cut, reach.failing, reach.slow = False, 0.0, 0.0
        self.network.heal_all()
        self.network.weather = Weather(0.0, 0.002)
        self.rumours.loss = 0.0
        self.answers_lost = 0.0

    async def call(self, rpc: str, request: Message, *, timeout_s: float = 8.0) -> Any:
        """Call some gateway as a client does.

        Raises:
            ConnectionLost: there is no gateway, or it did not answer.
            ServiceError: as the RPC documents.
        """
        gateways = [process for process in self.living if Role.GATEWAY in process.roles]
        if not gateways:
            raise ConnectionLost
        await asyncio.sleep(self.chance.uniform(0.0, 0.002))
        process = self.chance.choice(gateways)
        if not process.alive or self.chance.random() < self.answers_lost / 2:
            raise ConnectionLost
        request.namespace = NAMESPACE.name  # type: ignore[attr-defined]
        answer = process.take(rpc, request, timeout_s)
        try:
            async with asyncio.timeout(timeout_s + 0.5):
                reply = await answer
        except TimeoutError:
            raise ConnectionLost from None
        if self.chance.random() < self.answers_lost:
            raise ConnectionLost
        return reply
