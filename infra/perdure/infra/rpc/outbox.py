"""Frames that wait to be written to one peer."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

from perdure.infra.rpc.frames import BATCH_BYTES_MAX, FromCaller, FromServer, size, split

#: Beyond this the other side has to read first.
WAITING_BYTES_MAX = 256 * 1024 * 1024

F = TypeVar("F", FromCaller, FromServer)


class Outbox(Generic[F]):
    """Frames that come while a message is being written are collected for the next: nobody waits for company."""

    def __init__(self) -> None:
        self._frames: list[F] = []
        self._bytes = 0
        self._some = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._closed = False

    @property
    def full(self) -> bool:
        return self._bytes > WAITING_BYTES_MAX

    def put(self, frame: F) -> None:
        """Never blocks: see `full` and `room`."""
        self._frames.append(frame)
        self._bytes += size(frame)
        self._some.set()
        if self.full:
            self._room.clear()

    async def room(self) -> None:
        """Wait until it is not full."""
        await self._room.wait()

    def close(self) -> None:
        """Nothing will be put any more."""
        self._closed = True
        self._some.set()

    async def take(self) -> list[F]:
        """Wait for frames, and take as many as go into one message; none if it is closed and all have been taken."""
        await self._some.wait()
        frames, self._frames = self._frames, []
        if self._bytes <= BATCH_BYTES_MAX:
            self._bytes = 0
        else:
            number = split(frames)
            frames, self._frames = frames[:number], frames[number:]
            self._bytes = sum(map(size, self._frames))
        if not self._frames and not self._closed:
            self._some.clear()
        if not self.full:
            self._room.set()
        return frames
