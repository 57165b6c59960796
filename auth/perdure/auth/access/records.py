"""What the control plane publishes about who may do what, and where it is read from.

Each record is whole: who reads one needs no other to understand it. What belongs together changes together, in the
transaction of the control plane that decides it. Evolution rule: new fields go to the end and have a default.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from perdure.kernel.ids import NamespaceName
from perdure.kernel.persistence.executions import StoreError


class AccountRecord(msgspec.Struct, frozen=True, tag="account", array_like=True):
    """A customer. While it is not `active` none of its credentials is good for anything."""

    id: str
    active: bool = True


class CustomPermissionRecord(msgspec.Struct, frozen=True, array_like=True):
    """What the custom role of this id permits; `kind` is a `ResourceKind`."""

    role: str
    kind: str
    actions: tuple[str, ...]
    resource_ids: tuple[str, ...] = ()
    allow_all: bool = False


class PrincipalRecord(msgspec.Struct, frozen=True, tag="principal", array_like=True):
    """A user or service account, with what it may do by itself and through its groups.

    `kind` is a `PrincipalKind`; `roles` are numbers of `AccountAccess.Role`, his own and those of his groups;
    `namespaces` has numbers of `NamespaceAccess.Permission` by name. `operator` is whoever runs the installation.
    """

    id: str
    account_id: str
    kind: str
    name: str
    roles: tuple[int, ...] = ()
    namespaces: dict[NamespaceName, int] = {}
    custom: tuple[CustomPermissionRecord, ...] = ()
    active: bool = True
    operator: bool = False


class CredentialRecord(msgspec.Struct, frozen=True, tag="credential", array_like=True):
    """A secret by which a principal is known: an API key, a session. The secret itself is nowhere.

    `kind` is a `SecretKind`, `secret_hash` the secret's SHA-256. `scope` narrows what its owner may do. `sources` are
    networks from which it is accepted, all if there are none.
    """

    id: str
    kind: str
    owner_id: str
    secret_hash: bytes
    expires_at_ns: int
    disabled: bool = False
    scope: str = "full"
    sources: tuple[str, ...] = ()


class CertificateFilterRecord(msgspec.Struct, frozen=True, array_like=True):
    common_name: str = ""
    organization: str = ""
    organizational_unit: str = ""
    subject_alternative_name: str = ""


class NamespaceAccessRecord(msgspec.Struct, frozen=True, tag="namespace", array_like=True):
    """By which credentials a namespace is reached. `authorities` and `revocation_lists` are PEM.

    `sources` and `networks` are networks from which it may be called, by its connectivity rules and by its settings,
    all if there are none. `limits` are those that are its own, by the names of `NamespaceLimits`.
    """

    name: NamespaceName
    account_id: str
    active: bool = True
    api_keys: bool = False
    certificates: bool = False
    authorities: bytes = b""
    filters: tuple[CertificateFilterRecord, ...] = ()
    revocation_lists: bytes = b""
    sources: tuple[str, ...] = ()
    limits: dict[str, int] = {}
    networks: tuple[str, ...] = ()


AccessRecord = AccountRecord | PrincipalRecord | CredentialRecord | NamespaceAccessRecord
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[AccessRecord] = msgspec.msgpack.Decoder(AccessRecord)


class Removed(msgspec.Struct, frozen=True):
    """There was a record of this kind and id."""

    kind: str
    id: str


def kind_of(record: AccessRecord) -> str:
    """Ids are unique among the records of a kind."""
    return str(record.__struct_config__.tag)


def id_of(record: AccessRecord) -> str:
    return record.name if isinstance(record, NamespaceAccessRecord) else record.id


def encode(record: AccessRecord) -> bytes:
    return _encoder.encode(record)


def decode(data: bytes) -> AccessRecord:
    """Raises DamagedAccess: it is no record."""
    try:
        return _decoder.decode(data)
    except msgspec.DecodeError as error:
        raise DamagedAccess(str(error)) from None


class DamagedAccess(StoreError):
    """A record cannot be read. Nobody is let in by it."""


class AccessStore(Protocol):
    """Where the control plane publishes its records."""

    async def changed_since(self, revision: int, limit: int) -> tuple[int, Sequence[AccessRecord | Removed]]:
        """The first `limit` changes after a revision, in their order, and the revision of the last one; the same
        revision if there are none. Of a record that has changed several times only the last change is there.

        0 is before the first one.

        Raises:
            StoreError: the store cannot be read.
        """
        ...
