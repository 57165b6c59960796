"""Nexus endpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from perdure.kernel.nexus import NexusEndpoint
from perdure.kernel.persistence.executions import StoreError


class DamagedNexusEndpoint(StoreError):
    """An endpoint's record does not match its checksum."""

    def __init__(self, name: str) -> None:
        super().__init__(f"damaged record of Nexus endpoint {name}")


class NexusEndpointConflict(StoreError):
    """The name or id is taken, or the record has changed since it was read."""


class NexusEndpointStore(Protocol):
    """Small and rarely written; roles cache what they read."""

    async def create(self, endpoint: NexusEndpoint) -> None:
        """Raises NexusEndpointConflict if its id exists, or its name in its account."""
        ...

    async def update(self, endpoint: NexusEndpoint) -> None:
        """Replace the record whose stored `version` is one less than this one's; the name may change.

        Raises:
            NexusEndpointConflict: somebody else was faster, or the new name is taken.
        """
        ...

    async def delete(self, endpoint_id: str) -> bool:
        """Whether there was one."""
        ...

    async def by_id(self, endpoint_id: str) -> NexusEndpoint | None: ...

    async def by_name(self, account_id: str, name: str) -> NexusEndpoint | None: ...

    async def list(self, account_id: str, after: str, limit: int) -> Sequence[NexusEndpoint]:
        """Of an account, ordered by id, strictly after the cursor; fewer than `limit` at the end only. Damaged ones are
        left out.
        """
        ...
