"""What a handler of an RPC is given, and what the table of handlers says of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

from google.protobuf.message import Message

from perdure.api.audit.sinks.making import SinkMaker
from perdure.api.data import ControlDatabase, Transaction
from perdure.api.data.tables import ResourceRow
from perdure.api.federation.federation import Federation
from perdure.api.people.events import SignInEvent
from perdure.api.people.people import People
from perdure.api.resources.endpoints import NamespaceEndpoints
from perdure.api.resources.regions import RegionOfCloud
from perdure.api.sealing import Sealer
from perdure.auth.policy.decisions import Policy
from perdure.auth.policy.grants import Grants, Target
from perdure.kernel.entropy import Entropy
from perdure.kernel.identity import Principal, PrincipalKind
from perdure.kernel.limits import ControlLimits
from perdure.kernel.mailer import Mail
from perdure.kernel.persistence.usage import UsageStore

_T = TypeVar("_T")


@dataclass(slots=True)
class ControlCall:
    """One call, in one transaction. It may be made anew from the beginning if the transaction lost a race.

    `changed` is the resource that the call has changed, which tells the operation's and its state; it is set by
    `perdure.api.resources.rows`. What takes longer than the transaction is `deferred` to the operation.
    """

    principal: Principal
    grants: Grants
    transaction: Transaction
    now_ns: int
    entropy: Entropy
    limits: ControlLimits
    policy: Policy
    regions: Sequence[RegionOfCloud]
    endpoints: NamespaceEndpoints
    people: People
    sealer: Sealer
    #: Private connections of the installation: their networks, by name.
    connections: Mapping[str, Sequence[str]] = field(default_factory=dict)
    usage: UsageStore | None = None
    #: Where the call comes from.
    address: str = ""
    user_agent: str = ""
    #: What `Method.prepare` has found out before the transaction.
    prepared: Any = None
    operation_id: str = ""
    #: The specification of what was changed, as it was before.
    before: bytes = b""
    changed: ResourceRow | None = None
    deferred: bool = False
    #: What the audit log says besides, by name.
    notes: dict[str, str] = field(default_factory=dict)

    #: What is sent, and who is told what, once the transaction is committed.
    mails: list[Mail] = field(default_factory=list)
    events: list[SignInEvent] = field(default_factory=list)

    #: The answer must show no more than the caller may see; see `perdure.auth.policy`.
    only_visible: bool = False
    #: The answer may show what users have put in.
    payloads: bool = True

    @property
    def account_id(self) -> str:
        return self.principal.account_id

    def new_id(self) -> str:
        return self.entropy.uuid().replace("-", "")

    def on_behalf_of(self, account_id: str) -> ControlCall:
        """The same call as if it were made by the account itself: for those who have just come to it."""
        principal = Principal(PrincipalKind.USER, "", account_id=account_id)
        return replace(self, principal=principal, grants=Grants(account_id))


@dataclass(frozen=True, slots=True)
class Preparation:
    """A call before its transaction: for what takes a while, or is to be written whatever becomes of the call."""

    principal: Principal
    address: str
    user_agent: str
    now_ns: int
    entropy: Entropy
    database: ControlDatabase
    people: People
    federation: Federation
    sinks: SinkMaker

    async def write(self, work: Callable[[Transaction], Awaitable[_T]]) -> _T:
        """In a transaction of its own. Raises what `work` does, and `StoreError`."""
        return await self.database.write(work)


Handle = Callable[[ControlCall, Any], Awaitable[Message]]
#: What a call is about: the policy is asked before the handler is.
Aim = Callable[[ControlCall, Any], Awaitable[Target]]


#: What it returns is `ControlCall.prepared`.
Prepare = Callable[[Preparation, Any], Awaitable[Any]]


class Method(NamedTuple):
    """`changes` tells a mutation, which makes an operation if the API has a place for its id. With `prepare`, the call
    is about the caller's account or about himself: whether he may is decided before that.
    """

    handle: Handle
    aim: Aim
    changes: bool = False
    prepare: Prepare | None = None


async def at_nothing(call: ControlCall, request: Any) -> Target:
    """The call is about whoever makes it, wherever he is."""
    return Target()


async def at_account(call: ControlCall, request: Any) -> Target:
    """The call is about the caller's account."""
    return Target(call.account_id)


async def at_namespace(call: ControlCall, request: Any) -> Target:
    """The call is about the namespace that its request names, whichever account that belongs to."""
    return Target(account_of_namespace(request.namespace), namespaces=(request.namespace,))


def account_of_namespace(name: str) -> str:
    """The account of a namespace follows from its name: `<name>.<account>`."""
    return name.rpartition(".")[2]
