"""The tables of people: logins, sessions, mailed tickets, failed attempts. See `perdure.api.people`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from perdure.api.data.tables import Base


class PersonRow(Base):
    """A login. `email` is verified; whatever users there are of this address, in any account, are this person.

    `mfa_secret` is empty without a second factor, `mfa_pending` is one that is not confirmed yet; both are sealed.
    `mfa_step` is the time step of the last code that was used: neither it nor an older one is good again.
    """

    __tablename__ = "people"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    password_hash: Mapped[str] = mapped_column(String(256))
    mfa_secret: Mapped[str] = mapped_column(String(256), default="")
    mfa_pending: Mapped[str] = mapped_column(String(256), default="")
    mfa_step: Mapped[int] = mapped_column(default=0)
    last_account_id: Mapped[str] = mapped_column(String(16), default="")
    created_at_ns: Mapped[int]


class RecoveryCodeRow(Base):
    """A code that has not been used. Codes are as long as keys, so a plain hash tells nothing of one."""

    __tablename__ = "recovery_codes"

    person_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    code_hash: Mapped[bytes] = mapped_column(primary_key=True)


class SessionRow(Base):
    """A person, signed in as a user of an account. It ends at `expires_at_ns`, and earlier if it is not used.

    Whoever came by the account's own identity provider has a `connection_id` and is no person.
    """

    __tablename__ = "sessions"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    person_id: Mapped[str] = mapped_column(String(64), index=True)
    user_id: Mapped[str] = mapped_column(String(128), index=True)
    account_id: Mapped[str] = mapped_column(String(16), index=True)
    secret_hash: Mapped[bytes]
    scope: Mapped[str] = mapped_column(String(16))
    address: Mapped[str] = mapped_column(String(64))
    user_agent: Mapped[str] = mapped_column(String(256))
    created_at_ns: Mapped[int]
    used_at_ns: Mapped[int]
    expires_at_ns: Mapped[int] = mapped_column(index=True)
    connection_id: Mapped[str] = mapped_column(String(128), default="", index=True)


class SignOnFlowRow(Base):
    """Somebody's way to an identity provider and back. His browser has the secret whose hash this is, and with it all
    else that is secret about it. See `perdure.api.sign_on.flows`.

    `edition` is the connection's, `request_id` the sign-in that waits for it; without one it is a test.
    """

    __tablename__ = "sign_on_flows"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    connection_id: Mapped[str] = mapped_column(String(128), index=True)
    edition: Mapped[int] = mapped_column("version")
    request_id: Mapped[str] = mapped_column(String(64), default="")
    secret_hash: Mapped[bytes]
    expires_at_ns: Mapped[int] = mapped_column(index=True)


class TicketRow(Base):
    """What a mailed link stands for. It is used once; `subject` is what it is about, and there is one for each subject
    and purpose at most.
    """

    __tablename__ = "tickets"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    purpose: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str] = mapped_column(String(254), index=True)
    secret_hash: Mapped[bytes]
    details: Mapped[dict[str, Any]]
    expires_at_ns: Mapped[int] = mapped_column(index=True)


class AttemptRow(Base):
    """How often something was tried lately, and from when on it may be again. See `perdure.api.people.attempts`."""

    __tablename__ = "attempts"

    key: Mapped[str] = mapped_column(String(128), primary_key=True)
    failures: Mapped[int] = mapped_column(default=0)
    open_at_ns: Mapped[int] = mapped_column(default=0)
    succeeded_at_ns: Mapped[int] = mapped_column(default=0)
    changed_at_ns: Mapped[int] = mapped_column(index=True)


class CredentialUseRow(Base):
    """When an API key was last used, within some minutes."""

    __tablename__ = "credential_uses"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    used_at_ns: Mapped[int]


class PendingSignInRow(Base):
    """A program without credentials waits for somebody to sign in for it. See `perdure.api.people.pending`.

    `account_id` is the one that is asked for, and the one that was signed in to once it is approved. `person_id` has
    shown his password, and with `is_proven` all that there is to show; `password_digest` tells whether it has been
    changed since. With a `connection_id` somebody else vouches for the user, and there need be no person.
    """

    __tablename__ = "pending_sign_ins"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    state: Mapped[str] = mapped_column(String(16))
    client_name: Mapped[str] = mapped_column(String(64))
    address: Mapped[str] = mapped_column(String(64), index=True)
    user_agent: Mapped[str] = mapped_column(String(256))
    code_challenge: Mapped[str] = mapped_column(String(64))
    redirect_uri: Mapped[str] = mapped_column(String(256))
    return_state: Mapped[str] = mapped_column(String(256))
    user_code: Mapped[str | None] = mapped_column(String(16), unique=True)
    account_id: Mapped[str] = mapped_column(String(16))
    #: Of the one browser that goes on with it; empty as long as there is none.
    browser_hash: Mapped[bytes] = mapped_column(default=b"")
    person_id: Mapped[str] = mapped_column(String(64), default="")
    password_digest: Mapped[bytes] = mapped_column(default=b"")
    is_proven: Mapped[bool] = mapped_column(default=False)
    user_id: Mapped[str] = mapped_column(String(128), default="")
    connection_id: Mapped[str] = mapped_column(String(128), default="")
    code_hash: Mapped[bytes] = mapped_column(default=b"")
    #: Which it was exchanged for.
    session_id: Mapped[str] = mapped_column(String(64), default="")
    interval_s: Mapped[int]
    polled_at_ns: Mapped[int] = mapped_column(default=0)
    created_at_ns: Mapped[int]
    expires_at_ns: Mapped[int] = mapped_column(index=True)
