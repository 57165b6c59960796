"""The namespace record: a tenant's unit of isolation, as every role sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from perdure.kernel.clock import SECOND_NS
from perdure.kernel.ids import NamespaceId, NamespaceName

DAY_NS = 86_400 * SECOND_NS

#: States, by their numbers in `temporal.api.enums.v1.NamespaceState`.
REGISTERED = 1
DEPRECATED = 2
DELETED = 3


class Archival(msgspec.Struct, frozen=True):
    """Whether something of closed workflows is archived, and where, by a URI. One that is named once stays."""

    enabled: bool = False
    uri: str = ""


NOT_ARCHIVED = Archival()


class Namespace(msgspec.Struct, frozen=True):
    """A namespace as it is stored. Evolution rule: new fields go to the end and have a default.

    `search_attributes` maps the name of each custom search attribute to its type
    (`temporal.api.enums.v1.IndexedValueType`). Those in `attribute_names` were renamed: executions have them by the
    name that is the key, clients know them by the other, and gateways translate. `version` counts updates and guards
    against lost ones. `account_id` is whose it is, empty in an installation without tenants, and `wish` the version of
    what the control plane wishes of it: whoever comes with an earlier one comes too late.
    """

    id: NamespaceId
    name: NamespaceName
    state: int = REGISTERED
    description: str = ""
    owner_email: str = ""
    data: dict[str, str] = {}
    retention_ns: int = DAY_NS
    search_attributes: dict[str, int] = {}
    created_at_ns: int = 0
    version: int = 0
    failover_version: int = 0
    region: str = ""
    cell: str = ""
    deleted_at_ns: int = 0
    bad_binaries: dict[str, bytes] = {}
    account_id: str = ""
    wish: int = 0
    attribute_names: dict[str, str] = {}
    history_archival: Archival = NOT_ARCHIVED
    visibility_archival: Archival = NOT_ARCHIVED

    @property
    def archives(self) -> bool:
        """Whether workflows have to be in the archive before they go."""
        return self.history_archival.enabled or self.visibility_archival.enabled

    @property
    def shown_attributes(self) -> Mapping[str, int]:
        """The types of its custom search attributes, by the names that clients know."""
        if not self.attribute_names:
            return self.search_attributes
        return {self.attribute_names.get(name, name): kind for name, kind in self.search_attributes.items()}

    @property
    def stored_attributes(self) -> Mapping[str, str]:
        """By what names executions have those that were renamed, by the names that clients know."""
        return {shown: name for name, shown in self.attribute_names.items()}

    def may_command(self, other: Namespace) -> bool:
        """Whether workflows here may start, signal and cancel workflows there. Tenants' namespaces are by themselves,
        those of one account too: who may what differs between them.
        """
        return self.id == other.id or not (self.account_id or other.account_id)


class NamespaceDirectory(Protocol):
    """Resolves namespaces, from a cache that is at most a second behind the store; `fresh` looks into the store."""

    async def by_name(self, name: NamespaceName) -> Namespace:
        """Raises NamespaceNotFound for unknown and deleted namespaces."""
        ...

    async def by_id(self, namespace_id: NamespaceId, *, fresh: bool = False) -> Namespace:
        """Raises NamespaceNotFound for unknown namespaces; a namespace being deleted is still found."""
        ...


class NamespaceReclaimer(Protocol):
    """What the gateway asks of history when a namespace is deleted."""

    async def reclaim(self, namespace_id: NamespaceId) -> None:
        """Delete every execution of the namespace, open or closed; returns when none is left. May be called again."""
        ...
