"""Keeps a process's view of who may do what close behind what is published."""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from perdure.auth.access.records import AccessStore
from perdure.auth.access.view import AccessView
from perdure.kernel.clock import SECOND_NS, Clock
from perdure.kernel.news import News, Topic
from perdure.kernel.persistence.executions import StoreError

#: How far behind a view is at most, while the store can be read.
PERIOD_S = 1.0
#: A view older than this is not gone by any more: what has been revoked since must not be good for ever.
STALENESS_S_MAX = 3600.0
#: Looks that were asked for come at least so far apart, however many ask.
_PAUSE_S = 0.1
_RETRY_S = 0.5
_PAGE_SIZE = 1000

_log = structlog.get_logger("perdure.auth")


class AccessWatch:
    """Looks for changes every second, at once when there is news of some, and when somebody asks."""

    def __init__(self, store: AccessStore, view: AccessView, news: News, clock: Clock) -> None:
        self._store = store
        self._view = view
        self._clock = clock
        self._revision = 0
        self._read_at_ns: int | None = None
        self._began_ns = clock.now_ns()
        #: Looks that were not answered; `is_answered` tells of the last one.
        self.failures = 0
        self.is_answered = False
        self._wanted = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []
        self._task: asyncio.Task[None] | None = None
        news.listen(Topic.ACCESS, self._wanted.set)

    async def start(self) -> None:
        """Returns when everything is known that has been published. If the store cannot be read nobody is let in until
        it can: that makes no difference to what else the process does.
        """
        await self._look()
        self._task = asyncio.get_running_loop().create_task(self._watch(), name="access")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._answer()

    @property
    def background(self) -> list[asyncio.Task[None]]:
        """What runs until `stop`."""
        return [self._task] if self._task else []

    @property
    def age_s(self) -> float:
        """How long ago the view was as new as what is published, or how long nothing has been known at all."""
        since_ns = self._began_ns if self._read_at_ns is None else self._read_at_ns
        return (self._clock.now_ns() - since_ns) / SECOND_NS

    @property
    def is_stale(self) -> bool:
        """Whether nobody is to be let in by it."""
        return self._read_at_ns is None or self.age_s > STALENESS_S_MAX

    async def look(self) -> None:
        """Return when everything is known that had been published before this call, or when it cannot be read."""
        if self._task is None or self._task.done() or not self.is_answered:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        self._wanted.set()
        await waiter

    async def _watch(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PERIOD_S):
                    await self._wanted.wait()
            self._wanted.clear()
            waiting, self._waiting = self._waiting, []
            await self._look()
            for waiter in waiting:
                if not waiter.done():
                    waiter.set_result(None)
            await asyncio.sleep(_PAUSE_S if self.is_answered else _RETRY_S)

    async def _look(self) -> None:
        try:
            await self._read()
            self.is_answered = True
        except Exception as error:
            # Whatever it is: without further looks the process would go by what it has read once, for ever.
            unexpected = not isinstance(error, StoreError)
            _log.warning("changes of access are not seen", error=str(error), exc_info=unexpected)
            self.failures += 1
            self.is_answered = False

    async def _read(self) -> None:
        began_ns = self._clock.now_ns()
        while True:
            revision, changes = await self._store.changed_since(self._revision, _PAGE_SIZE)
            self._view.learn(changes)
            self._revision = revision
            if len(changes) < _PAGE_SIZE:
                break
        self._read_at_ns = began_ns

    def _answer(self) -> None:
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
