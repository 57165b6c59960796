"""Point reads that are asked for while another is under way go together in the next statement."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from perdure.kernel.persistence.executions import DamagedRecord, DataRefused

Q = TypeVar("Q")
A = TypeVar("A")

#: Questions in one statement.
GATHERED_MAX = 100


class Gathering(Generic[Q, A]):
    """Answers questions, many with one read. `read` returns an answer, or an error, for each question, in order.

    At most `limit` reads are under way at a time. When one fails because of one of the questions, each is asked again
    alone.
    """

    def __init__(self, read: Callable[[Sequence[Q]], Awaitable[Sequence[A | Exception]]], limit: int) -> None:
        self._read = read
        self._limit = limit
        self._waiting: list[tuple[Q, asyncio.Future[A]]] = []
        self._readers: set[asyncio.Task[None]] = set()

    async def ask(self, question: Q) -> A:
        """The answer. It sees everything that was committed before the question was asked.

        Raises whatever the read raises, or has for an answer.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[A] = loop.create_future()
        self._waiting.append((question, answer))
        if len(self._readers) < self._limit:
            reader = loop.create_task(self._read_all())
            self._readers.add(reader)
            reader.add_done_callback(self._readers.discard)
        return await answer

    async def _read_all(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:GATHERED_MAX], self._waiting[GATHERED_MAX:]
            found = await self._answers([question for question, _ in batch])
            for (_, answer), result in zip(batch, found, strict=True):
                if answer.done():
                    continue
                if isinstance(result, Exception):
                    answer.set_exception(result)
                else:
                    answer.set_result(result)

    async def _answers(self, questions: Sequence[Q]) -> Sequence[A | Exception]:
        try:
            return await self._read(questions)
        except Exception as error:
            if len(questions) > 1 and isinstance(error, DamagedRecord | DataRefused):
                return [(await self._answers([question]))[0] for question in questions]
            return [error] * len(questions)
