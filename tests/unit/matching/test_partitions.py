"""Partitions of one queue: what finds nobody on its own meets at the root."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import pytest
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import PollWorkflowTaskQueueRequest

from perdure.kernel.clock import SECOND_NS
from perdure.kernel.errors import NotOwner
from perdure.kernel.ids import TaskQueueKey
from perdure.kernel.limits import Limits
from perdure.kernel.rpc import Task
from perdure.kernel.transport import PeerUnreachable
from tests.support.matching import WORKFLOWS, World, scenario

Fetch = Callable[[TaskQueueKey, int], Awaitable[Task | None]]

LIMITS = Limits(task_queue_partitions=3)
FIRST, SECOND = WORKFLOWS._replace(partition=1), WORKFLOWS._replace(partition=2)
ME = "me"


def join(world: World, fetch: Fetch, knows: Callable[[str], bool] = lambda _: True) -> None:
    world.matching.join(lambda *_: True, knows, world.matching.offer, world.matching.offer, fetch)


async def poll(world: World, partition: int, timeout_s: float = 30) -> str:
    """The task that a poll on this partition got."""
    request = PollWorkflowTaskQueueRequest(task_queue=TaskQueue(name=WORKFLOWS.name))
    response = await world.matching.poll("PollWorkflowTaskQueue", world.call(timeout_s), request, partition)
    return response.task_token.decode()  # type: ignore[attr-defined, no-any-return]


def test_a_task_stays_where_workers_poll() -> None:
    async def main(world: World) -> None:
        waiting = asyncio.ensure_future(poll(world, 1))
        await asyncio.sleep(0.1)
        world.matching.offer(world.task("w", FIRST))
        assert await waiting == "w"
        world.matching.offer(world.task("later", FIRST))
        assert await poll(world, 0, timeout_s=3) == "", "a worker has polled its partition lately"
        assert await poll(world, 1) == "later"

    scenario(main, LIMITS)


def test_a_task_without_a_worker_meets_one_at_the_root() -> None:
    async def main(world: World) -> None:
        world.matching.offer(world.task("w", SECOND))
        assert await poll(world, 0) == "w"
        waiting = asyncio.ensure_future(poll(world, 0))
        await asyncio.sleep(0.1)
        world.matching.offer(world.task("next", FIRST))
        assert await waiting == "next"

    scenario(main, LIMITS)


def test_a_worker_without_a_task_gets_one_of_the_root() -> None:
    async def main(world: World) -> None:
        for name in ("a", "b"):
            world.matching.offer(world.task(name))
        assert await poll(world, 1) == "a"
        assert await poll(world, 2) == "b"
        waiting = asyncio.ensure_future(poll(world, 2))
        await asyncio.sleep(15)
        world.matching.offer(world.task("c"))
        assert await waiting == "c", "also after it has waited for long"

    scenario(main, LIMITS)


def test_workers_and_tasks_on_different_partitions_meet() -> None:
    async def main(world: World) -> None:
        waiting = asyncio.ensure_future(poll(world, 1))
        await asyncio.sleep(0.1)
        world.matching.offer(world.task("w", SECOND))
        assert await waiting == "w"

    scenario(main, LIMITS)


def test_what_workers_leave_behind_goes_to_the_root() -> None:
    async def main(world: World) -> None:
        await world.matching.start()
        assert await poll(world, 1, timeout_s=3) == ""
        world.matching.offer(world.task("left behind", FIRST))
        assert await poll(world, 0) == "left behind"
        assert 8 < world.seconds <= 20, "once it is clear that its workers are not coming back"
        await world.matching.stop()

    scenario(main, LIMITS)


def test_a_poll_that_goes_away_leaves_the_task_to_another() -> None:
    async def main(world: World) -> None:
        leaving = asyncio.ensure_future(poll(world, 1))
        await asyncio.sleep(0.1)
        leaving.cancel()
        await asyncio.wait({leaving})
        world.matching.offer(world.task("w"))
        assert await poll(world, 0) == "w" or await poll(world, 1) == "w"

    scenario(main, LIMITS)


def test_the_rate_of_a_queue_is_shared_out() -> None:
    async def main(world: World) -> None:
        for number in range(30):
            world.matching.offer(world.task(f"{number}", FIRST))
        got = [await poll(world, 1) for _ in range(10)]
        assert len(set(got)) == 10
        assert world.seconds < 5

    scenario(main, Limits(task_queue_partitions=3, dispatch_rate_max=9))


def test_what_there_was_no_room_for_is_asked_for_when_other_partitions_have_taken_enough() -> None:
    async def main(world: World) -> None:
        for number in range(15):
            world.matching.offer(world.task(f"{number}"))
        taken = [await poll(world, 1) for _ in range(10)]
        assert len(set(taken)) == 10
        await asyncio.sleep(0)
        assert world.history.refills == [WORKFLOWS]

    scenario(main, Limits(task_queue_partitions=2, tasks_in_memory_max=10))


def test_a_task_that_was_lost_on_its_way_from_the_root_is_asked_for_again() -> None:
    async def main(world: World) -> None:
        matching, broken = world.matching, [True]

        async def fetch(root: TaskQueueKey, until_ns: int) -> Task | None:
            task = await matching.fetch(root, until_ns, ME)
            if broken:
                raise PeerUnreachable("the root", "the connection broke", may_have_executed=True)
            return task

        join(world, fetch)
        matching.offer(world.task("lost"))
        assert await poll(world, 1, timeout_s=3) == ""
        assert world.history.refills == [], "the root may still be out of reach"
        broken.clear()
        matching.offer(world.task("other"))
        assert await poll(world, 1) == "other"
        assert world.history.refills == [WORKFLOWS]
        matching.offer(world.task("last"))
        assert await poll(world, 1) == "last"
        assert world.history.refills == [WORKFLOWS], "once is enough"

    scenario(main, LIMITS)


def test_a_task_that_was_lost_is_asked_for_also_when_its_worker_does_not_come_back() -> None:
    async def main(world: World) -> None:
        matching = world.matching
        await matching.start()

        async def fetch(root: TaskQueueKey, until_ns: int) -> Task | None:
            await matching.fetch(root, until_ns, ME)
            raise PeerUnreachable("the root", "the connection broke", may_have_executed=True)

        join(world, fetch)
        matching.offer(world.task("lost"))
        assert await poll(world, 1, timeout_s=3) == ""
        await asyncio.sleep(25)
        assert world.history.refills == [WORKFLOWS]
        await matching.stop()

    scenario(main, LIMITS)


def test_what_a_process_took_that_may_have_died_is_asked_for_again() -> None:
    async def main(world: World) -> None:
        matching = world.matching
        until_ns = world.clock.now_ns() + 60 * SECOND_NS
        dead = [asyncio.ensure_future(matching.fetch(WORKFLOWS, until_ns, ME)) for _ in range(2)]
        await asyncio.sleep(0.1)
        matching.offer(world.task("taken to the grave"))
        await asyncio.sleep(0.1)
        join(world, partial(matching.fetch, member_id=ME))
        await matching.leave()
        assert [await each for each in dead][1] is None, "a task must not wait for the dead"
        assert world.history.refills == [WORKFLOWS]
        await asyncio.sleep(60)
        await matching.leave()
        assert world.history.refills == [WORKFLOWS], "by now everybody knows who is dead"

    scenario(main, LIMITS)


def test_who_is_gone_without_knowing_it_gets_nothing() -> None:
    """The root hears nothing when it really ends, so a task would end with it."""

    async def main(world: World) -> None:
        matching, until_ns = world.matching, world.clock.now_ns() + 60 * SECOND_NS
        join(world, partial(matching.fetch, member_id=ME), knows=lambda member_id: member_id == ME)
        matching.offer(world.task("kept"))
        with pytest.raises(NotOwner):
            await matching.fetch(WORKFLOWS, until_ns, "gone")
        assert await poll(world, 1) == "kept"

    scenario(main, LIMITS)


@pytest.mark.parametrize("turns", range(4))
def test_a_task_is_not_lost_with_a_poll_that_ends_just_then(turns: int) -> None:
    """However many turns of the loop are between the two."""

    async def main(world: World) -> None:
        leaving = asyncio.ensure_future(poll(world, 1))
        await asyncio.sleep(0.1)
        world.matching.offer(world.task("w", FIRST))
        for _ in range(turns):
            await asyncio.sleep(0)
        leaving.cancel()
        (outcome,) = await asyncio.gather(leaving, return_exceptions=True)
        assert outcome == "w" if isinstance(outcome, str) else await poll(world, 1) == "w"

    scenario(main, LIMITS)


@pytest.mark.parametrize("turns", range(3))
def test_a_poll_that_ends_at_once_takes_nothing(turns: int) -> None:
    async def main(world: World) -> None:
        leaving = asyncio.ensure_future(poll(world, 1))
        for _ in range(turns):
            await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        world.matching.offer(world.task("w", FIRST))
        assert await poll(world, 1) == "w"

    scenario(main, LIMITS)
