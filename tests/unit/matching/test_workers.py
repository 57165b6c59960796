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
    PollWorkflowTaskQueueRequest,
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
from perdure.matching.handlers.workers import PAGE_BYTES_MAX
from perdure.matching.known_workers import KnownWorkers
from tests.support.matching import NAMESPACE, World, scenario

RUNNING = WorkerStatus.WORKER_STATUS_RUNNING
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


def said(key: str, size: int, status: WorkerStatus.ValueType = RUNNING) -> WorkerHeartbeat:
    """What a worker says of itself, in about as many bytes."""
    return WorkerHeartbeat(worker_instance_key=key, status=status, sdk_name="x" * size)


def test_the_longest_silent_makes_room_for_bytes() -> None:
    clock = VirtualClock()
    workers = KnownWorkers(clock, Limits().override({"matching.workerRegistryMaxSize": 10_000}))

    def known() -> list[str]:
        return [worker.worker_instance_key for worker in workers.all(NAMESPACE.id)]

    for _ in range(10):
        workers.record(NAMESPACE.id, [said("a", 4000), said("b", 4000)])
        workers.record(NamespaceId("other"), [said("a", 9000)])
        workers.record(NAMESPACE.id, [said("gone", 1000), said("gone", 1000, SHUTDOWN)])
    assert known() == ["a", "b"], "who says it again takes no more room, and who is gone takes none"
    workers.record(NAMESPACE.id, [said("a", 4000), said("c", 4000)])
    assert known() == ["a", "c"]
    workers.record(NAMESPACE.id, [said("d", 9000)])
    assert known() == ["d"]
    clock.advance(200 * SECOND_NS)
    workers.record(NAMESPACE.id, [said("e", 100)])
    clock.advance(100 * SECOND_NS)
    workers.forget_silent()
    workers.record(NAMESPACE.id, [said("f", 9000)])
    assert known() == ["e", "f"], "the forgotten take no room either"


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
        for token in (b"x", b"[]", b"{}", b'{"l":1}', b"\xff", b"[" * 100_000):
            with pytest.raises(InvalidArgument, match="invalid next_page_token"):
                await listed(world, ListWorkersRequest(next_page_token=token))

    scenario(main)


async def pages(world: World, page_size: int) -> list[ListWorkersResponse]:
    found = [await page(world, ListWorkersRequest(page_size=page_size))]
    while token := found[-1].next_page_token:
        found.append(await page(world, ListWorkersRequest(page_size=page_size, next_page_token=token)))
    return found


async def page(world: World, request: ListWorkersRequest) -> ListWorkersResponse:
    response = await world.matching.handle("ListWorkers", world.call(), request)
    assert isinstance(response, ListWorkersResponse)
    return response


@pytest.mark.parametrize("page_size", [0, -1, 4, 1_000_000])
def test_a_page_has_no_more_than_any_list(page_size: int) -> None:
    async def main(world: World) -> None:
        await record(world, *"abcdefg")
        assert [len(page.workers) for page in await pages(world, page_size)] == [3, 3, 1]

    scenario(main, Limits(visibility_page_size_max=3))


def test_a_page_is_no_message_that_nobody_takes() -> None:
    async def main(world: World) -> None:
        heartbeats = [said(f"{number:03}", 15_000) for number in range(300)]
        for heartbeat in heartbeats:
            request = RecordWorkerHeartbeatRequest(worker_heartbeat=[heartbeat])
            await world.matching.handle("RecordWorkerHeartbeat", world.call(), request)
        found = await pages(world, 0)
        assert len(found) == 3
        assert [info.worker_heartbeat for page in found for info in page.workers_info] == heartbeats
        assert all(page.ByteSize() < 2 * PAGE_BYTES_MAX for page in found)

    scenario(main)


@pytest.mark.parametrize("request_", [ListWorkersRequest(), CountWorkersRequest()])
def test_others_have_their_turn_while_many_workers_are_looked_at(
    request_: ListWorkersRequest | CountWorkersRequest,
) -> None:
    async def main(world: World) -> None:
        await record(world, *map(str, range(1000)))
        turns = 0

        async def take_turns() -> None:
            nonlocal turns
            while True:
                turns += 1
                # Whoever comes and goes meanwhile does not disturb it.
                await record(world, f"new {turns}")
                await asyncio.sleep(0)

        others = asyncio.create_task(take_turns())
        rpc = type(request_).__name__.removesuffix("Request")
        response = await world.matching.handle(rpc, world.call(), request_)
        others.cancel()
        assert turns == 20
        assert response.count == 1000 if isinstance(response, CountWorkersResponse) else True

    scenario(main, Limits(workers_max=1000))


def test_nobody_ends_the_workers_of_another_namespace() -> None:
    async def main(world: World) -> None:
        end = ShutdownWorkerRequest(worker_instance_key="w")
        poll = PollWorkflowTaskQueueRequest(worker_instance_key="w")
        poll.task_queue.name = "queue"

        async def waits() -> bool:
            began = world.seconds
            await world.matching.poll("PollWorkflowTaskQueue", world.call(), poll)
            return world.seconds > began

        await world.matching.handle("ShutdownWorker", OTHER, end)
        assert await waits()
        await world.matching.handle("ShutdownWorker", world.call(), end)
        assert not await waits()

    scenario(main)


def test_one_process_knows_the_workers_of_a_namespace() -> None:
    async def main(world: World) -> None:
        ours = True
        world.matching.join(
            lambda namespace_id, queue, partition: ours or queue != WORKERS,
            lambda member_id: True,
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
