"""The calling side of the internal transport: one link per peer, made when it is needed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import grpc.aio

from perdure.infra.rpc.frames import MESSAGE_BYTES_MAX
from perdure.infra.rpc.link import Link
from perdure.infra.rpc.tls import TlsFiles
from perdure.kernel.transport import PeerUnreachable, with_trace

#: An address that nobody has called for this long is one of a process that has gone, more often than not.
IDLE_S_MAX = 60.0
#: After a connection has failed, how long calls fail at once instead of trying again.
RECONNECT_PAUSE_S = 0.1
#: A peer that is silent for this long is asked for a sign of life, and given up without one.
PING_AFTER_MS, PING_TIMEOUT_MS = 1_000, 1_500

_OPTIONS = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_time_ms", PING_AFTER_MS),
    ("grpc.keepalive_timeout_ms", PING_TIMEOUT_MS),
    # grpc pings by itself, too, to estimate bandwidth. While such a ping is under way it sends no other, and without
    # this it would wait for the answer for a minute.
    ("grpc.http2.ping_timeout_ms", PING_TIMEOUT_MS),
    ("grpc.http2.max_pings_without_data", 0),
    # A link tries once, with a connection of its own: when to try again is decided here.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
    # Peers are named by their addresses; a proxy for the way out is none for the way in between.
    ("grpc.enable_http_proxy", 0),
)


class Channels:
    """Implements `perdure.kernel.transport.Transport` over gRPC."""

    def __init__(self, *, tls: TlsFiles | None = None, idle_s_max: float = IDLE_S_MAX) -> None:
        """Raises OSError if a TLS file cannot be read."""
        self._credentials = tls.channel() if tls else None
        self._options = _OPTIONS + ((("grpc.ssl_target_name_override", tls.server_name),) if tls else ())
        self._idle_s_max = idle_s_max
        self._loop = asyncio.get_running_loop()
        #: Links that calls can be made on, by address.
        self._links: dict[str, Link] = {}
        #: Those, and others that wait for their last answers.
        self._open: set[Link] = set()
        #: Address -> until when it is not tried again, and why it failed.
        self._failed: dict[str, tuple[float, str]] = {}
        self._sweeping: asyncio.TimerHandle | None = None
        self._closed = False

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
        link = self._links.get(address) or self._connect(address)
        link.used_at_s = self._loop.time()
        return await link.call(path, body, timeout_s, with_trace(metadata))

    @property
    def links(self) -> int:
        """Peers that calls can be made to now."""
        return len(self._links)

    @property
    def in_flight(self) -> int:
        """Calls that wait for their answers."""
        return sum(link.in_flight for link in self._open)

    async def close(self) -> None:
        """Close all links; calls in flight fail with PeerUnreachable."""
        self._closed = True
        if self._sweeping is not None:
            self._sweeping.cancel()
        for link in list(self._open):
            await link.close()

    def _connect(self, address: str) -> Link:
        until_s, reason = self._failed.get(address, (0.0, ""))
        if self._closed:
            reason = "this process is stopping"
        if self._closed or self._loop.time() < until_s:
            raise PeerUnreachable(address, reason, may_have_executed=False)
        if self._credentials is None:
            channel = grpc.aio.insecure_channel(address, options=self._options)
        else:
            channel = grpc.aio.secure_channel(address, self._credentials, options=self._options)
        link = self._links[address] = Link(address, channel, self._lost)
        self._open.add(link)
        link.running.add_done_callback(lambda _: self._open.discard(link))
        if self._sweeping is None:
            self._sweeping = self._loop.call_later(self._idle_s_max, self._sweep)
        return link

    def _lost(self, link: Link, reason: str) -> None:
        del self._links[link.address]
        if reason:
            self._failed[link.address] = (self._loop.time() + RECONNECT_PAUSE_S, reason)

    def _sweep(self) -> None:
        now_s = self._loop.time()
        for address, (until_s, _) in list(self._failed.items()):
            if until_s <= now_s:
                del self._failed[address]
        for link in list(self._links.values()):
            if link.idle and now_s - link.used_at_s >= self._idle_s_max:
                link.leave()
        again = bool(self._links or self._failed)
        self._sweeping = self._loop.call_later(self._idle_s_max, self._sweep) if again else None
