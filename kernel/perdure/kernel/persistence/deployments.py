"""Records of worker deployments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from perdure.kernel.deployments.records import Deployment
from perdure.kernel.ids import NamespaceId
from perdure.kernel.persistence.executions import StoreError


class DeploymentConflict(StoreError):
    """The record has changed since it was read."""


class DeploymentStore(Protocol):
    """Small and rarely written, beside the namespaces, with which they go. Damaged records are left out, and logged."""

    async def write(self, deployment: Deployment) -> None:
        """Replace the record whose stored `version` is one less than this one's, or make it if `version` is 1.

        Raises:
            DeploymentConflict: somebody else was faster.
        """
        ...

    async def find(self, namespace_id: NamespaceId, name: str) -> Deployment | None:
        """Also one that is marked as deleted."""
        ...

    async def list(self, namespace_id: NamespaceId) -> Sequence[Deployment]:
        """All of a namespace, ordered by name; also those that are marked as deleted."""
        ...

    async def forget(self, namespace_id: NamespaceId, before_ns: int) -> None:
        """Remove records that were marked as deleted before that instant."""
        ...

    async def changed_since(self, revision: int) -> tuple[int, Sequence[Deployment]]:
        """Every record that was written after the given revision, and the revision as of now; 0 is before all."""
        ...
