"""The workers of namespaces, as they have last described themselves.

Nothing is stored: workers say every minute that they are there, so what a process that dies has known is known again
soon, and what is not renewed is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from temporalio.api.enums.v1 import WorkerStatus
from temporalio.api.worker.v1 import WorkerHeartbeat

from perdure.kernel.clock import Clock
from perdure.kernel.ids import NamespaceId
from perdure.kernel.limits import Limits


class _Known(NamedTuple):
    heartbeat: WorkerHeartbeat
    heard_ns: int
    size: int


class _Workers:
    """Those of one namespace by instance key, in the order in which they were last heard of. `size` is in bytes."""

    __slots__ = ("by_key", "size")

    def __init__(self) -> None:
        self.by_key: dict[str, _Known] = {}
        self.size = 0

    def add(self, known: _Known) -> None:
        self.by_key[known.heartbeat.worker_instance_key] = known
        self.size += known.size

    def forget(self, instance_key: str) -> None:
        known = self.by_key.pop(instance_key, None)
        if known is not None:
            self.size -= known.size

    @property
    def longest_silent(self) -> str:
        return next(iter(self.by_key))


class KnownWorkers:
    """Heartbeats by namespace and instance key."""

    def __init__(self, clock: Clock, limits: Limits) -> None:
        self._clock = clock
        self.limits = limits
        self._namespaces: dict[NamespaceId, _Workers] = {}

    def record(self, namespace_id: NamespaceId, heartbeats: Iterable[WorkerHeartbeat]) -> None:
        """Take in what workers say of themselves. Who says that it has shut down is forgotten at once.

        If they are too many in the namespace, or too many bytes, whoever has not been heard of for the longest time is
        forgotten.
        """
        workers = self._namespaces.setdefault(namespace_id, _Workers())
        now_ns = self._clock.now_ns()
        for heartbeat in heartbeats:
            workers.forget(heartbeat.worker_instance_key)
            if heartbeat.status == WorkerStatus.WORKER_STATUS_SHUTDOWN:
                continue
            # The request that it came in must not stay in memory with it.
            own = WorkerHeartbeat()
            own.CopyFrom(heartbeat)
            workers.add(_Known(own, now_ns, own.ByteSize()))
            while len(workers.by_key) > self.limits.workers_max or workers.size > self.limits.workers_size_max:
                workers.forget(workers.longest_silent)
        if not workers.by_key:
            del self._namespaces[namespace_id]

    def find(self, namespace_id: NamespaceId, instance_key: str) -> WorkerHeartbeat | None:
        workers = self._namespaces.get(namespace_id)
        known = workers.by_key.get(instance_key) if workers is not None else None
        return known.heartbeat if known is not None and known.heard_ns > self._oldest_ns else None

    def all(self, namespace_id: NamespaceId) -> Iterator[WorkerHeartbeat]:
        """The workers of a namespace, in the order of their instance keys. Others may come and go meanwhile."""
        oldest_ns = self._oldest_ns
        workers = self._namespaces.get(namespace_id)
        for _, known in sorted(workers.by_key.items()) if workers is not None else ():
            if known.heard_ns > oldest_ns:
                yield known.heartbeat

    def forget_silent(self) -> None:
        """Let go of those that have not been heard of for too long; they are not shown any more as it is."""
        oldest_ns = self._oldest_ns
        for namespace_id, workers in list(self._namespaces.items()):
            while workers.by_key and workers.by_key[first := workers.longest_silent].heard_ns <= oldest_ns:
                workers.forget(first)
            if not workers.by_key:
                del self._namespaces[namespace_id]

    def leave(self, is_ours: Callable[[NamespaceId], bool]) -> None:
        """Forget the workers of namespaces that another process answers for now: they tell that one."""
        for namespace_id in [each for each in self._namespaces if not is_ours(each)]:
            del self._namespaces[namespace_id]

    @property
    def count(self) -> int:
        """How many are held in memory."""
        return sum(len(workers.by_key) for workers in self._namespaces.values())

    @property
    def _oldest_ns(self) -> int:
        return self._clock.now_ns() - self.limits.worker_ttl_ns
