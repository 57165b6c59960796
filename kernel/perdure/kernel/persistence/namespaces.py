"""Namespace records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from perdure.kernel.ids import NamespaceId, NamespaceName
from perdure.kernel.namespace import Namespace
from perdure.kernel.persistence.executions import StoreError


class DamagedNamespace(StoreError):
    """A namespace's record does not match its checksum."""

    def __init__(self, name: str) -> None:
        super().__init__(f"damaged record of namespace {name}")


class NamespaceConflict(StoreError):
    """The name or id is taken, or the record has changed since it was read."""


class NamespaceStore(Protocol):
    """Small and rarely written; roles cache what they read."""

    async def create(self, namespace: Namespace) -> None:
        """Raises NamespaceConflict if its name or id exists."""
        ...

    async def update(self, namespace: Namespace) -> None:
        """Replace the record whose stored `version` is one less than this one's; the name may change.

        Raises:
            NamespaceConflict: somebody else was faster, or the new name is taken.
        """
        ...

    async def delete(self, namespace_id: NamespaceId) -> None: ...

    async def by_id(self, namespace_id: NamespaceId) -> Namespace | None: ...

    async def by_name(self, name: NamespaceName) -> Namespace | None: ...

    async def list(self, after: NamespaceName | None, limit: int) -> Sequence[Namespace]:
        """Ordered by name, strictly after the cursor; fewer than `limit` at the end only. Damaged ones are left out."""
        ...

    async def revision(self) -> int:
        """The revision as of now. Revisions grow with every change and are the store's own; 0 is before all."""
        ...

    async def changed_since(self, revision: int) -> tuple[int, Sequence[Namespace]]:
        """Every namespace that was created or updated after the given revision, and the revision as of now.

        Damaged records are left out: they are noticed by whoever needs them.
        """
        ...
