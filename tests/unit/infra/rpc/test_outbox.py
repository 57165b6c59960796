"""How frames become messages."""

from __future__ import annotations

import asyncio

import pytest

from perdure.infra.rpc import outbox
from perdure.infra.rpc.frames import BATCH_BYTES_MAX, Call, Cancel, FromCaller
from perdure.infra.rpc.outbox import Outbox


def call(number: int, length: int = 0) -> Call:
    return Call(number, "/test", bytes(length))


async def test_what_comes_meanwhile_goes_together() -> None:
    frames = Outbox[FromCaller]()
    taking = asyncio.create_task(frames.take())
    await asyncio.sleep(0)
    assert not taking.done()
    frames.put(call(1))
    frames.put(Cancel(1))
    frames.put(call(2))
    assert await taking == [call(1), Cancel(1), call(2)]


async def test_messages_are_bounded_and_in_order() -> None:
    frames = Outbox[FromCaller]()
    lengths = [10, BATCH_BYTES_MAX * 3, 20, *[BATCH_BYTES_MAX // 4] * 6]
    for number, length in enumerate(lengths):
        frames.put(call(number, length))
    frames.close()
    messages = []
    while message := await frames.take():
        messages.append([frame.id for frame in message])
    assert messages == [[0], [1], [2, 3, 4, 5], [6, 7, 8]]


async def test_it_is_full_until_enough_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "WAITING_BYTES_MAX", 2 * BATCH_BYTES_MAX)
    frames = Outbox[FromCaller]()
    for number in range(3):
        frames.put(call(number, BATCH_BYTES_MAX))
    assert frames.full
    waiting = asyncio.create_task(frames.room())
    await frames.take()
    assert frames.full
    await frames.take()
    assert not frames.full
    await waiting


async def test_closing_wakes_whoever_takes() -> None:
    frames = Outbox[FromCaller]()
    taking = asyncio.create_task(frames.take())
    await asyncio.sleep(0)
    frames.close()
    assert await taking == []
