"""Workers that are known: for how long, how many, to whom. What queries mean is in `test_worker_query.py`."""

from __future__ import annotations

import asyncio

import pytest
from temporalio.api.enums.v1 import WorkerStatus
from temporalio.api.worker.v1 import WorkerHeartbeat
from temporalio.api.workflowservice.v1 import (
    CountWorkersRequest,
    CountWorkersResponse,
    DescribeWorkerRequest,
    ListWorkersRequest,
    ListWorkersResponse,
    RecordWorkerHeartbeatRequest,
    ShutdownWorkerRequest,
)

from perdure.kernel.addressing import WORKERS, task_queue_of
from perdure.kernel.call import Call
from perdure.kernel.clock import SECOND_NS, VirtualClock
from perdure.kernel.errors import InvalidArgument, NotFound, NotOwner
from perdure.kernel.ids import NamespaceId, NamespaceName
from perdure.kernel.limits import Limits
from perdure.kernel.namespace import Namespace
from perdure.matching.known_workers import KnownWorkers
from tests.support.matching import NAMESPACE, World, scenario

SHUTDOWN = WorkerStatus.WORKER_STATUS_SHUTDOWN
OTHER = Call(Namespace(NamespaceId("other"), NamespaceName("other")))


async def record(world: World, *keys: str, call: Call | None = None) -> None:
    request = RecordWorkerHeartbeatRequest(worker_heartbeat=[WorkerHeartbeat(worker_instance_key=key) for key in keys])
    await world.matching.handle("RecordWorkerHeartbeat", call or world.call(), request)


async def listed(world: World, request: ListWorkersRequest | None = None) -> list[str]:
    response = await world.matching.handle("ListWorkers", world.call(), request or ListWorkersRequest())
    assert isinstance(response, ListWorkersResponse)
    assert [info.worker_heartbeat.worker_instance_key for info in response.workers_info] == [
        worker.worker_instance_key for worker in response.workers
    ]
    return [worker.worker_instance_key for worker in response.workers]


async def describe(world: World, key: str) -> None:
    await world.matching.handle("DescribeWorker", world.call(), DescribeWorkerRequest(worker_instance_key=key))


def test_a_worker_that_is_silent_is_forgotten() -> None:
    async def main(world: World) -> None:
        await record(world, "silent", "alive")
        await asyncio.sleep(299)
        await record(world, "alive")
        assert await listed(world) == ["alive", "silent"]
        await asyncio.sleep(1)
        assert await listed(world) == ["alive"]
        with pytest.raises(NotFound, match="Worker silent not found"):
            await describe(world, "silent")
        count = await world.matching.handle("CountWorkers", world.call(), CountWorkersRequest())
        assert count == CountWorkersResponse(count=1)
        await asyncio.sleep(299)
        assert await listed(world) == []

    scenario(main)


def test_how_long_can_be_set() -> None:
    async def main(world: World) -> None:
        await record(world, "w")
        await asyncio.sleep(2)
        assert await listed(world) == []

    scenario(main, Limits().override({"matching.workerRegistryEntryTTL": 2 * SECOND_NS}))


def test_the_longest_silent_makes_room() -> None:
    async def main(world: World) -> None:
        await record(world, "a", "b", "c")
        await record(world, "a")
        await record(world, "a", call=OTHER)
        await record(world, "d")
        assert await listed(world) == ["a", "c", "d"]
        # More at once than there is room for.
        await record(world, "e", "f", "g", "h")
        assert await listed(world) == ["f", "g", "h"]

    scenario(main, Limits(workers_max=3))


def test_nothing_is_left_of_the_silent() -> None:
    clock = VirtualClock()
    workers = KnownWorkers(clock, Limits())
    workers.record(NAMESPACE.id, [WorkerHeartbeat(worker_instance_key="a")])
    clock.advance(200 * SECOND_NS)
    workers.record(NAMESPACE.id, [WorkerHeartbeat(worker_instance_key="b")])
    workers.record(NamespaceId("other"), [WorkerHeartbeat(worker_instance_key="a", status=SHUTDOWN)])
    assert workers.count == 2
    clock.advance(100 * SECOND_NS)
    workers.forget_silent()
    assert workers.count == 1
    clock.advance(200 * SECOND_NS)
    workers.forget_silent()
    assert workers.count == 0


def test_the_last_word_of_a_worker() -> None:
    async def main(world: World) -> None:
        await record(world, "going", "gone")
        going = WorkerHeartbeat(worker_instance_key="going", sdk_name="changed")
        gone = WorkerHeartbeat(worker_instance_key="gone", status=SHUTDOWN)
        for heartbeat in (going, gone):
            await world.matching.handle(
                "ShutdownWorker", world.call(), ShutdownWorkerRequest(worker_heartbeat=heartbeat)
            )
        await world.matching.handle("ShutdownWorker", world.call(), ShutdownWorkerRequest(sticky_task_queue="sticky"))
        assert await listed(world, ListWorkersRequest(query="SdkName = 'changed'")) == ["going"]
        assert await listed(world) == ["going"]

    scenario(main)


def test_namespaces_are_apart() -> None:
    async def main(world: World) -> None:
        await record(world, "theirs", call=OTHER)
        assert await listed(world) == []
        with pytest.raises(NotFound):
            await describe(world, "theirs")

    scenario(main)


def test_a_page_goes_on_where_the_one_before_ended() -> None:
    async def main(world: World) -> None:
        await record(world, "a", "b", "c", "d")
        page = await world.matching.handle("ListWorkers", world.call(), ListWorkersRequest(page_size=2))
        assert isinstance(page, ListWorkersResponse)
        await record(world, "0", "bb")
        rest = ListWorkersRequest(page_size=9, next_page_token=page.next_page_token)
        assert await listed(world, rest) == ["bb", "c", "d"]
        for token in (b"x", b"[]", b"{}", b'{"l":1}', b"\xff"):
            with pytest.raises(InvalidArgument, match="invalid next_page_token"):
                await listed(world, ListWorkersRequest(next_page_token=token))

    scenario(main)


def test_one_process_knows_the_workers_of_a_namespace() -> None:
    async def main(world: World) -> None:
        ours = True
        world.matching.join(
            lambda namespace_id, queue, partition: ours or queue != WORKERS,
            lambda task: None,
            lambda task: None,
            lambda root, until_ns: asyncio.sleep(0, None),
        )
        await record(world, "w")
        await world.matching.leave()
        assert await listed(world) == ["w"]

        ours = False
        await world.matching.leave()
        with pytest.raises(NotOwner):
            await record(world, "w")
        with pytest.raises(NotOwner):
            await listed(world)
        # All processes are told of it; here it is nobody's business.
        last = ShutdownWorkerRequest(worker_heartbeat=WorkerHeartbeat(worker_instance_key="w"))
        await world.matching.handle("ShutdownWorker", world.call(), last)

        ours = True
        assert await listed(world) == [], "what it knew is old by now"

    scenario(main)


def test_all_requests_about_workers_go_to_one_place() -> None:
    requests = RecordWorkerHeartbeatRequest(), ListWorkersRequest(), CountWorkersRequest(), DescribeWorkerRequest()
    assert {task_queue_of(request) for request in requests} == {WORKERS}
