"""News without Redis, and somebody who listens."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from functools import partial

from perdure.kernel.news import News, Topic


class SharedNews:
    """A `News` for the members of a cluster that all run on one event loop: they share the object."""

    def __init__(self) -> None:
        self._listeners: defaultdict[Topic, list[Callable[[], None]]] = defaultdict(list)

    def tell(self, topic: Topic) -> None:
        for heard in self._listeners[topic]:
            asyncio.get_running_loop().call_soon(heard)

    def listen(self, topic: Topic, heard: Callable[[], None]) -> None:
        self._listeners[topic].append(heard)


class Listener:
    """Counts what it hears of each topic."""

    def __init__(self, news: News) -> None:
        self.heard = dict.fromkeys(Topic, 0)
        self._changed = asyncio.Event()
        for topic in Topic:
            news.listen(topic, partial(self._hear, topic))

    async def hears(self, topic: Topic, times: int = 1) -> None:
        """Wait until the topic was heard of so often, in all."""
        while self.heard[topic] < times:
            self._changed.clear()
            await self._changed.wait()

    def _hear(self, topic: Topic) -> None:
        self.heard[topic] += 1
        self._changed.set()
