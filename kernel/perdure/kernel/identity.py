"""Who calls, before and after it is known for certain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol

from perdure.kernel.ids import NamespaceName


class PrincipalKind(StrEnum):
    USER = "user"
    SERVICE_ACCOUNT = "service-account"
    #: A client's certificate, which stands for nobody but itself.
    CERTIFICATE = "certificate"
    #: The identity provider of an account.
    PROVISIONER = "provisioner"
    #: Whoever can reach a server that asks nobody who he is.
    ANYBODY = "anybody"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a call is made by, authenticated.

    `id` is unique among those of its kind, `name` is for people to read, `key_id` tells which API key was used, if one
    was.
    """

    kind: PrincipalKind
    id: str
    name: str = ""
    account_id: str = ""
    key_id: str = ""


ANYBODY = Principal(PrincipalKind.ANYBODY, "anybody")


class Caller(Protocol):
    """Whoever is at the other end, as the transport knows him. Nothing that he says of himself is true until a `Guard`
    has said so.
    """

    @property
    def metadata(self) -> Mapping[str, str]:
        """The text metadata of the call, keys in lower case."""
        ...

    @property
    def address(self) -> str:
        """The address of the other end of the connection, without port; empty if it has none."""
        ...

    @property
    def certificates(self) -> str:
        """The chain that the other end has shown, in PEM, its own certificate first; empty if it has shown none.

        It holds the key of the first one: that is all that the transport vouches for.
        """
        ...


@dataclass(frozen=True, slots=True)
class KnownCaller:
    """A `Caller` of whom all is known beforehand."""

    metadata: Mapping[str, str] = field(default_factory=dict)
    address: str = ""
    certificates: str = ""


class Admission(NamedTuple):
    """A call that may go on. Without `payloads`, what it answers must have none of its user's data. Without `endings`,
    it must not end anything by the way.
    """

    principal: Principal
    payloads: bool = True
    endings: bool = True


class Guard(Protocol):
    """Decides on each call, from what it holds in memory."""

    async def authenticate(self, caller: Caller) -> None:
        """Raises Unauthenticated: nobody knows who calls."""
        ...

    async def admit(self, rpc: str, caller: Caller, namespace: NamespaceName | None) -> Admission:
        """Who makes this call of `rpc`, which is the full name of a method, in this namespace or in none.

        The namespace need not exist: whoever may not use it is not told whether it does.

        Raises:
            Unauthenticated: nobody knows who calls.
            PermissionDenied: he may not.
        """
        ...

    async def recognize(self, caller: Caller) -> Principal | None:
        """Who calls, whatever he may do; None if that is not known, or depends on the namespace."""
        ...

    def address_of(self, caller: Caller) -> str:
        """Where the call comes from, as far as that can be believed; empty if nobody knows."""
        ...
