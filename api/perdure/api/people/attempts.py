"""Who has tried what how often, kept in the database so that it holds over processes and restarts.

A stranger slows down nobody but himself where somebody is known: at an address from which a person has signed in
lately, tries from elsewhere do not count. Elsewhere they make the person wait a minute at most.
"""

from __future__ import annotations

import math
from hashlib import sha256
from ipaddress import ip_address, ip_network
from typing import Final

from temporalio.api.enums.v1 import ResourceExhaustedCause, ResourceExhaustedScope

from perdure.api.data import Transaction
from perdure.api.data.person_tables import AttemptRow
from perdure.api.people.throttle import MINUTE_NS, Rule, Tries, taken_back, tried, wait_ns
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.errors import ResourceExhausted
from perdure.kernel.namespace import DAY_NS

#: How long an address at which somebody has signed in is known as his.
KNOWN_NS: Final = 90 * DAY_NS
#: After so long all tries are forgotten.
FORGOTTEN_NS: Final = DAY_NS

_RULES: Final = {
    # A password, from one address.
    "there": Rule(5, 15 * MINUTE_NS),
    # A password, from all addresses that are not known as the person's.
    "elsewhere": Rule(10, MINUTE_NS),
    # Anything, from one address.
    "address": Rule(30, 5 * MINUTE_NS),
    # A second factor, by whoever knows the password.
    "code": Rule(5, 60 * MINUTE_NS),
    # A code that a program shows, from one address.
    "user-code": Rule(5, 15 * MINUTE_NS),
    # A mail to one address.
    "mail": Rule(4, 60 * MINUTE_NS),
}
#: An IPv6 client has as many addresses as it likes within its network.
_IPV6_PREFIX = 64


async def begin(transaction: Transaction, now_ns: int, email: str, address: str) -> None:
    """Somebody tries a password.

    Raises:
        ResourceExhausted: he has to wait.
    """
    there = await _row(transaction, "there", now_ns, email, _network(address))
    keys = ["address", "there"]
    rows = [await _row(transaction, "address", now_ns, _network(address)), there]
    if there.succeeded_at_ns <= now_ns - KNOWN_NS:
        keys.append("elsewhere")
        rows.append(await _row(transaction, "elsewhere", now_ns, email))
    _try(keys, rows, now_ns)


async def succeed(
    transaction: Transaction, now_ns: int, email: str, address: str, person_id: str, *, by_code: bool
) -> None:
    """He is who he says, and known at this address from now on. What others have tried elsewhere still counts."""
    await take_back(transaction, now_ns, email, address)
    there = await _row(transaction, "there", now_ns, email, _network(address))
    there.failures, there.open_at_ns, there.succeeded_at_ns = 0, 0, now_ns
    if by_code:
        code = await _row(transaction, "code", now_ns, person_id)
        _write(code, taken_back(_read(code)))


async def take_back(transaction: Transaction, now_ns: int, email: str, address: str) -> None:
    """The password was right, and that is all that is known."""
    there = await _row(transaction, "there", now_ns, email, _network(address))
    rows = [await _row(transaction, "address", now_ns, _network(address)), there]
    if there.succeeded_at_ns <= now_ns - KNOWN_NS:
        rows.append(await _row(transaction, "elsewhere", now_ns, email))
    for row in rows:
        _write(row, taken_back(_read(row)))


async def welcome(transaction: Transaction, now_ns: int, email: str, address: str) -> None:
    """He has shown that he reads the mail to this address: those who have tried before do not keep him out."""
    there = await _row(transaction, "there", now_ns, email, _network(address))
    there.failures, there.open_at_ns, there.succeeded_at_ns = 0, 0, now_ns


async def begin_code(transaction: Transaction, now_ns: int, person_id: str) -> None:
    """Somebody who knows the password tries a second factor. Raises ResourceExhausted: he has to wait."""
    _try(["code"], [await _row(transaction, "code", now_ns, person_id)], now_ns)


async def begin_user_code(transaction: Transaction, now_ns: int, address: str) -> None:
    """Somebody types a code that a program shows. Raises ResourceExhausted: he has to wait."""
    _try(["user-code"], [await _row(transaction, "user-code", now_ns, _network(address))], now_ns)


async def take_back_user_code(transaction: Transaction, now_ns: int, address: str) -> None:
    """It was right."""
    row = await _row(transaction, "user-code", now_ns, _network(address))
    _write(row, taken_back(_read(row)))


async def begin_sign_on(transaction: Transaction, now_ns: int, address: str) -> None:
    """Somebody sets out for an identity provider. Raises ResourceExhausted: he has to wait."""
    _try(["address"], [await _row(transaction, "address", now_ns, _network(address))], now_ns)


async def take_back_sign_on(transaction: Transaction, now_ns: int, address: str) -> None:
    """He has come back as somebody."""
    row = await _row(transaction, "address", now_ns, _network(address))
    _write(row, taken_back(_read(row)))


async def begin_mail(transaction: Transaction, now_ns: int, email: str, address: str = "") -> None:
    """Somebody has a mail sent: a stranger from an address, or an account to whomever it invites.

    Raises:
        ResourceExhausted: he has to wait.
    """
    kinds, rows = ["mail"], [await _row(transaction, "mail", now_ns, email)]
    if address:
        kinds.append("address")
        rows.append(await _row(transaction, "address", now_ns, _network(address)))
    _try(kinds, rows, now_ns)


def _try(kinds: list[str], rows: list[AttemptRow], now_ns: int) -> None:
    if wait := max(wait_ns(_read(row), now_ns) for row in rows):
        raise ResourceExhausted(
            f"Too many attempts: try again in {math.ceil(wait / SECOND_NS)} seconds.",
            ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_RPS_LIMIT,
            ResourceExhaustedScope.RESOURCE_EXHAUSTED_SCOPE_UNSPECIFIED,
        )
    for kind, row in zip(kinds, rows, strict=True):
        _write(row, tried(_read(row), _RULES[kind], now_ns))


async def _row(transaction: Transaction, kind: str, now_ns: int, *about: str) -> AttemptRow:
    # Addresses of strangers are nothing that we keep.
    key = f"{kind}:{sha256(chr(0).join(about).encode()).hexdigest()}"
    row = await transaction.people.attempts(key)
    if row is None:
        row = AttemptRow(key=key, failures=0, open_at_ns=0, succeeded_at_ns=0, changed_at_ns=now_ns)
        transaction.people.add(row)
        # So that it is found when it is asked for again.
        await transaction.people.flush()
    return row


def _read(row: AttemptRow) -> Tries:
    return Tries(row.failures, row.open_at_ns, row.changed_at_ns)


def _write(row: AttemptRow, tries: Tries) -> None:
    row.failures, row.open_at_ns, row.changed_at_ns = tries


def _network(address: str) -> str:
    """What counts as one source."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    mapped = getattr(parsed, "ipv4_mapped", None) or parsed
    if mapped.version == 4:
        return str(mapped)
    return str(ip_network((mapped, _IPV6_PREFIX), strict=False))
