"""What mailed links stand for: good once, for a while, and kept as hashes."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

from perdure.api.data import Transaction
from perdure.api.data.person_tables import TicketRow
from perdure.auth import secrets
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.entropy import Entropy
from perdure.kernel.errors import InvalidArgument

HOUR_NS: Final = 3600 * SECOND_NS


class Purpose(StrEnum):
    """What a ticket does, with its subject."""

    #: An e-mail address.
    SIGN_UP = "sign-up"
    #: An e-mail address.
    PASSWORD_RESET = "password-reset"
    #: A user, by its id.
    INVITATION = "invitation"
    #: A sign-on connection, by its id.
    TEST_SIGN_ON = "test-sign-on"


SIGN_UP_NS: Final = 24 * HOUR_NS
PASSWORD_RESET_NS: Final = HOUR_NS


def issue(
    transaction: Transaction, entropy: Entropy, purpose: Purpose, subject: str, expires_at_ns: int, **details: Any
) -> str:
    """A new ticket; those of before stay good. What is returned is mailed, and kept nowhere."""
    given = secrets.give(secrets.SecretKind.TICKET, entropy)
    transaction.people.add(
        TicketRow(
            id=given.id,
            purpose=purpose,
            subject=subject,
            secret_hash=given.secret_hash,
            details=details,
            expires_at_ns=expires_at_ns,
        )
    )
    return given.text


async def look(transaction: Transaction, purpose: Purpose, text: str, now_ns: int) -> TicketRow:
    """Raises InvalidArgument: it is none, or not any more."""
    shown = secrets.read(text)
    row = await transaction.people.ticket(shown.id) if shown is not None else None
    if (
        shown is None
        or row is None
        or shown.kind is not secrets.SecretKind.TICKET
        or row.purpose != purpose
        or not secrets.matches(shown, row.secret_hash)
        or row.expires_at_ns <= now_ns
    ):
        raise refused()
    return row


async def use(transaction: Transaction, row: TicketRow) -> None:
    """It is good no more, nor is any other for the same."""
    await transaction.people.forget_tickets(row.purpose, row.subject)


def refused() -> InvalidArgument:
    """The one answer to any ticket that is not good."""
    return InvalidArgument("ticket: is not valid, or not any more.")
