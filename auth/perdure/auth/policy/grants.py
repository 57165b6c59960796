"""PURE: what somebody has been given, and what a call is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum


class AccountRole(IntEnum):
    """Numbers of `temporal.api.cloud.identity.v1.AccountAccess.Role`."""

    OWNER = 1
    ADMIN = 2
    DEVELOPER = 3
    FINANCE_ADMIN = 4
    READ = 5
    METRICS_READ = 6


class Permission(IntEnum):
    """On one namespace; numbers of `temporal.api.cloud.identity.v1.NamespaceAccess.Permission`. The lowest is the
    strongest.
    """

    ADMIN = 1
    WRITE = 2
    READ = 3


class KeyScope(StrEnum):
    """What an API key or session reaches of what its owner has. Whoever calls without one has FULL."""

    FULL = "full"
    WORKER = "worker"
    STARTER = "starter"
    READER = "reader"
    #: Of sessions, until their person has the second factor that the account asks for. No API key has it.
    ENROLMENT = "enrolment"


class ResourceKind(StrEnum):
    """What permissions of custom roles are about."""

    ACCOUNT = "account"
    PROJECT = "project"
    NAMESPACE = "namespace"
    NEXUS_ENDPOINT = "nexusendpoint"
    CONNECTIVITY_RULE = "connectivityrule"
    CUSTOM_ROLE = "customrole"


@dataclass(frozen=True, slots=True)
class CustomPermission:
    """Actions on all resources of a kind, or on some, as the custom role of this id has it."""

    role: str
    kind: ResourceKind
    actions: frozenset[str]
    resource_ids: frozenset[str] = frozenset()
    allow_all: bool = False

    def covers(self, resource_id: str) -> bool:
        return bool(self.allow_all or (resource_id and resource_id in self.resource_ids))


@dataclass(frozen=True, slots=True)
class Grants:
    """All that somebody has in his account, however he came by it.

    `roles` are several because groups add theirs, and Finance Admin is neither more nor less than Developer.
    `namespaces` are explicit permissions by namespace; what roles include is not among them. `person` is false for
    service accounts and certificates, `signed_in` is true for sessions only, `federated` for keys that were given for a
    token of another issuer. The `operator` administers the installation; he needs no account.
    The `provisioner` is an account's identity provider, and nothing else.
    """

    account_id: str = ""
    roles: frozenset[AccountRole] = frozenset()
    namespaces: Mapping[str, Permission] = field(default_factory=dict)
    custom: tuple[CustomPermission, ...] = ()
    scope: KeyScope = KeyScope.FULL
    person: bool = False
    operator: bool = False
    signed_in: bool = False
    federated: bool = False
    provisioner: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """What a call is about. Whoever fills it in says what is so, not what the request claims.

    - `account_id` is the account that all of it belongs to; empty if it belongs to none.
    - `namespaces` are those that it is about, by their ids; permissions have to be held on all. For a Nexus endpoint,
      the namespace that it leads to, before and after the call; for a service account, and a key of one, the namespace
      that it is scoped to, and none if it is scoped to the account.
    - `owner_id` is whose API key it is, or would be. In a list, nobody's.
    - `assigns` are account roles that the call gives to somebody or takes from him, as an update does with those before
      and after, and a deletion with all; for members of a group those of the group, for a new API key its owner's.
    - `assigns_custom` are custom roles that it gives or takes, by their ids, and `opens` are namespaces on which it
      gives or takes permissions, both in the same way.
    - `project_id` is where it belongs, and `resource_id` is which endpoint, connectivity rule or custom role it is.
    """

    account_id: str = ""
    namespaces: tuple[str, ...] = ()
    owner_id: str = ""
    assigns: frozenset[AccountRole] = frozenset()
    assigns_custom: frozenset[str] = frozenset()
    opens: frozenset[str] = frozenset()
    project_id: str = ""
    resource_id: str = ""


def strongest(own: Grants, *groups: Grants) -> Grants:
    """Somebody's own grants together with those of his groups; the rest of what they say is his own.

    Raises:
        ValueError: a group belongs to another account.
    """
    namespaces = dict(own.namespaces)
    for group in groups:
        if group.account_id != own.account_id:
            raise ValueError(f"a group of account {group.account_id!r} for somebody of account {own.account_id!r}")
        for name, permission in group.namespaces.items():
            namespaces[name] = min(permission, namespaces.get(name, permission))
    everything = (own, *groups)
    return replace(
        own,
        roles=frozenset[AccountRole]().union(*(each.roles for each in everything)),
        namespaces=namespaces,
        custom=tuple(dict.fromkeys(permission for each in everything for permission in each.custom)),
    )
