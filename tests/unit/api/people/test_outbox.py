"""Mails on their way."""

from __future__ import annotations

import pytest

from perdure.api.people import outbox as module
from perdure.api.people.outbox import Outbox
from perdure.kernel.mailer import Mail, MailError

MAIL = Mail("ann@example.com", "Hello", "a secret")


class Unreliable:
    """Raises what it is told, one after the other, and takes the mail then."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.tried = 0
        self.taken: list[Mail] = []

    async def send(self, mail: Mail) -> None:
        self.tried += 1
        if self.errors:
            raise self.errors.pop(0)
        self.taken.append(mail)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSES_S", (0, 0, 0))


async def sent(mailer: Unreliable, mails: int = 1) -> None:
    outbox = Outbox(mailer)
    outbox.start()
    for _ in range(mails):
        outbox.put(MAIL)
    await outbox.sent()
    await outbox.stop()


async def test_a_server_that_is_busy_is_asked_again() -> None:
    mailer = Unreliable(MailError("busy"), MailError("busy"))
    await sent(mailer)
    assert (mailer.tried, mailer.taken) == (3, [MAIL])


async def test_a_mail_that_nobody_takes_is_given_up() -> None:
    mailer = Unreliable(*(MailError("busy") for _ in range(4)))
    await sent(mailer)
    assert (mailer.tried, mailer.taken) == (4, [])
    mailer = Unreliable(MailError("never", final=True))
    await sent(mailer)
    assert (mailer.tried, mailer.taken) == (1, [])


async def test_a_defect_stops_no_other_mail() -> None:
    mailer = Unreliable(*(RuntimeError("defect") for _ in range(10)))
    await sent(mailer, mails=12)
    assert len(mailer.taken) == 2


async def test_they_are_not_too_many() -> None:
    outbox = Outbox(Unreliable())
    for _ in range(module._WAITING_MAX + 10):
        outbox.put(MAIL)
    assert outbox._queue.qsize() == module._WAITING_MAX
