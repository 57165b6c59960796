"""Redis at its worst: away, back again, emptied, suspended, full of lies. No call of ours may hang or raise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis

from perdure.infra.local.redis import LocalRedis
from perdure.infra.redis import RedisNews, news
from perdure.kernel.entropy import Entropy
from perdure.kernel.news import Topic
from tests.support.news import Listener
from tests.support.redis import connected


@pytest.fixture
def server() -> Iterator[LocalRedis]:
    with LocalRedis() as running:
        yield running


@pytest.fixture
async def intruder(server: LocalRedis) -> AsyncIterator[Redis]:
    """Somebody else with access to the same Redis."""
    async with Redis.from_url(server.url) as client:
        yield client


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(news, "QUIET_S_MAX", 0.2)
    monkeypatch.setattr(news, "ANSWER_S_MAX", 0.2)
    monkeypatch.setattr(news, "BACKOFF_S_MIN", 0.01)
    monkeypatch.setattr(news, "BACKOFF_S_MAX", 0.05)


async def test_after_a_gap_every_topic_is_heard_of_once(server: LocalRedis) -> None:
    async with connected(server.url) as (_, listener):
        server.kill()
        server.start()
        for topic in Topic:
            await listener.hears(topic, 2)
        assert listener.heard == dict.fromkeys(Topic, 2)


async def test_what_is_told_while_redis_is_away_arrives_when_it_is_back(server: LocalRedis) -> None:
    async with connected(server.url) as (teller, own), connected(server.url) as (_, other):
        server.kill()
        for _ in range(1000):
            teller.tell(Topic.SHARDS)
        await own.hears(Topic.SHARDS, 2)
        server.start()
        await other.hears(Topic.SHARDS, 2)
        await own.hears(Topic.SHARDS, 3)


async def test_it_may_start_before_redis_does(server: LocalRedis) -> None:
    server.kill()
    async with asyncio.TaskGroup() as group:
        group.create_task(_connect_and_leave(server.url))
        await asyncio.sleep(0)
        server.start()


async def _connect_and_leave(url: str) -> None:
    async with connected(url):
        pass


async def test_a_suspended_redis_is_noticed_and_holds_nobody_up(server: LocalRedis) -> None:
    async with connected(server.url) as (told, listener), connected(server.url) as (quiet, other):
        server.suspend()
        told.tell(Topic.MEMBERS)
        await listener.hears(Topic.MEMBERS, 2)
        await told.disconnected.wait()
        await quiet.disconnected.wait()
        server.resume()
        await other.hears(Topic.MEMBERS, 2)


async def test_stopping_does_not_wait_for_a_suspended_redis(server: LocalRedis) -> None:
    async with connected(server.url) as (stopped, _):
        server.suspend()
        stopped.tell(Topic.MEMBERS)
        async with asyncio.timeout(2):
            await stopped.stop()
        server.resume()


async def test_what_is_told_last_leaves_before_it_stops(server: LocalRedis) -> None:
    async with connected(server.url) as (_, listener):
        async with connected(server.url) as (leaving, _):
            leaving.tell(Topic.MEMBERS)
        await listener.hears(Topic.MEMBERS, 2)


async def test_flushing_and_cut_connections_lose_nothing_for_long(server: LocalRedis, intruder: Redis) -> None:
    async with connected(server.url) as (teller, _), connected(server.url) as (_, listener):
        await intruder.flushall()
        teller.tell(Topic.NAMESPACES)
        await listener.hears(Topic.NAMESPACES, 2)
        await intruder.client_kill_filter(_type="pubsub")
        await listener.hears(Topic.NAMESPACES, 3)
        teller.tell(Topic.NAMESPACES)
        await listener.hears(Topic.NAMESPACES, 4)


async def test_garbage_is_news_at_most(server: LocalRedis, intruder: Redis) -> None:
    async with connected(server.url) as (teller, own), connected(server.url) as (_, listener):
        garbage = (b"", b"\xff\x00", b"x" * 100_000, "\N{SNOWMAN}".encode())
        for payload in garbage:
            for channel in ("perdure:a-cluster:news:members", "perdure:a-cluster:news:none", "perdure:", "other"):
                await intruder.publish(channel, payload)
        teller.tell(Topic.SHARDS)
        await listener.hears(Topic.SHARDS, 2)
        assert listener.heard[Topic.NAMESPACES] == own.heard[Topic.NAMESPACES] == 1
        assert 2 <= listener.heard[Topic.MEMBERS] <= 1 + len(garbage)


async def test_a_flood_is_heard_as_a_few(server: LocalRedis, intruder: Redis) -> None:
    async with connected(server.url) as (teller, _), connected(server.url) as (_, listener):
        pipeline = intruder.pipeline(transaction=False)
        for _ in range(5000):
            pipeline.publish("perdure:a-cluster:news:members", "again")
        await pipeline.execute()
        teller.tell(Topic.SHARDS)
        await listener.hears(Topic.SHARDS, 2)
        assert 2 <= listener.heard[Topic.MEMBERS] < 1000


async def test_clusters_on_one_redis_do_not_hear_each_other(server: LocalRedis) -> None:
    async with (
        connected(server.url, "one") as (one, listener_of_one),
        connected(server.url, "two") as (two, listener_of_two),
    ):
        one.tell(Topic.SHARDS)
        two.tell(Topic.MEMBERS)
        await listener_of_one.hears(Topic.SHARDS, 2)
        await listener_of_two.hears(Topic.MEMBERS, 2)
        assert listener_of_one.heard[Topic.MEMBERS] == listener_of_two.heard[Topic.SHARDS] == 1


async def test_a_listener_that_fails_costs_the_others_nothing(server: LocalRedis) -> None:
    broken = RedisNews(server.url, "a-cluster", Entropy())

    def fails() -> None:
        raise RuntimeError("on purpose")

    broken.listen(Topic.SHARDS, fails)
    listener = Listener(broken)
    broken.start()
    await listener.hears(Topic.SHARDS)
    broken.tell(Topic.SHARDS)
    await listener.hears(Topic.SHARDS, 2)
    await broken.stop()


async def test_a_server_that_is_no_redis_is_tried_again_and_again() -> None:
    visits: asyncio.Queue[None] = asyncio.Queue()

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.put_nowait(None)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as other:
        port = other.sockets[0].getsockname()[1]
        misled = RedisNews(f"redis://127.0.0.1:{port}", "a-cluster", Entropy())
        misled.start()
        misled.tell(Topic.SHARDS)
        for _ in range(3):
            await visits.get()
        assert not misled.connected
        await misled.stop()


def test_what_is_no_address_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="scheme"):
        RedisNews("localhost:6379", "a-cluster", Entropy())
