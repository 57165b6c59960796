"""Nexus endpoints: names under which namespaces offer operations, and what is meant by them inside."""

from __future__ import annotations

from typing import Protocol

import msgspec

from perdure.kernel.ids import NamespaceId
from perdure.kernel.namespace import Namespace

#: What a header may not have, since the server says it (`component.nexusoperations.disallowedHeaders`).
DISALLOWED_HEADERS = frozenset(
    {
        "request-timeout",
        "xdc-redirection-api",
        "xdc-redirection",
        "xdc-redirection-source-cell",
        "caller-name",
        "caller-type",
        "call-initiation",
        "temporal-principal-type",
        "temporal-principal-name",
    }
)


class NexusEndpoint(msgspec.Struct, frozen=True):
    """An endpoint as it is stored. Evolution rule: new fields go to the end and have a default.

    Operations are handled by the workers of `task_queue` in the namespace of that id. `version` is 1 at first and grows
    by one with each update. `description` is a serialised `Payload`, or empty. `account_id` is whose it is, empty in an
    installation without tenants: names are unique in an account. `callers` are the ids of the namespaces that may call
    it; None are all of the account. `wish` is the
    version of what the control plane wishes of it: whoever comes with an earlier one comes too late.
    """

    id: str
    name: str
    namespace_id: NamespaceId
    task_queue: str
    description: bytes = b""
    version: int = 1
    created_at_ns: int = 0
    modified_at_ns: int = 0
    account_id: str = ""
    callers: tuple[NamespaceId, ...] | None = None
    wish: int = 0

    def may_be_called_by(self, namespace: Namespace) -> bool:
        """Whether operations may be started from there."""
        if namespace.account_id != self.account_id:
            return False
        return self.callers is None or namespace.id in self.callers


class NexusEndpointDirectory(Protocol):
    """Resolves endpoints, at most a second behind the store."""

    async def by_name(self, account_id: str, name: str) -> NexusEndpoint | None: ...

    async def by_id(self, endpoint_id: str) -> NexusEndpoint | None: ...


class NoNexusEndpoints:
    """A directory of none."""

    async def by_name(self, account_id: str, name: str) -> NexusEndpoint | None:
        return None

    async def by_id(self, endpoint_id: str) -> NexusEndpoint | None:
        return None
