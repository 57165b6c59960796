"""Keeps a process's view of the namespaces close behind the store."""

from __future__ import annotations

from perdure.frontend.namespaces import Namespaces
from perdure.infra.cluster.watch import Watch
from perdure.kernel.news import News, Topic
from perdure.kernel.persistence.namespaces import NamespaceStore


class NamespaceWatch(Watch):
    """What was written before the start is not looked for: a namespace is read when it is first asked for."""

    def __init__(self, store: NamespaceStore, namespaces: Namespaces, news: News) -> None:
        super().__init__(self._learn, Topic.NAMESPACES, news)
        self._store = store
        self._namespaces = namespaces
        self._revision: int | None = None

    async def _learn(self) -> None:
        if self._revision is None:
            self._revision = await self._store.revision()
            return
        revision, changed = await self._store.changed_since(self._revision)
        for namespace in changed:
            self._namespaces.learn(namespace)
        self._revision = revision
