"""What a control plane does again and again, whatever goes wrong meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from perdure.api.data.database import LostRace
from perdure.kernel.persistence.executions import StoreError

_log = structlog.get_logger("perdure.api")


class Chore:
    """Does `work` every so many seconds. `start` and `stop` are each called once. With several processes each has all
    chores, so they give way to each other.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], Awaitable[object]],
        every_s: float,
        after_failure_s: float | None = None,
    ) -> None:
        self.name = name
        self._work = work
        self._every_s = every_s
        self._after_failure_s = every_s if after_failure_s is None else after_failure_s
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name=self.name)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def background(self) -> list[asyncio.Task[None]]:
        """What runs until `stop`."""
        return [self._task] if self._task else []

    async def _run(self) -> None:
        while True:
            pause_s = self._every_s
            try:
                await self._work()
            except LostRace:
                # Another process is at it.
                pass
            except Exception as error:
                # Whatever it is: nobody else would do it.
                unexpected = not isinstance(error, StoreError)
                _log.warning("a chore failed", chore=self.name, error=str(error), exc_info=unexpected)
                pause_s = self._after_failure_s
            await asyncio.sleep(pause_s)
