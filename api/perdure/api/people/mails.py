"""PURE: what is mailed to people: short, plain, and with no word of a stranger's but the name of an account."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from perdure.api.notices import Notice
from perdure.api.resources import kinds
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.mailer import Mail

_NAME_LENGTH_MAX = 100
_IGNORE = "If this was not you, you need not do anything."


@dataclass(frozen=True, slots=True)
class Links:
    """Where to go on: at the `address` of the control plane, from a shell; and with pages, whose URL is `web`."""

    web: str = ""
    address: str = ""

    def command(self, name: str, ticket: str) -> str:
        """What to say in a shell to go on with what the mail is about."""
        where = f"PERDURE_CLOUD_ADDRESS={self.address} " if self.address else ""
        return f"    {where}perdure cloud {name} {ticket}"

    @property
    def sign_in(self) -> str:
        return f"{self.web.rstrip('/')}/sign-in" if self.web else ""


def verify(links: Links, email: str, ticket: str) -> Mail:
    command = links.command("verify", ticket)
    text = (
        f"Somebody has signed up to Perdure with this address. To go on, within 24 hours:\n\n{command}\n\n{_IGNORE}\n"
    )
    return Mail(email, "Confirm your e-mail address", text)


def known_already(links: Links, email: str) -> Mail:
    text = (
        "Somebody has signed up to Perdure with this address, which has a login already. Nothing has been changed.\n\n"
        f"Sign in with it, or have the password reset. {links.sign_in}\n\n{_IGNORE}\n"
    )
    return Mail(email, "You have a login already", text)


def reset(links: Links, email: str, ticket: str) -> Mail:
    command = links.command("password reset", ticket)
    text = f"To set another password for Perdure, within an hour:\n\n{command}\n\n{_IGNORE}\n"
    return Mail(email, "Set another password", text)


def invitation(links: Links, email: str, account_name: str, ticket: str) -> Mail:
    command = links.command("accept", ticket)
    text = (
        f'You are invited to the account "{account_name}" of Perdure. To accept, within 14 days:\n\n{command}\n\n'
        "It asks for the password of your login, or, if you have none yet, for one that you choose.\n"
    )
    return Mail(email, "You are invited to Perdure", text)


def password_changed(email: str) -> Mail:
    text = "The password of your Perdure login has been changed, and all other sessions have ended.\n\n" + _NOT_YOU
    return Mail(email, "Your password has been changed", text)


def mfa_changed(email: str, enabled: bool) -> Mail:
    what = "has a second factor now" if enabled else "has no second factor any more"
    return Mail(email, "Your second factor has been changed", f"Your Perdure login {what}.\n\n{_NOT_YOU}")


def expiring(links: Links, email: str, notice: Notice) -> Mail:
    expiry, at = notice.expiry, datetime.fromtimestamp(notice.expiry.expires_at_ns // SECOND_NS, UTC)
    name = "".join(each for each in expiry.name if each.isprintable())[:_NAME_LENGTH_MAX]
    what, subject = f'The API key "{name}"', "an API key"
    if expiry.kind != kinds.API_KEY:
        what = f'A certificate of an authority that namespace {expiry.of} trusts, "{name}",'
        subject = f"a certificate of {expiry.of}"
    text = (
        f"{what} ends on {at:%Y-%m-%d at %H:%M} UTC. Whoever connects with it is refused from then on.\n\n"
        f"Make a new one and put it in place before that. {links.sign_in}\n"
    )
    return Mail(email, f"In {notice.days} days or fewer ends {subject}", text)


_NOT_YOU = "If this was not you, have the password reset at once.\n"
