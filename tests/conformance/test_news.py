"""What every `News` does, over Redis and within one process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import pytest

from perdure.infra.local.redis import LocalRedis
from perdure.kernel.news import News, NoNews, Topic
from tests.support.news import Listener, SharedNews
from tests.support.redis import connected

Cluster = list[tuple[News, Listener]]
MEMBERS = 3


@asynccontextmanager
async def over_redis() -> AsyncIterator[Cluster]:
    with LocalRedis() as server:
        async with AsyncExitStack() as stack:
            yield [await stack.enter_async_context(connected(server.url)) for _ in range(MEMBERS)]


@asynccontextmanager
async def in_one_process() -> AsyncIterator[Cluster]:
    news = SharedNews()
    yield [(news, Listener(news)) for _ in range(MEMBERS)]


DRIVERS: list[Callable[[], AbstractAsyncContextManager[Cluster]]] = [over_redis, in_one_process]


@pytest.fixture(params=DRIVERS, ids=lambda driver: driver.__name__)
async def cluster(request: pytest.FixtureRequest) -> AsyncIterator[Cluster]:
    async with request.param() as members:
        yield members


@pytest.mark.parametrize("topic", Topic)
async def test_everybody_hears_what_anybody_tells(cluster: Cluster, topic: Topic) -> None:
    for news, _ in cluster:
        before = [dict(listener.heard) for _, listener in cluster]
        news.tell(topic)
        for (_, listener), known in zip(cluster, before, strict=True):
            await listener.hears(topic, known[topic] + 1)
            assert {**listener.heard, topic: known[topic]} == known


async def test_a_topic_has_several_listeners(cluster: Cluster) -> None:
    (news, first), (other, _), _ = cluster
    second = Listener(news)
    other.tell(Topic.SHARDS)
    await second.hears(Topic.SHARDS)
    await first.hears(Topic.SHARDS, 1)


async def test_nobody_is_called_before_tell_returns(cluster: Cluster) -> None:
    news, listener = cluster[0]
    before = dict(listener.heard)
    news.tell(Topic.MEMBERS)
    assert listener.heard == before
    await listener.hears(Topic.MEMBERS, before[Topic.MEMBERS] + 1)


async def test_whoever_is_alone_hears_nothing() -> None:
    news = NoNews()
    listener = Listener(news)
    for topic in Topic:
        news.tell(topic)
    await asyncio.sleep(0)
    assert not any(listener.heard.values())
