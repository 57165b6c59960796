"""How tenants are served, as processes tell those who ask: operators, by way of `perdure admin status`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from perdure.infra.cluster import wire
from perdure.kernel.transport import Handler, IncomingCall, Transport

_ACCESS = "/perdure.internal.Process/Access"
_ANSWER_S = 3.0


class AccessStatus(msgspec.Struct, frozen=True):
    """What a process knows of whom it may let in: how old that is, whether the control plane's database has answered
    it when it was last asked, and how many records there are of each kind.

    Evolution rule: new fields go to the end and have a default, as processes of two versions may meet.
    """

    age_s: float
    is_answered: bool
    records: dict[str, int]


class ControlPlaneStatus(msgspec.Struct, frozen=True):
    """What the control plane's database shows: operations that are not finished, since when the oldest is not, and how
    many have failed within an hour. `trouble` says why it shows nothing.
    """

    pending: int = 0
    pending_age_s: float = 0.0
    failed_lately: int = 0
    trouble: str = ""


_decoder = msgspec.msgpack.Decoder(AccessStatus)


def handlers(found: Callable[[], AccessStatus]) -> Mapping[str, Handler]:
    """What processes serve that tenants call."""

    async def status(_: bytes, __: IncomingCall) -> bytes:
        return wire.encode(found())

    return {_ACCESS: status}


async def ask(transport: Transport, address: str) -> AccessStatus:
    """What the process there knows.

    Raises:
        ServiceError: as `Transport.call`.
    """
    return _decoder.decode(await transport.call(address, _ACCESS, b"", timeout_s=_ANSWER_S))
