"""Mails on their way. Nobody waits for one: how long an answer takes must not tell whether something was mailed.

They are in memory only, since they hold secrets that are kept nowhere else. One that is lost when a process dies is
asked for again by whoever waits for it.
"""

from __future__ import annotations

import asyncio

import structlog

from perdure.kernel.mailer import Mail, Mailer, MailError

_WAITING_MAX = 1000
#: A server that is slow with one mail does not keep all others waiting.
_AT_ONCE = 4
#: Before another try.
_PAUSES_S = (1.0, 10.0, 60.0)

_log = structlog.get_logger("perdure.api")


class Outbox:
    """`start` and `stop` are each called once."""

    def __init__(self, mailer: Mailer) -> None:
        self._mailer = mailer
        self._queue: asyncio.Queue[Mail] = asyncio.Queue(_WAITING_MAX)
        #: What runs until `stop`.
        self.background: list[asyncio.Task[None]] = []

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self.background = [loop.create_task(self._run(), name=f"outbox-{number}") for number in range(_AT_ONCE)]

    async def stop(self) -> None:
        """What has not been sent is lost."""
        for task in self.background:
            task.cancel()
        await asyncio.gather(*self.background, return_exceptions=True)

    def put(self, mail: Mail) -> None:
        try:
            self._queue.put_nowait(mail)
        except asyncio.QueueFull:
            _log.warning("a mail is dropped: too many are waiting", subject=mail.subject)

    async def sent(self) -> None:
        """Return when all that has been put in is sent, or given up."""
        await self._queue.join()

    async def _run(self) -> None:
        while True:
            mail = await self._queue.get()
            try:
                await self._send(mail)
            except Exception:
                # Whatever it is: without this loop no mail would be sent any more.
                _log.exception("a mail is not sent", subject=mail.subject)
            finally:
                self._queue.task_done()

    async def _send(self, mail: Mail) -> None:
        for pause_s in (*_PAUSES_S, None):
            try:
                return await self._mailer.send(mail)
            except MailError as error:
                again = pause_s is not None and not error.final
                _log.warning("a mail is not sent", subject=mail.subject, error=str(error), again=again)
                if pause_s is None or error.final:
                    return None
            await asyncio.sleep(pause_s)
