"""The data plane as the control plane sees it, over the namespaces that all roles share."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from temporalio.api.operatorservice.v1 import DeleteNamespaceRequest

from perdure.api.data_plane import NameTaken, Outdated
from perdure.frontend.handlers.deletion import NamespaceDeletion
from perdure.frontend.namespaces import Namespaces
from perdure.frontend.nexus_endpoints import NexusEndpoints
from perdure.kernel.errors import NamespaceNotFound
from perdure.kernel.ids import NamespaceId, NamespaceName
from perdure.kernel.namespace import NOT_ARCHIVED, Archival, Namespace
from perdure.kernel.nexus import NexusEndpoint
from perdure.kernel.persistence.namespaces import NamespaceConflict
from perdure.kernel.persistence.nexus_endpoints import NexusEndpointConflict

_PAGE_SIZE = 1000


class TenantRecords:
    """See `perdure.api.data_plane.TenantFollower`."""

    def __init__(self, namespaces: Namespaces, endpoints: NexusEndpoints, archival: Archival = NOT_ARCHIVED) -> None:
        """`archival` is that of new namespaces. The control plane knows nothing of it."""
        self._namespaces = namespaces
        self._endpoints = endpoints
        self._archival = archival

    async def put(self, namespace: Namespace, *, overrule: bool = False) -> None:
        known = await self._find(namespace.id)
        if known is None:
            await self._create(_archived(namespace, self._archival, self._archival))
            return
        _check_wish(known, namespace.wish, overrule)
        namespace = _archived(namespace, known.history_archival, known.visibility_archival)
        if msgspec.structs.replace(namespace, version=known.version) != known:
            await self._update(known, namespace)

    async def rename(
        self, namespace_id: NamespaceId, name: NamespaceName, state: int, wish: int, *, overrule: bool = False
    ) -> None:
        known = await self._find(namespace_id)
        if known is None:
            return
        _check_wish(known, wish, overrule)
        if (known.name, known.state) != (name, state):
            await self._update(known, msgspec.structs.replace(known, name=name, state=state, wish=wish))

    async def endpoints_of(self, account_id: str) -> Sequence[NexusEndpoint]:
        found: list[NexusEndpoint] = []
        while page := await self._endpoints.store.list(account_id, found[-1].id if found else "", _PAGE_SIZE):
            found += page
        return found

    async def put_endpoint(self, endpoint: NexusEndpoint, *, overrule: bool = False) -> None:
        store = self._endpoints.store
        known = await store.by_id(endpoint.id)
        try:
            if known is None:
                await store.create(endpoint)
            elif known.wish < endpoint.wish or (overrule and _differ(known, endpoint)):
                await store.update(msgspec.structs.replace(endpoint, version=known.version + 1))
        except NexusEndpointConflict:
            other = await store.by_name(endpoint.account_id, endpoint.name)
            if other is not None and other.id != endpoint.id:
                raise NameTaken(endpoint.name) from None
            raise
        finally:
            self._endpoints.forget()

    async def delete_endpoint(self, endpoint_id: str) -> None:
        await self._endpoints.store.delete(endpoint_id)
        self._endpoints.forget()

    async def _find(self, namespace_id: NamespaceId) -> Namespace | None:
        try:
            return await self._namespaces.by_id(namespace_id, fresh=True)
        except NamespaceNotFound:
            return None

    async def _create(self, namespace: Namespace) -> None:
        try:
            await self._namespaces.create(namespace)
        except NamespaceConflict:
            await self._check_name(namespace)
            raise

    async def _update(self, known: Namespace, changed: Namespace) -> None:
        try:
            await self._namespaces.update(msgspec.structs.replace(changed, version=known.version + 1), known.name)
        except NamespaceConflict:
            await self._check_name(changed)
            raise

    async def _check_name(self, namespace: Namespace) -> None:
        try:
            other = await self._namespaces.find(namespace.name, fresh=True)
        except NamespaceNotFound:
            return
        if other.id != namespace.id:
            raise NameTaken(namespace.name)


class SharedNamespaces(TenantRecords):
    """See `perdure.api.data_plane.DataPlane`."""

    def __init__(
        self,
        namespaces: Namespaces,
        deletion: NamespaceDeletion,
        endpoints: NexusEndpoints,
        archival: Archival = NOT_ARCHIVED,
    ) -> None:
        super().__init__(namespaces, endpoints, archival)
        self._deletion = deletion

    async def delete(self, namespace_id: NamespaceId) -> None:
        if await self._find(namespace_id) is not None:
            await self._deletion.delete(DeleteNamespaceRequest(namespace_id=namespace_id))


def _differ(known: NexusEndpoint, wanted: NexusEndpoint) -> bool:
    return msgspec.structs.replace(wanted, version=known.version) != known


def _archived(namespace: Namespace, history: Archival, visibility: Archival) -> Namespace:
    return msgspec.structs.replace(namespace, history_archival=history, visibility_archival=visibility)


def _check_wish(known: Namespace, wish: int, overrule: bool) -> None:
    if known.wish > wish and not overrule:
        raise Outdated(
            f"the data plane has wish {known.wish} of namespace {known.name}, later than {wish}: "
            "if the control plane's database was restored, run 'perdure admin reconcile'"
        )
