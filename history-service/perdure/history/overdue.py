"""Tasks that wait to be handed out, as history's records have them; and a slow walk that offers the oldest again.

Whoever loses a hint knowingly has it offered again. The walk is the net below that: it heals what was lost in a way
that nobody has thought of, in a minute or two instead of never.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import structlog

from perdure.history.effects import OfferActivityTask, OfferWorkflowTask
from perdure.history.engine import Engine
from perdure.history.outbound import task_of
from perdure.history.shard import Shard
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.errors import NotOwner
from perdure.kernel.ids import NamespaceId
from perdure.kernel.persistence.executions import StoreUnusable
from perdure.kernel.rpc import Task

logger = structlog.get_logger(__name__)

#: How much of its time the walk may take: resting after this much of work ...
_STRETCH_S = 0.01
#: ... so many times as long, but never for longer than this.
_REST_RATIO = 99
_REST_S_MAX = 60.0


async def waiting_tasks(engine: Engine, shard: Shard, namespace_id: NamespaceId | None = None) -> AsyncIterator[Task]:
    """Those of a shard, in all namespaces or in one. Raises as `Engine.outstanding`."""
    async for loaded, effect in engine.outstanding(shard, namespace_id):
        if isinstance(effect, OfferWorkflowTask | OfferActivityTask):
            task = task_of(loaded, effect)
            if task is not None:
                yield task


class OverdueWalk:
    """Offers again what has waited for longer than `Limits.task_overdue_ns`, shard by shard, for ever."""

    def __init__(self, engine: Engine, offer: Callable[[Task], None]) -> None:
        self._engine = engine
        self._offer = offer
        self._age_ns = engine.limits.task_overdue_ns
        self._walking: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._age_ns:
            self._walking = asyncio.get_running_loop().create_task(self._walk())

    async def stop(self) -> None:
        for walking in self.background:
            walking.cancel()
            await asyncio.gather(walking, return_exceptions=True)

    @property
    def background(self) -> list[asyncio.Task[None]]:
        """What runs until `stop`."""
        return [self._walking] if self._walking is not None else []

    async def _walk(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            next_s = loop.time() + self._age_ns / SECOND_NS
            for shard in list(self._engine.shards.values()):
                try:
                    await self._pass(shard)
                except StoreUnusable:
                    logger.exception("overdue tasks could not be offered again", shard=shard.id)
                except Exception:
                    logger.exception("looking for overdue tasks failed", shard=shard.id)
            await asyncio.sleep(max(next_s - loop.time(), 0.0))

    async def _pass(self, shard: Shard) -> None:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        # Whoever takes the shard offers everything anyway.
        with contextlib.suppress(NotOwner):
            async for task in waiting_tasks(self._engine, shard):
                if task.created_at_ns < self._engine.runtime.clock.now_ns() - self._age_ns:
                    self._offer(task)
                if (worked_s := loop.time() - began_s) > _STRETCH_S:
                    await _rest_after(worked_s)
                    began_s = loop.time()
        await _rest_after(loop.time() - began_s)


async def _rest_after(worked_s: float) -> None:
    await asyncio.sleep(min(_REST_RATIO * worked_s, _REST_S_MAX))
