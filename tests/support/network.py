"""Processes that call each other within one event loop, over a network that is as bad as the test wants it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection, Mapping
from contextvars import Context
from dataclasses import dataclass
from typing import Any

from perdure.infra.rpc.dispatch import Dispatcher
from perdure.infra.rpc.failures import to_exception
from perdure.infra.rpc.frames import Answer, Call, Failed, decode_from_caller, decode_from_server, encode
from perdure.infra.rpc.link import ANSWER_MARGIN_S, CONNECT_S_MAX
from perdure.kernel.errors import DeadlineExceeded
from perdure.kernel.transport import Handler, PeerUnreachable, with_trace

#: How long a connection may be silent before it is given up.
SILENCE_S_MAX = 2.5


@dataclass(frozen=True, slots=True)
class Weather:
    """What happens by itself: delays each way, in seconds, and the chance of a call that its connection breaks."""

    delay_s_min: float = 0.0
    delay_s_max: float = 0.0
    break_chance: float = 0.0


class MemoryServer:
    """One process as others see it."""

    def __init__(
        self,
        network: MemoryNetwork,
        address: str,
        dispatcher: Dispatcher,
        interruptible: frozenset[str],
        context: Context | None,
    ) -> None:
        self._network = network
        self.address = address
        self.context = context
        self.dispatcher = dispatcher
        self.interruptible = interruptible
        self.draining = False
        #: A dict, whose order does not change from run to run.
        self.visits: dict[_Visit, None] = {}

    def drain(self) -> None:
        """As `InternalServer.drain`."""
        self.draining = True
        for visit in list(self.visits):
            if visit.call.path in self.interruptible:
                visit.end("it is stopping", may_have_executed=False)

    async def stop(self) -> None:
        """As `InternalServer.stop`, with all the time in the world."""
        self.drain()
        while self.visits:
            await asyncio.wait([visit.serving for visit in self.visits])
            await asyncio.sleep(0)
        self._network.servers.pop(self.address, None)

    def crash(self, *, zombie: bool = False) -> None:
        """Be gone at once. What a zombie was doing it goes on doing, though nobody will hear of it."""
        self._network.servers.pop(self.address, None)
        for visit in list(self.visits):
            visit.end("the connection was reset", may_have_executed=True, zombie=zombie)


class _Visit:
    """A call that has reached its server."""

    def __init__(self, caller: str, server: MemoryServer, call: Call) -> None:
        self.caller = caller
        self.call = call
        self._server = server
        loop = asyncio.get_running_loop()
        self.broken: asyncio.Future[None] = loop.create_future()
        context = server.context.copy() if server.context is not None else None
        self.serving = loop.create_task(server.dispatcher.answer(call), context=context)
        server.visits[self] = None
        # The server's business, whoever of the two lives longer.
        self.serving.add_done_callback(lambda _: server.visits.pop(self, None), context=server.context)

    async def answer(self) -> Answer | Failed:
        ends: list[asyncio.Future[Any]] = [self.serving, self.broken]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if self.broken.done():
            self.broken.result()
        return self.serving.result()

    def end(self, reason: str, *, may_have_executed: bool, zombie: bool = False) -> None:
        if not self.broken.done():
            self.broken.set_exception(
                PeerUnreachable(self._server.address, reason, may_have_executed=may_have_executed)
            )
            # It may be that nobody waits any more.
            self.broken.exception()
        self._server.visits.pop(self, None)
        if not zombie:
            self.serving.cancel()


class MemoryNetwork:
    """All that happens by chance is drawn from `chance`."""

    def __init__(self, chance: random.Random, weather: Weather | None = None) -> None:
        self._chance = chance
        self.weather = weather or Weather()
        self.servers: dict[str, MemoryServer] = {}
        #: Pairs of addresses that cannot hear each other, and what is set when they can again.
        self._cuts: dict[frozenset[str], asyncio.Event] = {}
        self._last_id = 0

    def serve(
        self,
        address: str,
        handlers: Mapping[str, Handler],
        *,
        interruptible: Collection[str] = (),
        context: Context | None = None,
    ) -> MemoryServer:
        """Have a process listen. It serves in copies of `context`, if one is given."""
        assert address not in self.servers, "the port is in use"
        self.servers[address] = MemoryServer(self, address, Dispatcher(handlers), frozenset(interruptible), context)
        return self.servers[address]

    def transport(self, address: str) -> MemoryTransport:
        """How the process at `address` calls others."""
        return MemoryTransport(self, address)

    def hang_up(self, caller: str) -> None:
        """A process is gone: nobody waits for what it asked others."""
        for server in self.servers.values():
            for visit in [visit for visit in server.visits if visit.caller == caller]:
                visit.end("the caller is gone", may_have_executed=True)

    def cut(self, one: str, other: str) -> None:
        """From now on nothing gets through between them, and nobody is told."""
        pair = frozenset((one, other))
        if pair not in self._cuts:
            healed = self._cuts[pair] = asyncio.Event()
            asyncio.get_running_loop().call_later(SILENCE_S_MAX, self._notice, pair, healed)

    def heal(self, one: str, other: str) -> None:
        healed = self._cuts.pop(frozenset((one, other)), None)
        if healed is not None:
            healed.set()

    def heal_all(self) -> None:
        for pair in list(self._cuts):
            self.heal(*pair)

    def _notice(self, pair: frozenset[str], healed: asyncio.Event) -> None:
        if healed.is_set():
            return
        for server in list(self.servers.values()):
            for visit in list(server.visits):
                if frozenset((visit.caller, server.address)) == pair:
                    visit.end("the connection was silent", may_have_executed=True)

    async def carry(self, caller: str, address: str, call: Call) -> Answer | Failed:
        """One call, there and back."""
        if not await self._passage(caller, address, CONNECT_S_MAX):
            raise PeerUnreachable(address, "no connection", may_have_executed=False)
        await self._delay()
        server = self.servers.get(address)
        if server is None or server.draining:
            raise PeerUnreachable(address, "connection refused", may_have_executed=False)
        breaks = self._chance.random() < self.weather.break_chance
        if breaks and self._chance.random() < 0.5:
            raise PeerUnreachable(address, "the connection broke", may_have_executed=True)
        (received,) = decode_from_caller(encode([call]))
        assert isinstance(received, Call)
        visit = _Visit(caller, server, received)
        try:
            answer = await visit.answer()
        except asyncio.CancelledError:
            visit.end("nobody waits", may_have_executed=True)
            raise
        await self._delay()
        if breaks or not await self._passage(caller, address, SILENCE_S_MAX):
            raise PeerUnreachable(address, "the connection broke", may_have_executed=True)
        (sent,) = decode_from_server(encode([answer]))
        assert isinstance(sent, Answer | Failed)
        return sent

    def call_id(self) -> int:
        self._last_id += 1
        return self._last_id

    async def _delay(self) -> None:
        await asyncio.sleep(self._chance.uniform(self.weather.delay_s_min, self.weather.delay_s_max))

    async def _passage(self, one: str, other: str, patience_s: float) -> bool:
        healed = self._cuts.get(frozenset((one, other)))
        if healed is None:
            return True
        try:
            async with asyncio.timeout(patience_s):
                await healed.wait()
        except TimeoutError:
            return False
        return True


class MemoryTransport:
    """Implements `perdure.kernel.transport.Transport`."""

    def __init__(self, network: MemoryNetwork, address: str) -> None:
        self._network = network
        self._address = address

    async def call(
        self,
        address: str,
        path: str,
        body: bytes,
        *,
        timeout_s: float | None,
        metadata: Mapping[str, str] | None = None,
    ) -> bytes:
        """See `Transport.call`."""
        timeout_ms = None if timeout_s is None else max(int(timeout_s * 1000), 0)
        metadata = with_trace(metadata)
        call = Call(self._network.call_id(), path, body, timeout_ms, dict(metadata) if metadata else None)
        try:
            async with asyncio.timeout(None if timeout_s is None else timeout_s + ANSWER_MARGIN_S):
                answer = await self._network.carry(self._address, address, call)
        except TimeoutError:
            raise DeadlineExceeded("The call was not answered in time.") from None
        if isinstance(answer, Failed):
            raise to_exception(answer.failure)
        return answer.body
