"""Pending sign-ins: begun by a program that has no credentials, answered by somebody in a browser, exchanged by the
program for a session.

Three secrets keep strangers out. The program alone knows the verifier of its challenge (RFC 7636), so nobody else gets
the session. One browser goes on once it was confirmed there, so nobody can be made to sign in for a program by a link.
And where the browser is sent back to the program it takes a code along, so the program knows that it was this browser.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64encode
from enum import StrEnum
from hashlib import sha256
from typing import Final, NamedTuple

from perdure.api.data import Transaction
from perdure.api.data.person_tables import PendingSignInRow
from perdure.api.people import browsers, loopback
from perdure.api.resources.endings import end
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.entropy import Entropy
from perdure.kernel.errors import FailedPrecondition, InvalidArgument, NotFound, PermissionDenied

LIFETIME_NS: Final = 600 * SECOND_NS
#: How long the program has to exchange it, where the browser brings it the news.
EXCHANGE_NS: Final = 60 * SECOND_NS
#: Between the program's questions where it brings none, and how much more after one that came too soon (RFC 8628, 3.5).
INTERVAL_S: Final = 5
#: What the browser is shown where no program waits for it on the same machine.
DONE_PATH: Final = "/sign-in/done"
DENIED_PATH: Final = "/sign-in/denied"
_CODE_BITS: Final = 256
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


class PendingState(StrEnum):
    WAITING = "waiting"
    APPROVED = "approved"
    DENIED = "denied"
    EXCHANGED = "exchanged"


class Approval(NamedTuple):
    """Somebody has signed in as this user: a person by what he knows, or whomever a sign-on connection vouches for.

    `browser` is the secret in the cookie of the browser in which he did.
    """

    user_id: str
    account_id: str
    browser: str
    person_id: str = ""
    connection_id: str = ""


class Outcome(StrEnum):
    """Of an exchange."""

    WAITING = "waiting"
    TOO_SOON = "too soon"
    DENIED = "denied"
    TAKEN = "taken"
    REFUSED = "refused"


class Exchange(NamedTuple):
    outcome: Outcome
    interval_s: int = 0


async def waiting(transaction: Transaction, pending_id: str, now_ns: int) -> PendingSignInRow:
    """Raises NotFound: nobody waits for it, or not any more."""
    row = await transaction.people.pending(pending_id)
    if row is None or row.state != PendingState.WAITING or row.expires_at_ns <= now_ns:
        raise NotFound("No program waits for this sign-in, or not any more: begin anew.")
    return row


async def confirmed(transaction: Transaction, pending_id: str, browser: str, now_ns: int) -> PendingSignInRow:
    """One that this browser goes on with.

    Raises:
        NotFound: nobody waits for it, or not any more.
        PermissionDenied: it was not confirmed, or in another browser.
    """
    row = await waiting(transaction, pending_id, now_ns)
    if not browsers.is_of(browser, row.browser_hash):
        raise PermissionDenied("This sign-in is not confirmed, or goes on in another browser: begin anew.")
    return row


def claim(row: PendingSignInRow, browser: str) -> None:
    """Let this browser go on with it.

    Raises:
        InvalidArgument: it is none.
        PermissionDenied: another one does.
    """
    if not browsers.is_one(browser):
        raise InvalidArgument("browser: must be 64 hexadecimal digits.")
    if row.browser_hash and not browsers.is_of(browser, row.browser_hash):
        raise PermissionDenied("This sign-in goes on in another browser: begin anew.")
    row.browser_hash = browsers.digest(browser)


async def approve(transaction: Transaction, pending_id: str, approval: Approval, now_ns: int, entropy: Entropy) -> str:
    """Somebody has signed in. Returns where his browser goes: to the program, or to `DONE_PATH`.

    Raises:
        NotFound: nobody waits for it, or not any more.
        PermissionDenied: it was not confirmed in this browser.
        FailedPrecondition: another account is asked for.
    """
    row = await confirmed(transaction, pending_id, approval.browser, now_ns)
    if row.account_id and row.account_id != approval.account_id:
        raise FailedPrecondition(f"The sign-in is for account {row.account_id}.")
    row.state = PendingState.APPROVED
    row.user_id, row.account_id = approval.user_id, approval.account_id
    row.person_id, row.connection_id = approval.person_id, approval.connection_id
    if not row.redirect_uri:
        return DONE_PATH
    code = f"{entropy.bits(_CODE_BITS):064x}"
    row.code_hash = sha256(code.encode()).digest()
    row.expires_at_ns = min(row.expires_at_ns, now_ns + EXCHANGE_NS)
    return loopback.with_answer(row.redirect_uri, {"code": code, "state": row.return_state})


def deny(row: PendingSignInRow) -> str:
    """Nobody is to sign in for this program. Returns where the browser goes."""
    row.state = PendingState.DENIED
    if not row.redirect_uri:
        return DENIED_PATH
    return loopback.with_answer(row.redirect_uri, {"error": "access_denied", "state": row.return_state})


async def exchange(transaction: Transaction, pending_id: str, verifier: str, code: str, now_ns: int) -> Exchange:
    """The program asks what has become of it. If it was approved it is taken, once: by `taken` it is known then.

    This is to be committed whatever it says: wrong guesses count.
    """
    row = await transaction.people.pending(pending_id)
    if row is None or row.expires_at_ns <= now_ns:
        return Exchange(Outcome.REFUSED)
    knows_code = row.code_hash != b"" and hmac.compare_digest(sha256(code.encode()).digest(), row.code_hash)
    if not hmac.compare_digest(challenge_of(verifier), row.code_challenge):
        if knows_code:
            # Somebody has read what the browser brought.
            await _void(transaction, row)
        return Exchange(Outcome.REFUSED)
    if row.state == PendingState.EXCHANGED:
        if knows_code:
            # Two know code and verifier, and one of them is not the program.
            await _void(transaction, row)
        return Exchange(Outcome.REFUSED)
    if row.state == PendingState.DENIED:
        await transaction.people.remove(row)
        return Exchange(Outcome.DENIED)
    if row.redirect_uri and not knows_code:
        return Exchange(Outcome.REFUSED)
    if row.state == PendingState.WAITING:
        return _asked(row, now_ns)
    row.state = PendingState.EXCHANGED
    return Exchange(Outcome.TAKEN)


async def taken(transaction: Transaction, pending_id: str) -> PendingSignInRow:
    """One that was just exchanged and has no session yet. Raises InvalidArgument: it was made void meanwhile."""
    row = await transaction.people.pending(pending_id)
    if row is None or row.state != PendingState.EXCHANGED or row.session_id:
        raise refused()
    return row


def refused() -> InvalidArgument:
    """The one answer to whoever cannot have a session for it."""
    return InvalidArgument("pending_id, code, code_verifier: are not valid together, or not any more.")


def check_challenge(challenge: str, field: str) -> None:
    """Raises InvalidArgument: it is none."""
    if not _CHALLENGE.fullmatch(challenge):
        raise InvalidArgument(f"{field}: must be a SHA-256 in base64url without padding, 43 characters.")


def check_verifier(verifier: str, field: str) -> None:
    """Raises InvalidArgument: it is none."""
    if not _VERIFIER.fullmatch(verifier):
        raise InvalidArgument(f"{field}: must have 43 to 128 of letters, digits and . _ ~ -")


def challenge_of(verifier: str) -> str:
    """As RFC 7636 says for S256."""
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _asked(row: PendingSignInRow, now_ns: int) -> Exchange:
    too_soon = now_ns < row.polled_at_ns + row.interval_s * SECOND_NS
    row.polled_at_ns = now_ns
    row.interval_s += INTERVAL_S * too_soon
    return Exchange(Outcome.TOO_SOON if too_soon else Outcome.WAITING, row.interval_s)


async def _void(transaction: Transaction, row: PendingSignInRow) -> None:
    session = await transaction.people.session(row.session_id) if row.session_id else None
    if session is not None:
        await end(transaction, session)
    await transaction.people.remove(row)
