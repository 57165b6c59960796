"""What a handler of CloudService is given, and what the table of handlers says of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from google.protobuf.message import Message

from perdure.api.data import Transaction
from perdure.api.data.tables import ResourceRow
from perdure.api.resources.endpoints import NamespaceEndpoints
from perdure.api.resources.regions import RegionOfCloud
from perdure.auth.policy.decisions import Policy
from perdure.auth.policy.grants import Grants, Target
from perdure.kernel.entropy import Entropy
from perdure.kernel.identity import Principal
from perdure.kernel.limits import ControlLimits
from perdure.kernel.persistence.usage import UsageStore


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
    #: Private connections of the installation: their networks, by name.
    connections: Mapping[str, Sequence[str]] = field(default_factory=dict)
    usage: UsageStore | None = None
    #: Where the call comes from.
    address: str = ""
    operation_id: str = ""
    #: The specification of what was changed, as it was before.
    before: bytes = b""
    changed: ResourceRow | None = None
    deferred: bool = False
    #: What the audit log says besides, by name.
    notes: dict[str, str] = field(default_factory=dict)

    #: The answer must show no more than the caller may see; see `perdure.auth.policy`.
    only_visible: bool = False

    @property
    def account_id(self) -> str:
        return self.principal.account_id

    def new_id(self) -> str:
        return self.entropy.uuid().replace("-", "")


Handle = Callable[[ControlCall, Any], Awaitable[Message]]
#: What a call is about: the policy is asked before the handler is.
Aim = Callable[[ControlCall, Any], Awaitable[Target]]


class Method(NamedTuple):
    """`changes` tells a mutation, which makes an operation and an audit record."""

    handle: Handle
    aim: Aim
    changes: bool = False


async def at_account(call: ControlCall, request: Any) -> Target:
    """The call is about the caller's account."""
    return Target(call.account_id)


async def at_namespace(call: ControlCall, request: Any) -> Target:
    """The call is about the namespace that its request names, whichever account that belongs to."""
    return Target(account_of_namespace(request.namespace), namespaces=(request.namespace,))


def account_of_namespace(name: str) -> str:
    """The account of a namespace follows from its name: `<name>.<account>`."""
    return name.rpartition(".")[2]
