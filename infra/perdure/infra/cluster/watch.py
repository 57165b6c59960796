"""Keeps what a process holds of a store close behind it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog

from perdure.kernel.news import News, Topic
from perdure.kernel.persistence.executions import StoreError

_log = structlog.get_logger("perdure.cluster")

_PERIOD_S = 1.0
_RETRY_S = 0.5


class Watch:
    """Has `catch_up` look for changes every second, and at once when there is news of some."""

    def __init__(self, catch_up: Callable[[], Awaitable[None]], topic: Topic, news: News) -> None:
        self._catch_up = catch_up
        self._topic = topic
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        news.listen(topic, self._wanted.set)

    async def start(self) -> None:
        """Raises StoreError: the store cannot be read."""
        await self._catch_up()
        self._task = asyncio.get_running_loop().create_task(self._watch())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def background(self) -> list[asyncio.Task[None]]:
        """What runs until `stop`."""
        return [self._task] if self._task else []

    async def _watch(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PERIOD_S):
                    await self._wanted.wait()
            self._wanted.clear()
            try:
                await self._catch_up()
            except Exception as error:
                # Whatever it is: without this loop the process would go by what it has read once, for ever.
                unexpected = not isinstance(error, StoreError)
                _log.warning("changes are not seen", of=self._topic, error=str(error), exc_info=unexpected)
                await asyncio.sleep(_RETRY_S)
