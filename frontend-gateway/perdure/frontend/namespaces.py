"""Name to namespace: a cache over the store, so that the way of a request takes one look into a dict."""

from __future__ import annotations

from collections.abc import Callable

from perdure.kernel.errors import NamespaceNotFound
from perdure.kernel.ids import NamespaceId, NamespaceName
from perdure.kernel.namespace import DELETED, Namespace
from perdure.kernel.persistence.namespaces import NamespaceStore

#: Entries kept; beyond it the cache starts anew, which costs one read per namespace in use.
CACHE_ENTRIES_MAX = 10_000


class Namespaces:
    """The gateway's `NamespaceDirectory`, and the only way in which it writes namespaces.

    Entries do not age: where other processes write too, somebody has to `learn` what they write, and who must not be
    late, such as whoever shows or changes a namespace, asks with `fresh`. `changed` is called after each write of our
    own.
    """

    def __init__(self, store: NamespaceStore, changed: Callable[[], None] = lambda: None) -> None:
        self._store = store
        self._changed = changed
        self._by_name: dict[str, Namespace] = {}
        self._by_id: dict[str, Namespace] = {}

    def cached(self, name: str) -> Namespace | None:
        """The namespace if it can be had without waiting."""
        return self._by_name.get(name)

    def cached_by_id(self, namespace_id: str) -> Namespace | None:
        """The same by its id."""
        return self._by_id.get(namespace_id)

    def name_of(self, namespace_id: str) -> str:
        """The namespace's name if it can be had without waiting, else its id. For people to read."""
        namespace = self._by_id.get(namespace_id)
        return namespace.name if namespace is not None else namespace_id

    async def find(self, name: str, *, fresh: bool = False) -> Namespace:
        """The namespace of this name in whatever state.

        Raises:
            NamespaceNotFound: there is none.
        """
        known = None if fresh else self._by_name.get(name)
        namespace = known or await self._store.by_name(NamespaceName(name))
        if namespace is None:
            self._by_name.pop(name, None)
            raise NamespaceNotFound(name)
        self._remember(namespace)
        return namespace

    async def by_name(self, name: NamespaceName) -> Namespace:
        """Raises NamespaceNotFound for unknown and deleted namespaces."""
        namespace = await self.find(name)
        if namespace.state == DELETED:
            raise NamespaceNotFound(name)
        return namespace

    async def by_id(self, namespace_id: NamespaceId, *, fresh: bool = False) -> Namespace:
        """Raises NamespaceNotFound for unknown namespaces; a namespace being deleted is still found."""
        known = None if fresh else self._by_id.get(namespace_id)
        namespace = known or await self._store.by_id(namespace_id)
        if namespace is None:
            raise NamespaceNotFound(namespace_id)
        self._remember(namespace)
        return namespace

    async def create(self, namespace: Namespace) -> None:
        """Raises NamespaceConflict if its name or id exists."""
        await self._store.create(namespace)
        self._remember(namespace)
        self._changed()

    async def update(self, namespace: Namespace, previous_name: NamespaceName | None = None) -> None:
        """Write and show at once. `previous_name` is given when the name changes.

        Raises:
            NamespaceConflict: somebody else was faster; the cached entry is dropped.
        """
        self._by_name.pop(previous_name or namespace.name, None)
        self._by_id.pop(namespace.id, None)
        await self._store.update(namespace)
        self._remember(namespace)
        self._changed()

    async def delete(self, namespace: Namespace) -> None:
        await self._store.delete(namespace.id)
        self._by_name.pop(namespace.name, None)
        self._by_id.pop(namespace.id, None)

    async def page(self, after: NamespaceName | None, limit: int) -> list[Namespace]:
        """Ordered by name, strictly after the cursor, from the store."""
        return list(await self._store.list(after, limit))

    def learn(self, namespace: Namespace) -> None:
        """Take note of what somebody else has written. Also of a namespace that is new to us: we may be reading it."""
        self._remember(namespace)

    def _remember(self, namespace: Namespace) -> None:
        known = self._by_id.get(namespace.id)
        if known is namespace or (known is not None and known.version > namespace.version):
            return
        if len(self._by_id) >= CACHE_ENTRIES_MAX:
            self._by_id.clear()
            self._by_name.clear()
        if known is not None and known.name != namespace.name:
            self._by_name.pop(known.name, None)
        self._by_name[namespace.name] = namespace
        self._by_id[namespace.id] = namespace
