"""Brings closed workflows to the archive when their retention has ended, and deletes them then, not before.

That a run has to be archived is nowhere written down: it is closed, its time is over, and it is still there. So its
alarm rings again after a crash at any point, and it is archived once more, under the same name. Deleting it is how it
is noted that it was.

Runs wait by namespace, and each namespace by itself for an archive that cannot be written: others may have theirs
elsewhere.
"""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING

import structlog

from perdure.history import histories
from perdure.history.kinds.workflow import LoadedExecution
from perdure.kernel.archive import files
from perdure.kernel.archive.store import ArchiveFailed
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.errors import DataLoss, NamespaceNotFound, NotOwner, Unavailable
from perdure.kernel.ids import ExecutionKey, NamespaceId
from perdure.kernel.metering import actions
from perdure.kernel.namespace import Namespace
from perdure.kernel.persistence.executions import StoreUnavailable
from perdure.kernel.serving import named
from perdure.kernel.visibility.infos import execution_info

if TYPE_CHECKING:
    from perdure.history.engine import Engine
    from perdure.history.shard import Shard

logger = structlog.get_logger(__name__)

#: Runs of a namespace that are on their way to the archive at a time.
_AT_ONCE = 8
_RETRY_DELAY_S_MIN = 1.0
_RETRY_DELAY_S_MAX = 60.0
#: After so long a run is looked at again whose history cannot be read: it is kept, and holds up no other.
_DAMAGED_RETRY_NS = 3600 * SECOND_NS


class Archiver:
    """Of the shards of one process. What waits here waits in the store too, as alarms that have rung."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: dict[NamespaceId, dict[ExecutionKey, Shard]] = {}
        self._working: dict[NamespaceId, asyncio.Task[None]] = {}

    @property
    def waiting(self) -> int:
        """Runs that are kept until they are archived."""
        return sum(map(len, self._waiting.values()))

    def has(self, shard: Shard, key: ExecutionKey) -> bool:
        """Whether the run waits here already."""
        return self._waiting.get(key.namespace_id, {}).get(key) is shard

    def take(self, shard: Shard, key: ExecutionKey) -> None:
        """Archive this workflow run, then delete it."""
        self._waiting.setdefault(key.namespace_id, {})[key] = shard
        if key.namespace_id not in self._working:
            task = asyncio.get_running_loop().create_task(self._work(key.namespace_id))
            self._working[key.namespace_id] = task

    async def stop(self) -> None:
        """Give up what is under way: it is done again by whoever has the shards next."""
        working = list(self._working.values())
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)

    async def _work(self, namespace_id: NamespaceId) -> None:
        waiting = self._waiting[namespace_id]
        delay_s = _RETRY_DELAY_S_MIN
        while waiting:
            some = list(islice(waiting.items(), _AT_ONCE))
            failures = await asyncio.gather(*(self._try(shard, key) for key, shard in some))
            for (key, shard), failure in zip(some, failures, strict=True):
                if failure is None and waiting.get(key) is shard:
                    del waiting[key]
            failed = next((failure for failure in failures if failure is not None), None)
            if failed is None:
                delay_s = _RETRY_DELAY_S_MIN
                continue
            self._engine.metrics.archive_failures += sum(failure is not None for failure in failures)
            logger.warning(
                "workflows cannot be archived, and are kept",
                namespace_id=namespace_id,
                waiting=len(waiting),
                error=str(failed),
                retry_in_s=delay_s,
            )
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, _RETRY_DELAY_S_MAX)
        # Nothing may come between the last look and this.
        del self._waiting[namespace_id], self._working[namespace_id]

    async def _try(self, shard: Shard, key: ExecutionKey) -> Exception | None:
        """What to wait for before it is tried again; None if there is nothing to be done here any more."""
        try:
            await self._archive(shard, key)
        except (ArchiveFailed, StoreUnavailable) as error:
            return error
        except NotOwner:
            return None  # whoever has the shard now has the alarm too
        except Unavailable as error:
            return None if shard.closed else error
        except NamespaceNotFound:
            return None
        except Exception as error:
            # One run's trouble must not keep the others waiting.
            self._engine.metrics.archive_failures += 1
            log = logger.error if isinstance(error, DataLoss) else logger.exception
            log("a workflow cannot be archived, and is kept", **named(key), error=str(error))
            shard.alarms.set(key, self._engine.runtime.clock.now_ns() + _DAMAGED_RETRY_NS)
        return None

    async def _archive(self, shard: Shard, key: ExecutionKey) -> None:
        engine = self._engine
        namespace = await engine.namespace_of(key)
        loaded = await shard.find(LoadedExecution, key)
        if loaded is None:
            return
        if not engine.is_over(loaded, namespace):
            # It was prolonged.
            shard.rearm(loaded, namespace)
            return
        await self._put(namespace, shard, loaded)
        loaded = await shard.find(LoadedExecution, key)
        if loaded is not None:
            await shard.delete(loaded, {actions.EXPORT: 1}).wait()
            engine.metrics.archived += 1
            engine.metrics.retention_deletes += 1

    async def _put(self, namespace: Namespace, shard: Shard, loaded: LoadedExecution) -> None:
        archive, key = self._engine.archive, loaded.key
        if namespace.history_archival.enabled:
            file = files.history_file(await histories.stored_batches(shard, loaded))
            await archive.put(namespace.history_archival.uri, files.history_name(key), file)
        if namespace.visibility_archival.enabled:
            info = execution_info(loaded.visibility_record(namespace))
            name = files.listing(key.namespace_id) + files.listed_name(loaded.state.closed_at, key.run_id)
            await archive.put(namespace.visibility_archival.uri, name, info.SerializeToString())
