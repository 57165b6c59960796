"""All worker deployments, as this process knows them: in memory, for whoever cannot wait, and in the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from perdure.kernel.clock import SECOND_NS
from perdure.kernel.deployments import changes
from perdure.kernel.deployments.records import DRAINING, Deployment, Version, VersionId, VersionQueue
from perdure.kernel.deployments.routing import UNROUTED, Routing, routing_of
from perdure.kernel.errors import Unavailable
from perdure.kernel.ids import NamespaceId
from perdure.kernel.limits import Limits
from perdure.kernel.persistence.deployments import DeploymentConflict, DeploymentStore
from perdure.kernel.runtime import Runtime

#: For so long a deleted record is kept, so that all processes hear of it.
_DELETED_KEPT_NS = 3600 * SECOND_NS
_ATTEMPTS = 10
#: Routings kept; beyond it they are worked out anew. Anybody can ask about a queue that he has made up.
_ROUTINGS_MAX = 10_000

#: Makes a new record of the present one, which may be a fresh one that nobody has stored.
Change = Callable[[Deployment], Deployment]


class Deployments:
    """Who reads from memory sees what the last `catch_up` saw, and what this process wrote; who changes a record reads
    it from the store. `changed` is called after each write of our own, so that others catch up.
    """

    def __init__(
        self, store: DeploymentStore, runtime: Runtime, limits: Limits, changed: Callable[[], None] = lambda: None
    ) -> None:
        self._store = store
        self._clock = runtime.clock
        self._limits = limits
        self._changed = changed
        self._known: dict[NamespaceId, dict[str, Deployment]] = {}
        self._routings: dict[tuple[NamespaceId, VersionQueue], Routing] = {}
        self._listeners: list[Callable[[NamespaceId], None]] = []
        self._revision = 0

    async def catch_up(self) -> None:
        """Learn what was written since the last time.

        Raises:
            StoreError: the store cannot be read.
        """
        self._revision, changed = await self._store.changed_since(self._revision)
        for deployment in changed:
            self._learn(deployment)

    def listen(self, changed: Callable[[NamespaceId], None]) -> None:
        """Have `changed` called whenever a deployment of a namespace has become another, as far as we know."""
        self._listeners.append(changed)

    # From memory ------------------------------------------------------------------------------------------------------

    def of(self, namespace_id: NamespaceId) -> Mapping[str, Deployment]:
        """Those of a namespace, by name."""
        return self._known.get(namespace_id, {})

    def routing(self, namespace_id: NamespaceId, queue: VersionQueue) -> Routing:
        """Where the tasks of a queue go that are bound to no version."""
        known = self._known.get(namespace_id)
        if not known:
            return UNROUTED
        routing = self._routings.get((namespace_id, queue))
        if routing is None:
            if len(self._routings) >= _ROUTINGS_MAX:
                self._routings.clear()
            routing = self._routings[namespace_id, queue] = routing_of(known.values(), queue)
        return routing

    def has(self, namespace_id: NamespaceId, version: VersionId, queue: VersionQueue) -> bool:
        """Whether workers of the version have polled the queue."""
        deployment = self.of(namespace_id).get(version.deployment)
        known = deployment.versions.get(version.build_id) if deployment else None
        return known is not None and queue in known.queues

    def draining(self) -> list[tuple[Deployment, Version]]:
        """Versions, of all namespaces, that pinned workflows may still run on."""
        return [
            (deployment, version)
            for of_namespace in self._known.values()
            for deployment in of_namespace.values()
            for version in deployment.versions.values()
            if version.drainage == DRAINING
        ]

    # In the store -----------------------------------------------------------------------------------------------------

    async def find(self, namespace_id: NamespaceId, name: str) -> Deployment | None:
        """The deployment as it is stored."""
        found = await self._store.find(namespace_id, name)
        return None if found is None or found.deleted_at_ns else found

    async def all(self, namespace_id: NamespaceId) -> list[Deployment]:
        """Those of a namespace as they are stored, ordered by name."""
        return [each for each in await self._store.list(namespace_id) if not each.deleted_at_ns]

    async def register(self, namespace_id: NamespaceId, version: VersionId, queue: VersionQueue) -> None:
        """A worker of the version polls the queue: whatever of this is new is written down.

        Raises:
            ResourceExhausted: there are too many deployments, versions, or queues of the version.
        """
        if self.has(namespace_id, version, queue):
            return
        now_ns = self._clock.now_ns()

        def registered(deployment: Deployment) -> Deployment:
            return changes.register(deployment, version.build_id, queue, now_ns, self._limits)

        await self.change(namespace_id, version.deployment, registered, create=True)

    async def change(
        self, namespace_id: NamespaceId, name: str, change: Change, *, create: bool = False
    ) -> tuple[Deployment, Deployment] | None:
        """Change a record, and return what it was before and what it is now; None if there is none.

        With `create` a record is made where there is none. What `change` raises, this raises.

        Raises:
            ResourceExhausted: there would be too many deployments.
        """
        for _ in range(_ATTEMPTS):
            stored = await self._store.find(namespace_id, name)
            before = stored
            if before is None or before.deleted_at_ns:
                if not create:
                    return None
                before = await self._fresh(namespace_id, name, stored)
            after = change(before)
            if after is before and before.version:
                return before, after
            after = replace(after, version=(stored.version if stored else 0) + 1)
            try:
                await self._store.write(after)
            except DeploymentConflict:
                continue
            self._learn(after)
            if after.deleted_at_ns:
                await self._store.forget(namespace_id, self._clock.now_ns() - _DELETED_KEPT_NS)
            self._changed()
            return before, after
        raise Unavailable(f"Worker deployment {name} is being changed by many at once.")

    async def _fresh(self, namespace_id: NamespaceId, name: str, stored: Deployment | None) -> Deployment:
        others = await self.all(namespace_id)
        if len(others) >= self._limits.deployments_max:
            raise changes.too_many(
                f"reached maximum deployments in namespace ({self._limits.deployments_max}): "
                "limit matching.maxDeployments"
            )
        now_ns = self._clock.now_ns()
        return Deployment(namespace_id, name, now_ns, token=now_ns)

    # ------------------------------------------------------------------------------------------------------------------

    def _learn(self, deployment: Deployment) -> None:
        of_namespace = self._known.setdefault(deployment.namespace_id, {})
        known = of_namespace.get(deployment.name)
        if known is not None and known.version >= deployment.version:
            return
        if deployment.deleted_at_ns:
            of_namespace.pop(deployment.name, None)
        else:
            of_namespace[deployment.name] = deployment
        for key in [key for key in self._routings if key[0] == deployment.namespace_id]:
            del self._routings[key]
        for changed in self._listeners:
            changed(deployment.namespace_id)
