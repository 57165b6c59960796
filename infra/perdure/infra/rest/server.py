"""An HTTP server for ASGI applications in the process's own event loop: uvicorn, which here neither takes signals nor
configures logs, believes no proxy's headers and writes no access log. TLS is made elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections import Counter
from collections.abc import Iterator
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from perdure.infra.rest.addresses import place_of
from perdure.infra.rest.application import HEADERS_BYTES_MAX
from perdure.infra.rest.listening import listen
from perdure.kernel.transcoding.routes import TARGET_BYTES_MAX

HEAD_BYTES_MAX = HEADERS_BYTES_MAX + 2 * TARGET_BYTES_MAX
CONNECTIONS_MAX = 1024
#: A proxy of all clients has to do with these.
CONNECTIONS_PER_ADDRESS_MAX = CONNECTIONS_MAX // 2
KEEP_ALIVE_S = 30
READ_S_MAX = 60.0
#: Clients have so long to take what is ready for them, or this many bytes of it.
TAKE_S_MAX = 60.0
TAKEN_BYTES_MIN = 64 * 1024
#: Headers of which one says where a request ends.
_LENGTHS = {b"content-length", b"transfer-encoding"}
GRACE_S = 5


class _Protocol(H11Protocol):
    """Closes connections whose next request is not there, body included, `READ_S_MAX` seconds after it began: who sends
    a byte now and then would hold a connection for ever. Between requests the time for keeping alive counts. Who does
    not take his answers, see `TAKE_S_MAX`, is not waited for either, not even by a connection that is being closed.
    """

    config: _Config
    _reading: asyncio.TimerHandle | None = None
    _taking: asyncio.TimerHandle | None = None
    _place = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._place = place_of(self.client[0]) if self.client else ""
        self.config.connections[self._place] += 1
        if self.config.connections[self._place] > self.config.connections_per_address_max:
            transport.abort()
        self._watch()

    def handle_events(self) -> None:
        # Of what was received just now, or with the request before and is taken up when that is answered.
        super().handle_events()
        if self.cycle is not None and {name for name, _ in self.headers} >= _LENGTHS:
            # Others may see its end elsewhere, and then what follows is no request of this client's (RFC 9112, 6.3).
            self.cycle.keep_alive = False
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        self._unwatch_taking()
        self.config.connections[self._place] -= 1
        if not self.config.connections[self._place]:
            del self.config.connections[self._place]
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch_taking()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_taking()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._watch_taking()

    def _watch(self) -> None:
        between_requests = self.timeout_keep_alive_task is not None
        if between_requests or self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._unwatch()
        elif self._reading is None:
            self._reading = self.loop.call_later(READ_S_MAX, self.transport.close)

    def _unwatch(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _watch_taking(self) -> None:
        self._unwatch_taking()
        if left := self.transport.get_write_buffer_size():
            self._taking = self.loop.call_later(TAKE_S_MAX, self._look, left)

    def _look(self, before: int) -> None:
        if self.transport.get_write_buffer_size() > max(before - TAKEN_BYTES_MIN, 0):
            self.transport.abort()
        else:
            self._watch_taking()

    def _unwatch_taking(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None


class AsgiServer:
    """Serves one application. Stops gracefully: requests in flight are answered, for `grace_s` seconds."""

    def __init__(
        self,
        application: Any,
        *,
        tls: ssl.SSLContext | None = None,
        grace_s: int = GRACE_S,
        connections_max: int = CONNECTIONS_MAX,
        connections_per_address_max: int = CONNECTIONS_PER_ADDRESS_MAX,
    ) -> None:
        """Without `tls` what is said can be heard by everybody on the way."""
        self._server = _Server(
            _Config(
                tls,
                connections_per_address_max,
                application,
                http=_Protocol,  # on h11: the faster parser has no limit for the size of headers
                h11_max_incomplete_event_size=HEAD_BYTES_MAX,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                # asyncio reads on in the context of whichever request has paused it: the next one would begin in that.
                reset_contextvars=True,
                limit_concurrency=connections_max,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=grace_s,
            )
        )
        self._serving: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> int:
        """Serve, and say on which port (0 means any).

        Raises:
            OSError: the address cannot be had.
        """
        listener = listen(host, port)
        bound: int = listener.getsockname()[1]
        self.serve(listener)
        return bound

    def serve(self, listener: socket.socket) -> None:
        """Serve whoever connects to it, as soon as the loop comes to that."""
        self._serving = asyncio.ensure_future(self._server.serve([listener]))

    @property
    def background(self) -> list[asyncio.Task[None]]:
        """What runs until `stop`."""
        return [self._serving] if self._serving else []

    async def stop(self) -> None:
        if self._serving is None:
            return
        self._server.should_exit = True
        await self._serving
        self._serving = None


class _Config(uvicorn.Config):
    """With a context that is there already; uvicorn would make one that knows its files' first content for ever. And
    with what all connections share.
    """

    def __init__(
        self, tls: ssl.SSLContext | None, connections_per_address_max: int, application: Any, **options: Any
    ) -> None:
        super().__init__(application, **options)
        self._tls = tls
        self.connections_per_address_max = connections_per_address_max
        #: By address.
        self.connections: Counter[str] = Counter()

    def load(self) -> None:
        super().load()
        self.ssl = self._tls


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the process's business."""
        yield
