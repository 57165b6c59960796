"""PURE: where browsers and providers find us."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from perdure.auth.web_addresses import is_safe
from perdure.kernel.errors import FailedPrecondition

PATH: Final = "/sign-on"


class ConnectionAddresses:
    """Of one connection. Each has its own address to return to: if they shared one, a hostile provider could have
    another one's answer delivered as if it were its own.
    """

    def __init__(self, pages: str, connection_id: str) -> None:
        """`pages` is the address of the pages on which people sign in."""
        base = f"{pages.rstrip('/')}{PATH}/{connection_id}"
        self.start = f"{base}/start"
        self.callback = f"{base}/callback"
        self.acs = f"{base}/acs"
        #: Also the name by which we are known to a SAML provider.
        self.metadata = f"{base}/metadata"


def check_pages(pages: str) -> None:
    """Raises FailedPrecondition: nobody can sign on there, for browsers would not keep our secrets to themselves."""
    parts = urlsplit(pages)
    if not is_safe(parts.scheme, parts.hostname or ""):
        raise FailedPrecondition("This installation has no https address for browsers (control_plane.addresses.web).")
