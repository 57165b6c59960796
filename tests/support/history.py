"""A history role on virtual time and on a store that can be told to fail, with a worker that does as it is told."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import apsw
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from temporalio.api.command.v1 import Command
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import (
    PollWorkflowTaskQueueRequest,
    PollWorkflowTaskQueueResponse,
    QueryWorkflowResponse,
    RespondWorkflowTaskCompletedRequest,
)

from perdure.frontend.routes import WORKFLOW_SERVICE
from perdure.history.kinds.workflow import LoadedExecution
from perdure.history.ownership import SoleOwner
from perdure.history.service import HistoryService
from perdure.history.shard import Shard
from perdure.infra.sqlite import (
    SqliteDatabase,
    SqliteExecutionStore,
    SqliteShardStore,
    SqliteUsageStore,
    SqliteVisibilityStore,
)
from perdure.kernel.call import Call
from perdure.kernel.clock import VirtualClock
from perdure.kernel.entropy import Entropy
from perdure.kernel.ids import ExecutionKey, NamespaceId, NamespaceName, ShardId, TaskKind
from perdure.kernel.limits import Limits
from perdure.kernel.namespace import Namespace
from perdure.kernel.persistence.executions import DamagedRecord
from perdure.kernel.rpc import QueryTask, Task
from perdure.kernel.runtime import Runtime
from tests.simulation.cluster import NAMESPACE
from tests.support import virtual_time
from tests.support.archive import MemoryArchive

QUEUE = "orders"
CALL = Call(NAMESPACE)
#: How long a test may take, in its own time.
PATIENCE_S = 60


class UnreliableStore:
    """Lets others run during every call, as a store far away does, and fails where it is told to."""

    def __init__(self, store: SqliteExecutionStore) -> None:
        self._store = store
        #: What the next calls of a method raise.
        self.failures: defaultdict[str, list[Exception]] = defaultdict(list)
        #: What happens during the next call of a method, after it has read and before it answers.
        self.meanwhile: dict[str, Callable[[], Awaitable[Any]]] = {}
        self.damaged: set[ExecutionKey] = set()

    def database_of(self, shard: ShardId) -> str:
        return self._store.database_of(shard)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        async def call(*arguments: Any) -> Any:
            await asyncio.sleep(0)
            if self.failures[name]:
                raise self.failures[name].pop(0)
            if name == "load" and arguments[1] in self.damaged:
                raise DamagedRecord(arguments[1], "snapshot")
            result = await method(*arguments)
            if (meanwhile := self.meanwhile.pop(name, None)) is not None:
                await meanwhile()
            return result

        return call


class _OnTheLoop:
    """A database whose long reads are not made in a thread: while that is waited for, virtual time would pass."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    async def scan(self, read: Callable[[apsw.Cursor], Any]) -> Any:
        with self._database.reading() as cursor:
            return read(cursor)


class Offers:
    """A matching role that only remembers what it is offered. `query` is what becomes of a query."""

    query: Callable[[Call, QueryTask], Awaitable[QueryWorkflowResponse]]

    def __init__(self) -> None:
        self.tasks: list[Task] = []

    def offer(self, task: Task) -> None:
        self.tasks.append(task)

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"history did not mean to use matching's {name} here")


