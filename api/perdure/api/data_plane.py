"""What the control plane asks of the data plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from perdure.kernel.ids import NamespaceId, NamespaceName
from perdure.kernel.namespace import Namespace
from perdure.kernel.nexus import NexusEndpoint


class NameTaken(Exception):
    """Another namespace, or Nexus endpoint of the account, is called so."""


class Outdated(Exception):
    """The data plane has been told a later wish: whoever asks was suspended in the midst of it, or the control plane's
    database was restored from a backup.
    """


class TenantFollower(Protocol):
    """All of it may be asked again, and then does nothing more. With `overrule` an earlier wish replaces a later one.

    Whatever cannot be done now raises what the store raises.
    """

    async def put(self, namespace: Namespace, *, overrule: bool = False) -> None:
        """Let there be this namespace: as it says, but for `version`, which is the data plane's own.

        Raises:
            NameTaken: another one, with another id, has its name.
            Outdated: see there.
        """
        ...

    async def rename(
        self, namespace_id: NamespaceId, name: NamespaceName, state: int, wish: int, *, overrule: bool = False
    ) -> None:
        """Let it be called so from now on, and be in this state; nothing if there is none.

        Raises:
            NameTaken, Outdated: see `put`.
        """
        ...

    async def endpoints_of(self, account_id: str) -> Sequence[NexusEndpoint]:
        """Those that there are."""
        ...

    async def put_endpoint(self, endpoint: NexusEndpoint, *, overrule: bool = False) -> None:
        """Let there be this endpoint: as it says, but for `version`. One that a later wish was about stays as it is,
        unless that is overruled.

        Raises:
            NameTaken: another one of the account has its name.
        """
        ...

    async def delete_endpoint(self, endpoint_id: str) -> None: ...


class DataPlane(TenantFollower, Protocol):
    """Namespaces with what they hold, and Nexus endpoints."""

    async def delete(self, namespace_id: NamespaceId) -> None:
        """Let it be gone with all that it holds, which may take a while longer than the call."""
        ...
