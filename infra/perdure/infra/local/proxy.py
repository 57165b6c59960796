"""A TCP proxy that stands for a load balancer or a network, and can be cut."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

_CHUNK = 64 * 1024


class Proxy:
    """Passes each connection on to one of its backends, in turn; one that does not answer is left out."""

    def __init__(self, backends: Callable[[], Sequence[str]]) -> None:
        """`backends` are addresses, `host:port`, and may be others for each connection."""
        self._backends = backends
        self._turn = 0
        self._connections: set[asyncio.Task[None]] = set()
        self.address = ""
        self._flowing = asyncio.Event()
        self._flowing.set()

    def cut(self) -> None:
        """Nothing goes through from now on, and nobody is told."""
        self._flowing.clear()

    def mend(self) -> None:
        self._flowing.set()

    def break_all(self) -> None:
        """End all connections."""
        for connection in self._connections:
            connection.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._flowing.wait()
            backend = await self._connect()
            if backend is None:
                return
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pump(reader, backend[1]))
                    group.create_task(self._pump(backend[0], writer))
            finally:
                backend[1].close()
        except* (OSError, asyncio.CancelledError):
            # Broken by one end or by us: asyncio takes a cancelled connection for a defect.
            pass
        finally:
            self._connections.discard(task)
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

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(_CHUNK):
            await self._flowing.wait()
            target.write(data)
            await target.drain()
        # Half-closed connections are nothing that gRPC knows.
        raise ConnectionResetError


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
