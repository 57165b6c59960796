"""Carriers of mail."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from perdure.infra.mail import NoMailer, PrintedMailer, SmtpMailer, SmtpServer
from perdure.kernel.clock import VirtualClock
from perdure.kernel.mailer import Mail, MailError

MAIL = Mail("ann@example.com", "Hello", "Grüße\n\n.\nsecret-ticket\n")


class FakeServer:
    """As much of SMTP as a client needs to hand over a mail."""

    def __init__(self, refusing: str = "") -> None:
        self.refusing = refusing
        self.lines: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        while line := (await reader.readline()).decode().rstrip("\r\n"):
            self.lines.append(line)
            verb = line.split()[0].upper()
            if verb == self.refusing:
                writer.write(f"550 no such person {MAIL.to}\r\n".encode())
            elif verb == "DATA":
                writer.write(b"354 go on\r\n")
                await self._take(reader)
                writer.write(b"250 taken\r\n")
            elif verb == "QUIT":
                writer.write(b"221 bye\r\n")
                break
            else:
                writer.write(b"250 fine\r\n")
            await writer.drain()
        writer.close()

    async def _take(self, reader: asyncio.StreamReader) -> None:
        while (line := (await reader.readline()).decode().rstrip("\r\n")) != ".":
            self.lines.append(line)


async def deliver(server: FakeServer, mail: Mail = MAIL) -> None:
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    try:
        settings = SmtpServer("127.0.0.1", port, "none")
        await SmtpMailer(settings, "Perdure <no-reply@example.com>", VirtualClock()).send(mail)
    finally:
        listening.close()


async def test_a_mail_is_handed_over() -> None:
    server = FakeServer()
    await deliver(server)
    text = "\n".join(server.lines)
    for part in (
        "From: Perdure <no-reply@example.com>",
        "To: ann@example.com",
        "Subject: Hello",
        "Date: Tue, 14 Nov 2023 22:13:20 -0000",
        "Auto-Submitted: auto-generated",
    ):
        assert part in text


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA"])
async def test_a_server_that_refuses_it_is_said_without_what_it_says(verb: str) -> None:
    with pytest.raises(MailError) as refused:
        await deliver(FakeServer(verb))
    assert "ann@" not in str(refused.value)
    assert "ticket" not in str(refused.value)


async def test_a_server_that_is_not_there() -> None:
    with pytest.raises(MailError, match="ConnectionRefusedError"):
        await SmtpMailer(SmtpServer("127.0.0.1", 1, "none"), "p@example.com", VirtualClock()).send(MAIL)


@pytest.mark.parametrize(
    "mail",
    [
        MAIL._replace(to="ann@example.com\r\nBcc: all@example.com"),
        MAIL._replace(subject="Hello\nBcc: all@example.com"),
    ],
)
async def test_a_header_is_one_line(mail: Mail) -> None:
    server = FakeServer()
    with pytest.raises(MailError, match="line break"):
        await deliver(server, mail)
    assert not server.lines


async def test_for_development_it_is_printed() -> None:
    printed: list[Any] = []
    await PrintedMailer(printed.append).send(MAIL)
    assert MAIL.text in printed[0]


async def test_without_a_server_nothing_of_it_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    await NoMailer().send(MAIL)
    told = "".join(capfd.readouterr())
    assert "control_plane.mail" in told
    assert "ticket" not in told
    assert "ann@" not in told
