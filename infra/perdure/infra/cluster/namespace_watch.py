"""Keeps a process's view of the namespaces close behind the store."""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from perdure.frontend.namespaces import Namespaces
from perdure.kernel.news import News, Topic
from perdure.kernel.persistence.executions import StoreError
from perdure.kernel.persistence.namespaces import NamespaceStore

_log = structlog.get_logger("perdure.cluster")

_PERIOD_S = 1.0
_RETRY_S = 0.5


class NamespaceWatch:
    """Looks for changed namespaces every second, and at once when there is news of some."""

    def __init__(self, store: NamespaceStore, namespaces: Namespaces, news: News) -> None:
        self._store = store
        self._namespaces = namespaces
        self._wanted = asyncio.Event()
        self._revision = 0
        self._task: asyncio.Task[None] | None = None
        news.listen(Topic.NAMESPACES, self._wanted.set)

    async def start(self) -> None:
        """Raises StoreError: the store cannot be read."""
        self._revision = await self._store.revision()
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
                revision, changed = await self._store.changed_since(self._revision)
                for namespace in changed:
                    self._namespaces.learn(namespace)
                self._revision = revision
            except Exception as error:
                # Whatever it is: without this loop the process would go by what it has read once, for ever.
                unexpected = not isinstance(error, StoreError)
                _log.warning("changes of namespaces are not seen", error=str(error), exc_info=unexpected)
                await asyncio.sleep(_RETRY_S)
