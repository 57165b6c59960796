"""The network of the simulator, in virtual time: what it is asked to break breaks."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

import pytest

from perdure.kernel.clock import VirtualClock
from perdure.kernel.transport import IncomingCall, PeerUnreachable
from tests.support import virtual_time
from tests.support.network import MemoryNetwork, Weather

ECHO = "/test/Echo"


async def echo(body: bytes, _: IncomingCall) -> bytes:
    return body


def run(main: Coroutine[Any, Any, None]) -> None:
    virtual_time.run(VirtualClock(), main)


def test_a_cut_lets_nothing_through_until_it_heals() -> None:
    async def main() -> None:
        network = MemoryNetwork(random.Random(0))
        network.serve("b", {ECHO: echo})
        network.cut("a", "b")
        with pytest.raises(PeerUnreachable) as caught:
            await network.transport("a").call("b", ECHO, b"", timeout_s=10)
        assert not caught.value.may_have_executed
        assert await network.transport("c").call("b", ECHO, b"others", timeout_s=10) == b"others"
        network.heal("a", "b")
        assert await network.transport("a").call("b", ECHO, b"healed", timeout_s=10) == b"healed"

    run(main())


def test_a_cut_under_a_call_is_noticed_and_leaves_doubt() -> None:
    async def main() -> None:
        network = MemoryNetwork(random.Random(0))
        ended = asyncio.Event()

        async def slow(body: bytes, _: IncomingCall) -> bytes:
            try:
                await asyncio.sleep(60)
            finally:
                ended.set()
            return body

        network.serve("b", {"/test/Slow": slow})
        call = asyncio.create_task(network.transport("a").call("b", "/test/Slow", b"", timeout_s=100))
        await asyncio.sleep(1)
        network.cut("b", "a")
        with pytest.raises(PeerUnreachable) as caught:
            await call
        assert caught.value.may_have_executed
        assert asyncio.get_running_loop().time() < 10
        await ended.wait()

    run(main())


def test_a_cut_that_heals_in_time_only_delays() -> None:
    async def main() -> None:
        network = MemoryNetwork(random.Random(0))

        async def slow(body: bytes, _: IncomingCall) -> bytes:
            await asyncio.sleep(2)
            return body

        network.serve("b", {"/test/Slow": slow})
        call = asyncio.create_task(network.transport("a").call("b", "/test/Slow", b"late", timeout_s=100))
        await asyncio.sleep(1)
        network.cut("a", "b")
        await asyncio.sleep(2)
        network.heal_all()
        assert await call == b"late"

    run(main())


def test_zombies_go_on() -> None:
    async def main() -> None:
        network = MemoryNetwork(random.Random(0))
        done = asyncio.Event()

        async def slow(body: bytes, _: IncomingCall) -> bytes:
            await asyncio.sleep(1)
            done.set()
            return body

        server = network.serve("b", {"/test/Slow": slow})
        call = asyncio.create_task(network.transport("a").call("b", "/test/Slow", b"", timeout_s=100))
        await asyncio.sleep(0.5)
        server.crash(zombie=True)
        with pytest.raises(PeerUnreachable):
            await call
        assert not done.is_set()
        await done.wait()

    run(main())


def test_weather_breaks_calls_before_and_after_they_are_served() -> None:
    async def main() -> None:
        network = MemoryNetwork(random.Random(0), Weather(0.001, 0.01, break_chance=0.5))
        served, answered, lost = 0, 0, 0

        async def count(body: bytes, _: IncomingCall) -> bytes:
            nonlocal served
            served += 1
            return body

        network.serve("b", {"/test/Count": count})
        for _ in range(400):
            try:
                await network.transport("a").call("b", "/test/Count", b"", timeout_s=10)
                answered += 1
            except PeerUnreachable as error:
                assert error.may_have_executed
                lost += 1
        assert 150 < lost < 250
        assert 50 < served - answered < 150
        assert asyncio.get_running_loop().time() > 1

    run(main())


def test_a_seed_says_it_all() -> None:
    def outcome(seed: int) -> list[bool]:
        results: list[bool] = []

        async def main() -> None:
            network = MemoryNetwork(random.Random(seed), Weather(0, 1, break_chance=0.3))
            network.serve("b", {ECHO: echo})
            calls = [network.transport("a").call("b", ECHO, b"", timeout_s=10) for _ in range(50)]
            results.extend(isinstance(each, bytes) for each in await asyncio.gather(*calls, return_exceptions=True))

        run(main())
        return results

    assert outcome(1) == outcome(1) != outcome(2)
