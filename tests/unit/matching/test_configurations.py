"""Configurations of task queues: what is set, how it is passed on, and what it does."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from temporalio.api.enums.v1 import RateLimitSource, TaskQueueType
from temporalio.api.workflowservice.v1 import UpdateTaskQueueConfigRequest

from perdure.kernel.clock import VirtualClock
from perdure.kernel.errors import InvalidArgument, ResourceExhausted
from perdure.kernel.ids import NamespaceId
from perdure.kernel.limits import Limits
from perdure.kernel.persistence.task_queues import ConfiguredQueue
from perdure.matching.configurations import Configurations
from tests.support.fakes import MemoryTaskQueues
from tests.support.matching import ACTIVITIES, World, scenario, started

ACTIVITY = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
QUEUE = ConfiguredQueue(NamespaceId("ns"), "queue", ACTIVITY)


def rate(per_second: float | None, reason: str = "") -> UpdateTaskQueueConfigRequest.RateLimitUpdate:
    update = UpdateTaskQueueConfigRequest.RateLimitUpdate(reason=reason)
    if per_second is not None:
        update.rate_limit.requests_per_second = per_second
    return update


def test_what_is_not_named_stays() -> None:
    async def main(world: World) -> None:
        first = await world.configure(update_queue_rate_limit=rate(5, "slow"), identity="me")
        assert first.queue_rate_limit.rate_limit.requests_per_second == 5
        assert first.queue_rate_limit.metadata.reason == "slow"
        assert first.queue_rate_limit.metadata.update_identity == "me"
        assert first.queue_rate_limit.metadata.update_time.ToNanoseconds() == world.clock.now_ns()
        await world.configure(set_fairness_weight_overrides={"a": 2, "b": 3})
        await world.configure(unset_fairness_weight_overrides=["a", "never set"])
        lifted = await world.configure(update_queue_rate_limit=rate(None), identity="you")
        assert not lifted.queue_rate_limit.HasField("rate_limit")
        assert lifted.queue_rate_limit.metadata.update_identity == "you"
        assert dict(lifted.fairness_weight_overrides) == {"b": 3}
        described = await world.describe(task_queue_type=ACTIVITY, report_config=True)
        assert described.config == lifted
        assert not (await world.describe(task_queue_type=ACTIVITY)).HasField("config")
        assert not (await world.describe(report_config=True)).HasField("config"), "of workflow tasks"

    scenario(main)


def test_the_rate_of_users_goes_before_that_of_workers() -> None:
    async def main(world: World) -> None:
        async def source() -> tuple[float, int]:
            limit = (await world.describe(task_queue_type=ACTIVITY)).effective_rate_limit
            return limit.requests_per_second, limit.rate_limit_source

        await world.configure(update_queue_rate_limit=rate(2))
        poll = await started(world.poll_activity(rate=100))
        assert await source() == (2, RateLimitSource.RATE_LIMIT_SOURCE_API)
        await world.configure(update_queue_rate_limit=rate(10**6))
        assert await source() == (4000, RateLimitSource.RATE_LIMIT_SOURCE_SYSTEM)
        await world.configure(update_queue_rate_limit=rate(None))
        assert await source() == (100, RateLimitSource.RATE_LIMIT_SOURCE_WORKER)
        await world.configure(update_queue_rate_limit=rate(0))
        world.matching.offer(world.task("a", ACTIVITIES))
        await asyncio.sleep(10)
        assert not poll.done(), "the queue is paused"
        await world.configure(update_queue_rate_limit=rate(1))
        await poll
        assert world.seconds <= 12

    scenario(main)


def test_a_queue_that_is_limited_hands_out_as_much() -> None:
    async def main(world: World) -> None:
        for number in range(20):
            world.matching.offer(world.task(f"a{number}", ACTIVITIES))
        await world.configure(update_queue_rate_limit=rate(2))
        for _ in range(13):
            assert (await world.poll_activity()).task_token
        assert world.seconds == pytest.approx(5), "three at once, and ten by two a second"

    scenario(main)


def test_a_limited_key_holds_up_no_other_one() -> None:
    async def main(world: World) -> None:
        await world.configure(update_fairness_key_rate_limit_default=rate(1))
        for number in range(4):
            world.matching.offer(world.task(f"busy{number}", ACTIVITIES)._replace(fairness_key="busy"))
        for _ in range(2):
            assert (await world.poll_activity()).task_token.startswith(b"busy")
        waiting = await started(world.poll_activity())
        other = await started(world.poll_activity())
        world.matching.offer(world.task("other", ACTIVITIES)._replace(fairness_key="other"))
        assert (await waiting).task_token == b"other"
        assert world.seconds == 0
        assert (await other).task_token.startswith(b"busy")
        assert world.seconds == pytest.approx(1)

    scenario(main)


def test_what_others_write_is_heard() -> None:
    async def main() -> None:
        store, clock = MemoryTaskQueues(), VirtualClock()
        news = []
        ours = Configurations(store, clock, Limits(), changed=lambda: news.append(True))
        theirs, heard = Configurations(store, clock, Limits()), []
        theirs.heard = heard.append
        await ours.update(QUEUE, UpdateTaskQueueConfigRequest(update_queue_rate_limit=rate(3)))
        assert news == [True]
        await theirs.catch_up()
        await theirs.catch_up()
        assert heard == [QUEUE]
        assert theirs.terms_of(QUEUE).rate == 3
        await theirs.update(QUEUE, UpdateTaskQueueConfigRequest(set_fairness_weight_overrides={"a": 2}))
        await ours.update(QUEUE, UpdateTaskQueueConfigRequest(set_fairness_weight_overrides={"b": 2}))
        assert ours.terms_of(QUEUE) == (3, None, {"a": 2, "b": 2}), "nothing is lost of what others have set"

    asyncio.run(main())


def test_there_are_limits() -> None:
    async def main() -> None:
        limits = replace(Limits(), fairness_overrides_max=2, task_queues_configured_max=1)
        configurations = Configurations(MemoryTaskQueues(), VirtualClock(), limits)
        await configurations.update(QUEUE, UpdateTaskQueueConfigRequest(set_fairness_weight_overrides={"a": 1, "b": 1}))
        with pytest.raises(InvalidArgument, match="maxFairnessKeyWeightOverrides is 2"):
            await configurations.update(QUEUE, UpdateTaskQueueConfigRequest(set_fairness_weight_overrides={"c": 1}))
        await configurations.update(
            QUEUE,
            UpdateTaskQueueConfigRequest(set_fairness_weight_overrides={"c": 1}, unset_fairness_weight_overrides=["a"]),
        )
        with pytest.raises(ResourceExhausted, match="maxConfiguredTaskQueues is 1"):
            await configurations.update(QUEUE._replace(name="other"), UpdateTaskQueueConfigRequest())

    asyncio.run(main())
