"""How tenants are served, as processes tell those who ask, and as the control plane's database shows it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing

import msgspec

from perdure.api.data import ControlDatabase
from perdure.api.resources.operations import FAILED, UNFINISHED
from perdure.infra.cluster import wire
from perdure.infra.tenancy.access import Access
from perdure.kernel.clock import SECOND_NS, Clock
from perdure.kernel.transport import Handler, IncomingCall, Transport

_ACCESS = "/perdure.internal.Process/Access"
_ANSWER_S = 3.0
_LATELY_NS = 3600 * SECOND_NS


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


def handlers(access: Access) -> Mapping[str, Handler]:
    """What processes serve that let tenants in."""

    async def status(_: bytes, __: IncomingCall) -> bytes:
        watch = access.watch
        return wire.encode(AccessStatus(watch.age_s, watch.is_answered, dict(access.view.counts())))

    return {_ACCESS: status}


async def ask(transport: Transport, address: str) -> AccessStatus:
    """What the process there knows.

    Raises:
        ServiceError: as `Transport.call`.
    """
    return _decoder.decode(await transport.call(address, _ACCESS, b"", timeout_s=_ANSWER_S))


async def read(url: str, clock: Clock) -> ControlPlaneStatus:
    """Raises StoreError: the database cannot be read."""
    now_ns = clock.now_ns()
    async with aclosing(await ControlDatabase.open(url)) as database, database.reading() as transaction:
        count, since_ns = await transaction.pending(UNFINISHED)
        failed = await transaction.count_finished(FAILED, now_ns - _LATELY_NS)
    return ControlPlaneStatus(count, (now_ns - since_ns) / SECOND_NS if count else 0.0, failed)
