"""PURE: all access records, by what calls are decided from."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import NamedTuple

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from perdure.auth.access.records import (
    AccessRecord,
    AccountRecord,
    CredentialRecord,
    NamespaceAccessRecord,
    PrincipalRecord,
    Removed,
    id_of,
    kind_of,
)
from perdure.auth.certificates.authorities import UNREADABLE
from perdure.auth.certificates.filters import CertificateFilter
from perdure.auth.certificates.revocation import parse_revocations
from perdure.auth.certificates.verification import ClientCertificates
from perdure.auth.policy.grants import AccountRole, CustomPermission, Grants, KeyScope, Permission, ResourceKind
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.identity import Principal, PrincipalKind
from perdure.kernel.ids import NamespaceName

_log = structlog.get_logger("perdure.auth")

_Network = IPv4Network | IPv6Network


class Sources:
    """Networks from which something is accepted; all of them if none is named."""

    __slots__ = ("_networks",)

    def __init__(self, networks: Iterable[str]) -> None:
        """Raises ValueError: one is not a network."""
        self._networks: tuple[_Network, ...] = tuple(ip_network(network) for network in networks)

    def accept(self, address: str) -> bool:
        if not self._networks:
            return True
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        # What an IPv4 client is seen as on a socket for both.
        mapped = getattr(parsed, "ipv4_mapped", None)
        return any((mapped or parsed) in network for network in self._networks)


class Credential(NamedTuple):
    record: CredentialRecord
    sources: Sources


class Somebody(NamedTuple):
    """A user or service account."""

    principal: Principal
    grants: Grants
    active: bool


class NamespaceAccess(NamedTuple):
    """By what a namespace is reached: without `certificates`, by none of these. `accepted` is for whoever checks them,
    to remember his answers in; it is empty again as soon as something changes.
    """

    record: NamespaceAccessRecord
    certificates: ClientCertificates | None
    sources: Sources
    networks: Sources
    accepted: dict[str, object]


class AccessView:
    """What has been published so far, as far as this process knows."""

    def __init__(self) -> None:
        self.credentials: dict[str, Credential] = {}
        self.principals: dict[str, Somebody] = {}
        self.namespaces: dict[NamespaceName, NamespaceAccess] = {}
        self._accounts: dict[str, bool] = {}
        self._authorities: dict[NamespaceName, tuple[bytes, ...]] = {}
        self._revisions = itertools.count(1)
        self.authorities_revision = 0

    def account_is_active(self, account_id: str) -> bool:
        return self._accounts.get(account_id, False)

    def counts(self) -> Mapping[str, int]:
        """How many records there are of each kind."""
        return {
            "account": len(self._accounts),
            "principal": len(self.principals),
            "credential": len(self.credentials),
            "namespace": len(self.namespaces),
        }

    def authorities(self) -> bytes:
        """The certificates of all authorities that any namespace trusts, in PEM."""
        return b"".join(dict.fromkeys(itertools.chain.from_iterable(self._authorities.values())))

    def learn(self, changes: Iterable[AccessRecord | Removed]) -> None:
        for change in changes:
            if isinstance(change, Removed):
                self._forget(change.kind, change.id)
                continue
            try:
                self._take(change)
            except ValueError as error:
                # Whoever wrote it has checked it. Nobody gets in by what we do not understand.
                self._forget(kind_of(change), id_of(change))
                _log.error("access record is not understood", kind=kind_of(change), id=id_of(change), error=str(error))

    def _forget(self, kind: str, record_id: str) -> None:
        match kind:
            case "account":
                self._accounts.pop(record_id, None)
            case "principal":
                self.principals.pop(record_id, None)
            case "credential":
                self.credentials.pop(record_id, None)
            case "namespace":
                self.namespaces.pop(NamespaceName(record_id), None)
                self._trust(NamespaceName(record_id), ())

    def _take(self, record: AccessRecord) -> None:
        match record:
            case AccountRecord():
                self._accounts[record.id] = record.active
            case PrincipalRecord():
                self.principals[record.id] = somebody_of(record)
            case CredentialRecord():
                self.credentials[record.id] = credential_of(record)
            case NamespaceAccessRecord():
                certificates, trusted = _accepted(record)
                self.namespaces[record.name] = NamespaceAccess(
                    record, certificates, Sources(record.sources), Sources(record.networks), {}
                )
                self._trust(record.name, trusted if record.active else ())

    def _trust(self, name: NamespaceName, authorities: tuple[bytes, ...]) -> None:
        before = self._authorities.get(name, ())
        # In one step: handshakes look at this from another thread, and see who was always trusted at any time.
        if authorities:
            self._authorities[name] = authorities
        else:
            self._authorities.pop(name, None)
        # Of those that are no longer trusted nothing needs to be known at the door: their calls are refused.
        if not set(authorities) <= set(before):
            self.authorities_revision = next(self._revisions)


def credential_of(record: CredentialRecord) -> Credential:
    """Raises ValueError: its scope is unknown, or one of its sources is not a network."""
    KeyScope(record.scope)
    return Credential(record, Sources(record.sources))


def somebody_of(record: PrincipalRecord) -> Somebody:
    """Raises ValueError: its kind, a role or a permission is unknown."""
    principal = Principal(PrincipalKind(record.kind), record.id, record.name, record.account_id)
    return Somebody(principal, grants_of(record), record.active)


def grants_of(record: PrincipalRecord) -> Grants:
    """Raises ValueError: a role or permission is unknown."""
    return Grants(
        account_id=record.account_id,
        roles=frozenset(AccountRole(role) for role in record.roles),
        namespaces={name: Permission(permission) for name, permission in record.namespaces.items()},
        custom=tuple(
            CustomPermission(
                each.role,
                ResourceKind(each.kind),
                frozenset(each.actions),
                frozenset(each.resource_ids),
                each.allow_all,
            )
            for each in record.custom
        ),
        person=record.kind == PrincipalKind.USER,
        operator=record.operator,
    )


def _accepted(record: NamespaceAccessRecord) -> tuple[ClientCertificates | None, tuple[bytes, ...]]:
    """Which certificates open the namespace, and the authorities that it trusts, in PEM.

    None do if it cannot be told which: whoever has an API key must not be locked out by that.
    """
    if not record.certificates:
        return None, ()
    try:
        authorities = x509.load_pem_x509_certificates(record.authorities) if record.authorities else []
        certificates = _certificates(record, authorities)
    except (InvalidArgument, *UNREADABLE) as error:
        _log.error("certificates of a namespace are not understood", namespace=record.name, error=str(error))
        return None, ()
    return certificates, tuple(authority.public_bytes(Encoding.PEM) for authority in authorities)


def _certificates(record: NamespaceAccessRecord, authorities: list[x509.Certificate]) -> ClientCertificates:
    filters = [
        CertificateFilter(each.common_name, each.organization, each.organizational_unit, each.subject_alternative_name)
        for each in record.filters
    ]
    return ClientCertificates(authorities, filters, parse_revocations(record.revocation_lists, authorities))
