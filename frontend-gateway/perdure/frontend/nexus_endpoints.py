"""Nexus endpoints by name and id: a cache over the store."""

from __future__ import annotations

from perdure.kernel.clock import SECOND_NS, Clock
from perdure.kernel.nexus import NexusEndpoint
from perdure.kernel.persistence.nexus_endpoints import NexusEndpointStore

#: How long an answer of the store is good for.
FRESH_NS = SECOND_NS
#: Entries kept; beyond it the cache starts anew.
CACHE_ENTRIES_MAX = 10_000

_Key = tuple[str, str] | str


class NexusEndpoints:
    """A process's `NexusEndpointDirectory`, over a `store` that others write too."""

    def __init__(self, store: NexusEndpointStore, clock: Clock) -> None:
        self.store = store
        self._clock = clock
        #: By account and name, or by id, what the store has answered, and when.
        self._known: dict[_Key, tuple[int, NexusEndpoint | None]] = {}

    async def by_name(self, account_id: str, name: str) -> NexusEndpoint | None:
        key, (fresh, endpoint) = (account_id, name), self._cached((account_id, name))
        return endpoint if fresh else self._remember(key, await self.store.by_name(account_id, name))

    async def by_id(self, endpoint_id: str) -> NexusEndpoint | None:
        fresh, endpoint = self._cached(endpoint_id)
        return endpoint if fresh else self._remember(endpoint_id, await self.store.by_id(endpoint_id))

    def forget(self) -> None:
        """Something was written by ourselves: it is to be seen at once."""
        self._known.clear()

    def _cached(self, key: _Key) -> tuple[bool, NexusEndpoint | None]:
        at_ns, endpoint = self._known.get(key, (0, None))
        return 0 <= self._clock.now_ns() - at_ns < FRESH_NS, endpoint

    def _remember(self, key: _Key, endpoint: NexusEndpoint | None) -> NexusEndpoint | None:
        # Names that are made up are not kept.
        if endpoint is not None:
            if len(self._known) >= CACHE_ENTRIES_MAX:
                self._known.clear()
            self._known[key] = self._clock.now_ns(), endpoint
        else:
            self._known.pop(key, None)
        return endpoint
