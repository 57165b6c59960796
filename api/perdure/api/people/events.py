"""Who has signed in, has failed to, or has left: the one place that whoever keeps a record of it is told from."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

import structlog

_log = structlog.get_logger("perdure.api")


class SignInEventKind(StrEnum):
    SIGNED_IN = "signed in"
    FAILED = "failed"
    SIGNED_OUT = "signed out"


class SignInEvent(NamedTuple):
    """`email` is what was typed if somebody failed. Nothing of it is secret, and strangers' addresses are in it."""

    kind: SignInEventKind
    at_ns: int
    email: str
    address: str
    user_agent: str = ""
    person_id: str = ""
    user_id: str = ""
    account_id: str = ""
    session_id: str = ""
    reason: str = ""
    connection_id: str = ""


#: It must neither wait nor raise.
Observer = Callable[[SignInEvent], None]


def logged(event: SignInEvent) -> None:
    """For whoever keeps no other record."""
    _log.info("sign-in", outcome=event.kind.value, person=event.person_id, account=event.account_id, why=event.reason)
