"""Somebody's way to an identity provider and back, bound to his browser and gone once.

The browser's cookie has the secret from which nonce and PKCE verifier follow, so the database has nothing that would
complete a sign-in. What comes back in another browser is refused and leaves the way open.
"""

from __future__ import annotations

import hmac
import re
from hashlib import sha256
from typing import Final, NamedTuple

from perdure.api.data import Transaction
from perdure.api.data.person_tables import SignOnFlowRow
from perdure.api.people import browsers
from perdure.api.sign_on.refusals import SignOnRefused
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.entropy import Entropy

LIFETIME_NS: Final = 600 * SECOND_NS
_ID_BITS: Final = 128
_GONE: Final = "This sign-in was not begun in this browser, is over, or took too long: begin again."


_ID = re.compile(r"[0-9a-f]{32}")


class Flow(NamedTuple):
    """`secret` is the browser's, of this flow alone, and `edition` the connection's. `browser` is what the pages on
    which people sign in know it by; it is empty in a test, which has no `request_id` either.
    """

    id: str
    connection_id: str
    edition: int
    request_id: str
    secret: str
    browser: str

    @property
    def is_test(self) -> bool:
        return not self.request_id

    @property
    def nonce(self) -> str:
        """For the provider's token: it is of this flow."""
        return self._derived("nonce")

    @property
    def verifier(self) -> str:
        """For the provider: whoever brings the code is who has asked for it (RFC 7636)."""
        return self._derived("verifier")

    @property
    def cookie(self) -> str:
        return f"{self.secret}.{self.browser}"

    def _derived(self, purpose: str) -> str:
        return hmac.new(self.secret.encode(), f"{purpose}:{self.id}".encode(), sha256).hexdigest()


def begin(
    transaction: Transaction,
    entropy: Entropy,
    connection_id: str,
    edition: int,
    request_id: str,
    browser: str,
    now_ns: int,
) -> Flow:
    """A new one, for a pending sign-in or, without a `request_id`, for a test."""
    flow = Flow(
        f"{entropy.bits(_ID_BITS):032x}",
        connection_id,
        edition,
        request_id,
        browsers.new(entropy),
        browser,
    )
    transaction.people.add(
        SignOnFlowRow(
            id=flow.id,
            connection_id=flow.connection_id,
            edition=flow.edition,
            request_id=flow.request_id,
            secret_hash=browsers.digest(flow.secret),
            expires_at_ns=now_ns + LIFETIME_NS,
        )
    )
    return flow


def is_id(text: str) -> bool:
    """Whether it could be one of ours, of a flow or of anything else: strangers may send anything."""
    return _ID.fullmatch(text) is not None


async def take(transaction: Transaction, flow_id: str, connection_id: str, cookie: str, now_ns: int) -> Flow:
    """The flow of this browser, which is good no more from now on.

    Raises:
        SignOnRefused: there is none.
    """
    row = await transaction.people.flow(flow_id) if is_id(flow_id) else None
    secret, _, browser = cookie.partition(".")
    if (
        row is None
        or not browsers.is_of(secret, row.secret_hash)
        or row.connection_id != connection_id
        or row.expires_at_ns <= now_ns
    ):
        raise SignOnRefused(_GONE, _GONE)
    await transaction.people.remove(row)
    return Flow(row.id, row.connection_id, row.edition, row.request_id, secret, browser)
