"""A TCP proxy that stands for a load balancer or a network, and can be cut."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from enum import Enum

_CHUNK = 64 * 1024


class Cut(Enum):
    """What a cut does to connections."""

    REFUSED = "they end, and new ones too"
    SILENT = "nothing goes through, and nobody is told"
    UNHEARD = "what callers say does not arrive, and nobody is told"
    UNANSWERED = "what callers are told does not arrive, and nobody is told"


class Proxy:
    """Passes each connection on to one of its backends, in turn; one that does not answer is left out."""

    def __init__(self, backends: Callable[[], Sequence[str]]) -> None:
        """`backends` are addresses, `host:port`, and may be others for each connection."""
        self._backends = backends
        self._turn = 0
        #: With the port of the caller of each.
        self._connections: dict[asyncio.Task[None], int] = {}
        self.address = ""
        self._cut = Cut.SILENT
        self._is_cut_off: Callable[[int], bool] = _everybody
        self._whole = asyncio.Event()
        self._whole.set()

    def cut(self, how: Cut = Cut.SILENT, of: Callable[[int], bool] | None = None) -> None:
        """From now on, `of` callers that are told from others by their ports."""
        self._cut, self._is_cut_off = how, of or _everybody
        self._whole.clear()
        if how is Cut.REFUSED:
            self._break(self._is_cut_off)

    def mend(self) -> None:
        """What was held back arrives, unless its connection was given up."""
        self._whole.set()

    def break_all(self) -> None:
        """End all connections."""
        self._break(_everybody)

    def _break(self, of: Callable[[int], bool]) -> None:
        for connection, port in self._connections.items():
            if of(port):
                connection.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        port = writer.get_extra_info("peername")[1]
        self._connections[task] = port
        try:
            if self._holds_back(port, Cut.REFUSED):
                return
            await self._passage(port, Cut.UNHEARD)
            backend = await self._connect()
            if backend is None:
                return
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pump(reader, backend[1], port, Cut.UNHEARD))
                    group.create_task(self._pump(backend[0], writer, port, Cut.UNANSWERED))
            finally:
                backend[1].close()
        except* (OSError, asyncio.CancelledError):
            # Broken by one end or by us: asyncio takes a cancelled connection for a defect.
            pass
        finally:
            del self._connections[task]
            writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        backends = self._backends()
        for offset in range(len(backends)):
            host, _, port = backends[(self._turn + offset) % len(backends)].rpartition(":")
            with contextlib.suppress(OSError):
                connected = await asyncio.open_connection(host, int(port))
                self._turn += offset + 1
                return connected
        return None

    async def _pump(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, port: int, direction: Cut
    ) -> None:
        while True:
            data = await source.read(_CHUNK)
            # The end of a connection is no louder than what is said on it.
            await self._passage(port, direction)
            if not data:
                # Half-closed connections are nothing that gRPC knows.
                raise ConnectionResetError
            target.write(data)
            await target.drain()

    async def _passage(self, port: int, direction: Cut) -> None:
        while self._holds_back(port, direction) or self._holds_back(port, Cut.SILENT):
            await self._whole.wait()

    def _holds_back(self, port: int, how: Cut) -> bool:
        return not self._whole.is_set() and self._cut is how and self._is_cut_off(port)


def _everybody(_: int) -> bool:
    return True


@asynccontextmanager
async def proxy(backends: Callable[[], Sequence[str]], port: int = 0) -> AsyncIterator[Proxy]:
    """A proxy that listens while the block runs, on any port if none is given."""
    made = Proxy(backends)
    server = await asyncio.start_server(made._serve, "127.0.0.1", port)
    made.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
        made.break_all()
