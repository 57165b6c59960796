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


class KnownWorkers:
    """Heartbeats by namespace and instance key. Each namespace's are in the order in which they came."""

    def __init__(self, clock: Clock, limits: Limits) -> None:
        self._clock = clock
        self._limits = limits
        self._namespaces: dict[NamespaceId, dict[str, _Known]] = {}

    def record(self, namespace_id: NamespaceId, heartbeats: Iterable[WorkerHeartbeat]) -> None:
        """Take in what workers say of themselves. Who says that it has shut down is forgotten at once.

        If there are too many in the namespace, whoever has not been heard of for the longest time is forgotten.
        """
        workers = self._namespaces.setdefault(namespace_id, {})
        now_ns = self._clock.now_ns()
        for heartbeat in heartbeats:
            workers.pop(heartbeat.worker_instance_key, None)
            if heartbeat.status == WorkerStatus.WORKER_STATUS_SHUTDOWN:
                continue
            # The request that it came in must not stay in memory with it.
            own = WorkerHeartbeat()
            own.CopyFrom(heartbeat)
            workers[heartbeat.worker_instance_key] = _Known(own, now_ns)
            if len(workers) > self._limits.workers_max:
                del workers[next(iter(workers))]
        if not workers:
            del self._namespaces[namespace_id]

    def find(self, namespace_id: NamespaceId, instance_key: str) -> WorkerHeartbeat | None:
        known = self._namespaces.get(namespace_id, {}).get(instance_key)
        return known.heartbeat if known is not None and known.heard_ns > self._oldest_ns else None

    def all(self, namespace_id: NamespaceId) -> Iterator[WorkerHeartbeat]:
        """The workers of a namespace, by instance key."""
        oldest_ns = self._oldest_ns
        for _, known in sorted(self._namespaces.get(namespace_id, {}).items()):
            if known.heard_ns > oldest_ns:
                yield known.heartbeat

    def forget_silent(self) -> None:
        """Let go of those that have not been heard of for too long; they are not shown any more as it is."""
        oldest_ns = self._oldest_ns
        for namespace_id, workers in list(self._namespaces.items()):
            while workers and workers[first := next(iter(workers))].heard_ns <= oldest_ns:
                del workers[first]
            if not workers:
                del self._namespaces[namespace_id]

    def leave(self, is_ours: Callable[[NamespaceId], bool]) -> None:
        """Forget the workers of namespaces that another process answers for now: they tell that one."""
        for namespace_id in [each for each in self._namespaces if not is_ours(each)]:
            del self._namespaces[namespace_id]

    @property
    def count(self) -> int:
        """How many are held in memory."""
        return sum(map(len, self._namespaces.values()))

    @property
    def _oldest_ns(self) -> int:
        return self._clock.now_ns() - self._limits.worker_ttl_ns
