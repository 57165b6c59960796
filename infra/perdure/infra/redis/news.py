"""News over Redis pub/sub.

Redis may be away, restart, lie, or hold still with its connections open: nothing here waits for it but a task of its
own. What is told while it is away is told when it is back, once; whoever was away hears every topic once, since
anything may have been missed.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from perdure.kernel.entropy import Entropy
from perdure.kernel.news import Topic

#: How long Redis may take for an answer before it counts as away.
ANSWER_S_MAX = 2.0
#: A connection on which nothing was heard for this long is asked whether it still works.
QUIET_S_MAX = 5.0
BACKOFF_S_MIN = 0.1
BACKOFF_S_MAX = 5.0
#: News of one topic that comes within this time is heard once, so that no flood of it keeps the process busy.
GATHER_S = 0.005
#: How long `stop` waits for what was told last to leave.
FAREWELL_S_MAX = 0.5
CANCEL_S = 0.05

_log = structlog.get_logger("perdure.redis")


class RedisNews:
    """A `News` among all processes with the same Redis and the same cluster id."""

    def __init__(self, url: str, cluster_id: str, entropy: Entropy) -> None:
        """`url` is a `redis://`, `rediss://` or `unix://` one.

        Raises:
            ValueError: it is none.
        """
        # Not for its errors to be repeated inside: `_run` does that, with a back-off of its own.
        self._redis = Redis.from_url(
            url,
            socket_connect_timeout=ANSWER_S_MAX,
            socket_timeout=ANSWER_S_MAX,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
        )
        self._channels = {topic: f"perdure:{cluster_id}:news:{topic}" for topic in Topic}
        self._topics = {channel.encode(): topic for topic, channel in self._channels.items()}
        self._entropy = entropy
        #: Tells what we said from what others say.
        self._name = entropy.uuid().encode()
        self._listeners: defaultdict[Topic, list[Callable[[], None]]] = defaultdict(list)
        #: Topics that Redis has not been told of yet. Bounded, as they are so few.
        self._untold: set[Topic] = set()
        self._to_tell = asyncio.Event()
        self._all_told = asyncio.Event()
        self._all_told.set()
        #: Topics that listeners hear of in a moment.
        self._gathering: set[Topic] = set()
        self._task: asyncio.Task[None] | None = None
        #: Set while Redis does not answer.
        self.disconnected = asyncio.Event()
        self.disconnected.set()

    @property
    def connected(self) -> bool:
        return not self.disconnected.is_set()

    def tell(self, topic: Topic) -> None:
        """To be called on the event loop, as everything here."""
        self._hear_soon(topic)
        self._untold.add(topic)
        self._all_told.clear()
        self._to_tell.set()

    def listen(self, topic: Topic, heard: Callable[[], None]) -> None:
        self._listeners[topic].append(heard)

    def start(self) -> None:
        """Returns at once, whether Redis is there or not."""
        self._task = asyncio.create_task(self._run(), name="redis-news")

    async def stop(self) -> None:
        """Let what was told last leave if it can, then hang up. Takes little more than FAREWELL_S_MAX at most."""
        if self._task is None:
            return
        if self.connected:
            with suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL_S_MAX):
                    await self._all_told.wait()
        while not self._task.done():
            # More than once: redis-py swallows a cancellation that meets an error of the connection.
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=CANCEL_S)
        self._task = None

    async def _run(self) -> None:
        backoff_s, gap_known = BACKOFF_S_MIN, False
        while True:
            try:
                await self._converse()
            # Whatever it is: a process that has stopped to listen would be slow for ever.
            except Exception as error:
                if self.connected or not gap_known:
                    _log.warning("no news from Redis: changes in the cluster are noticed later", error=_reason(error))
                    gap_known = True
            finally:
                if self.connected:
                    backoff_s = BACKOFF_S_MIN
                self.disconnected.set()
            await asyncio.sleep(backoff_s * self._entropy.uniform(0.5, 1.0))
            backoff_s = min(2 * backoff_s, BACKOFF_S_MAX)

    async def _converse(self) -> None:
        """Tell and hear until something goes wrong, which is raised."""
        try:
            async with self._redis.pubsub() as subscription:
                await self._subscribe(subscription)
                self.disconnected.clear()
                _log.info("news from Redis")
                for topic in Topic:
                    self._hear_soon(topic)
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._tell_all())
                    both.create_task(self._hear_all(subscription))
        finally:
            # A connection that does not even end well must not hide what happened, a cancellation least of all.
            with suppress(Exception):
                async with asyncio.timeout(ANSWER_S_MAX):
                    await self._redis.connection_pool.disconnect()

    async def _subscribe(self, subscription: PubSub) -> None:
        async with asyncio.timeout(ANSWER_S_MAX):
            await subscription.subscribe(*self._topics)
            confirmed = 0
            while confirmed < len(self._topics):
                message = await subscription.get_message(timeout=ANSWER_S_MAX)
                confirmed += message is not None and message["type"] == "subscribe"

    async def _tell_all(self) -> None:
        while True:
            await self._to_tell.wait()
            self._to_tell.clear()
            for topic in tuple(self._untold):
                # Before, since it may be told anew while we wait.
                self._untold.discard(topic)
                try:
                    await self._redis.publish(self._channels[topic], self._name)
                except BaseException:
                    self._untold.add(topic)
                    self._to_tell.set()
                    raise
            if not self._untold:
                self._all_told.set()

    async def _hear_all(self, subscription: PubSub) -> None:
        asked = False
        while True:
            message = await subscription.get_message(timeout=ANSWER_S_MAX if asked else QUIET_S_MAX)
            if message is not None:
                asked = False
                self._take(message)
                # What has arrived already is read without waiting: a flood of it would let nobody else run.
                await asyncio.sleep(0)
            elif asked:
                raise TimeoutError(f"Redis has not answered for {ANSWER_S_MAX} s")
            else:
                asked = True
                await subscription.ping()

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"] != "message" or message["data"] == self._name:
            return
        if (topic := self._topics.get(message["channel"])) is not None:
            self._hear_soon(topic)

    def _hear_soon(self, topic: Topic) -> None:
        if topic not in self._gathering:
            self._gathering.add(topic)
            asyncio.get_running_loop().call_later(GATHER_S, self._hear, topic)

    def _hear(self, topic: Topic) -> None:
        self._gathering.discard(topic)
        for heard in self._listeners[topic]:
            try:
                heard()
            except Exception:
                _log.exception("a listener to news failed", topic=topic)


def _reason(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__
