"""Mail to people, by whatever carries it."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Mail(NamedTuple):
    """Plain text to one address. It may hold a secret: nobody logs `text`, or where it goes, but for development."""

    to: str
    subject: str
    text: str


class MailError(Exception):
    """It has not been taken. The message says nothing of what was in it; `final` is whether trying again is in vain."""

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


class Mailer(Protocol):
    async def send(self, mail: Mail) -> None:
        """Return once somebody else has taken it on.

        Raises:
            MailError: it has not been taken.
        """
        ...
