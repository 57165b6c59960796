"""Carriers of mail: SMTP, and for development whatever prints."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

import structlog

from perdure.kernel.clock import SECOND_NS, Clock
from perdure.kernel.mailer import Mail, MailError

_TIMEOUT_S = 20.0
#: Of answers that say that it is of no use to come back.
_FINAL_CODE = 500

_log = structlog.get_logger("perdure.mail")


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """`security` is `tls` from the first byte (port 465), `starttls` (587), or `none` for a relay on this machine."""

    host: str
    port: int = 587
    security: str = "starttls"
    user: str = ""
    password: str = ""


class SmtpMailer:
    """A connection for each mail, in a thread: there are few."""

    def __init__(self, server: SmtpServer, sender: str, clock: Clock) -> None:
        self._server = server
        self._sender = sender
        self._clock = clock

    async def send(self, mail: Mail) -> None:
        try:
            await asyncio.to_thread(self._deliver, self.message(mail))
        except (OSError, smtplib.SMTPException) as error:
            # What a server answers often quotes the address.
            code = _code_of(error)
            why = f"{type(error).__name__} {code or ''}".rstrip()
            raise MailError(f"the mail server did not take it: {why}", final=code >= _FINAL_CODE) from None

    def message(self, mail: Mail) -> EmailMessage:
        """Raises MailError: a header would have more than one line."""
        message = EmailMessage()
        try:
            message["From"], message["To"], message["Subject"] = self._sender, mail.to, mail.subject
        except ValueError:
            raise MailError("a header of the mail has a line break", final=True) from None
        message["Date"] = formatdate(self._clock.now_ns() // SECOND_NS)
        message["Message-ID"] = make_msgid(domain=self._sender.rpartition("@")[2].rstrip("> ") or "localhost")
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(mail.text)
        return message

    def _deliver(self, message: EmailMessage) -> None:
        server = self._server
        context = ssl.create_default_context()
        if server.security == "tls":
            client: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, timeout=_TIMEOUT_S, context=context)
        else:
            client = smtplib.SMTP(server.host, server.port, timeout=_TIMEOUT_S)
        with client:
            if server.security == "starttls":
                client.starttls(context=context)
            if server.user:
                client.login(server.user, server.password)
            client.send_message(message)


def _code_of(error: Exception) -> int:
    """What the server has answered, 0 if nothing."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return max((code for code, _ in error.recipients.values()), default=0)
    return error.smtp_code if isinstance(error, smtplib.SMTPResponseException) else 0


class PrintedMailer:
    """For development: whoever started the server reads it there."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write

    async def send(self, mail: Mail) -> None:
        self._write(f"\nMail to {mail.to}: {mail.subject}\n\n{mail.text}\n")


class NoMailer:
    """Where no mail server is set. What the mail says is nobody's business."""

    async def send(self, mail: Mail) -> None:
        _log.warning("no mail is sent: control_plane.mail is not set", subject=mail.subject)