class HistoryBench:
    def __init__(self, database: SqliteDatabase, clock: VirtualClock) -> None:
        self.clock = clock
        self.database = database
        self.usage = SqliteUsageStore(_OnTheLoop(database))  # type: ignore[arg-type]
        self.shards = SqliteShardStore(database)
        self.store = UnreliableStore(SqliteExecutionStore(database))
        self.visibility = SqliteVisibilityStore(_OnTheLoop(database))  # type: ignore[arg-type]
        self.offers = Offers()
        self.archive = MemoryArchive()
        #: What everybody knows of the one namespace.
        self.namespace = NAMESPACE
        self._runtime = Runtime(clock, Entropy(1))
        self.service = self._new_service()

    def _new_service(self) -> HistoryService:
        service = HistoryService(self._runtime, Limits(), self.store, self.shards, _Directory(self))  # type: ignore[arg-type]
        self._owner = SoleOwner(service.engine)
        service.connect(self.offers, self.visibility, archive=self.archive)  # type: ignore[arg-type]
        return service

    async def restart(self) -> None:
        """Stop, and begin again on what is stored."""
        await self.end()
        self.offers.tasks.clear()
        self.service = self._new_service()
        await self.begin()

    async def forget(self) -> None:
        """Let go of everything that is in memory and not on its way to the store, and take the shard again."""
        for loaded in self.shard.unwritten():
            self.shard.flush(loaded, self.namespace)
        await self.shard.settled()
        self.service.engine.drop([ShardId(0)])
        await self.service.engine.recover(await self.service.engine.acquire([ShardId(0)]))

    async def begin(self) -> None:
        await self._owner.start()

    async def end(self) -> None:
        await self._owner.stop()
        await self.service.stop()

    @property
    def _call(self) -> Call:
        return Call(self.namespace)

    @property
    def shard(self) -> Shard:
        return self.service.engine.shards[ShardId(0)]

    async def call(self, rpc: str, **fields: Any) -> Any:
        """Serve one RPC of the public API."""
        request: Message = GetMessageClass(WORKFLOW_SERVICE.methods_by_name[rpc].input_type)(**fields)
        return await self.service.handle(rpc, self._call, request)

    async def start(self, workflow_id: str, **fields: Any) -> ExecutionKey:
        response = await self.call(
            "StartWorkflowExecution",
            workflow_id=workflow_id,
            workflow_type={"name": "Order"},
            task_queue={"name": QUEUE},
            request_id=workflow_id,
            **fields,
        )
        return ExecutionKey(NAMESPACE.id, workflow_id, response.run_id)  # type: ignore[arg-type]

    async def take_task(self) -> PollWorkflowTaskQueueResponse:
        """The workflow task that was offered last, started."""
        task = next(task for task in reversed(self.offers.tasks) if task.queue.kind is TaskKind.WORKFLOW)
        return await self.service.start_workflow_task(self._call, task, PollWorkflowTaskQueueRequest())

    async def turn(self, *commands: Command, **fields: Any) -> None:
        """Take the workflow task that was offered last and complete it with these commands."""
        task = await self.take_task()
        request = RespondWorkflowTaskCompletedRequest(task_token=task.task_token, commands=commands, **fields)
        await self.service.handle("RespondWorkflowTaskCompleted", self._call, request)

    async def loaded(self, key: ExecutionKey) -> LoadedExecution:
        return await self.shard.get(LoadedExecution, key.workflow, key.run_id)

    async def actions(self) -> Counter[str]:
        """All that were counted so far, by their names."""
        counts: Counter[str] = Counter()
        for action, times in await self.usage.actions(NAMESPACE.id, 0, 10**6, None, 1000):
            counts[action.action] += times
        return counts

    async def events(self, key: ExecutionKey) -> list[HistoryEvent]:
        response = await self.call(
            "GetWorkflowExecutionHistory", execution={"workflow_id": key.workflow_id, "run_id": key.run_id}
        )
        return list(response.history.events)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let time pass until something holds."""
        while not condition():  # noqa: ASYNC110  the time is virtual
            await asyncio.sleep(0.01)

    async def await_event(self, key: ExecutionKey, name: str) -> HistoryEvent:
        """The first event of this type, once it is there. Time passes as needed."""
        wanted = EventType.Value(f"EVENT_TYPE_{name}")
        while True:
            for event in await self.events(key):
                if event.event_type == wanted:
                    return event
            await asyncio.sleep(0.01)


class _Directory:
    """Knows the one namespace, as it is now."""

    def __init__(self, bench: HistoryBench) -> None:
        self._bench = bench

    async def by_name(self, name: NamespaceName) -> Namespace:
        return self._bench.namespace

    async def by_id(self, namespace_id: NamespaceId, *, fresh: bool = False) -> Namespace:
        return self._bench.namespace


@asynccontextmanager
async def _running(database: SqliteDatabase, clock: VirtualClock) -> AsyncIterator[HistoryBench]:
    bench = HistoryBench(database, clock)
    await bench.begin()
    try:
        yield bench
    finally:
        await bench.end()


def with_history(main: Callable[[HistoryBench], Coroutine[Any, Any, None]], patience_s: float = PATIENCE_S) -> None:
    """Run a test on a started history role, in no time."""
    clock = VirtualClock()

    async def body() -> None:
        database = SqliteDatabase.open(None)
        async with asyncio.timeout(patience_s), _running(database, clock) as bench:
            await main(bench)
        await database.close()

    virtual_time.run(clock, body())
