"""The calling side of one stream: calls out, answers in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

import grpc
import grpc.aio
import msgspec
from temporalio.api.enums.v1 import ResourceExhaustedCause, ResourceExhaustedScope

from perdure.infra.rpc.failures import to_exception
from perdure.infra.rpc.frames import (
    BODY_BYTES_MAX,
    LINK_PATH,
    Answer,
    Call,
    Cancel,
    Failed,
    FromCaller,
    FromServer,
    Goodbye,
    Hello,
    decode_from_server,
    encode,
)
from perdure.infra.rpc.outbox import Outbox
from perdure.kernel.errors import DeadlineExceeded, ResourceExhausted
from perdure.kernel.transport import PeerUnreachable

#: How long a peer may take to accept a connection.
CONNECT_S_MAX = 2.0
#: How much longer than the caller's deadline an answer is waited for, so that the handler can say what was not in time.
ANSWER_MARGIN_S = 0.5
#: Calls of one process that another can be busy with; each poll that is held is one.
CALLS_MAX = 100_000

_Stream = grpc.aio.StreamStreamCall[bytes, bytes]


class Link:
    """A connection to one peer, from its opening to its end; it is not opened again.

    `lost` is called as soon as no more calls can be made on it, with why if another connection would do no better now.
    """

    def __init__(self, address: str, channel: grpc.aio.Channel, lost: Callable[[Link, str], None]) -> None:
        self.address = address
        self._channel = channel
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self.used_at_s = self._loop.time()
        self._outbox: Outbox[FromCaller] = Outbox()
        self._pending: dict[int, asyncio.Future[bytes]] = {}
        self._last_id = 0
        #: Calls up to this one have been handed to grpc: from then on nobody knows how far they came.
        self._last_sent_id = 0
        self._connected = False
        self._usable = True
        self.running = self._loop.create_task(self._run())

    @property
    def idle(self) -> bool:
        return not self._pending

    @property
    def in_flight(self) -> int:
        return len(self._pending)

    async def call(self, path: str, body: bytes, timeout_s: float | None, metadata: Mapping[str, str] | None) -> bytes:
        """See `Transport.call`."""
        self._check_room(body)
        call_id = self._last_id = self._last_id + 1
        answered: asyncio.Future[bytes] = self._loop.create_future()
        self._pending[call_id] = answered
        timeout_ms, timer = None, None
        if timeout_s is not None:
            timeout_ms = max(int(timeout_s * 1000), 0)
            timer = self._loop.call_later(timeout_s + ANSWER_MARGIN_S, self._expire, call_id)
        self._outbox.put(Call(call_id, path, body, timeout_ms, dict(metadata) if metadata else None))
        try:
            return await answered
        except asyncio.CancelledError:
            self._give_up(call_id)
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def leave(self) -> None:
        """Close as soon as the last answer is there."""
        self._lose("")

    async def close(self) -> None:
        """Close now; calls in flight fail."""
        self._fail_all("this process is stopping")
        self.running.cancel()
        await asyncio.wait([self.running])
        # It may not even have begun.
        await self._channel.close()

    def _check_room(self, body: bytes) -> None:
        if len(body) > BODY_BYTES_MAX:
            raise ValueError(f"a body of {len(body)} bytes, the limit is {BODY_BYTES_MAX}")
        if len(self._pending) >= CALLS_MAX or self._outbox.full:
            raise ResourceExhausted(
                "Too many calls wait for one process of the service.",
                ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_SYSTEM_OVERLOADED,
                ResourceExhaustedScope.RESOURCE_EXHAUSTED_SCOPE_SYSTEM,
            )

    async def _run(self) -> None:
        reason = "the connection was closed"
        try:
            stream: _Stream = self._channel.stream_stream(LINK_PATH)()
            async with asyncio.timeout(CONNECT_S_MAX):
                message = await stream.read()
            self._connected = True
            writing = self._loop.create_task(self._write(stream))
            try:
                while isinstance(message, bytes):
                    for frame in decode_from_server(message):
                        self._receive(frame)
                    message = await stream.read()
            finally:
                writing.cancel()
        except grpc.aio.AioRpcError as error:
            reason = error.details() or error.code().name
        except TimeoutError:
            reason = f"no connection within {CONNECT_S_MAX} s"
        except msgspec.DecodeError as error:
            reason = f"it does not speak our protocol: {error}"
        finally:
            self._fail_all(reason)
            await self._channel.close()

    async def _write(self, stream: _Stream) -> None:
        # A stream that breaks ends `_run`, which knows why.
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            while frames := await self._outbox.take():
                for frame in reversed(frames):
                    if isinstance(frame, Call):
                        self._last_sent_id = frame.id
                        break
                await stream.write(encode(frames))
            await stream.done_writing()

    def _receive(self, frame: FromServer) -> None:
        if isinstance(frame, Hello):
            return
        if isinstance(frame, Goodbye):
            self._lose("it is stopping")
            return
        answered = self._take(frame.id)
        if answered is None or answered.done():
            return
        if isinstance(frame, Answer):
            answered.set_result(frame.body)
        elif isinstance(frame, Failed):
            answered.set_exception(to_exception(frame.failure))
        else:
            answered.set_exception(PeerUnreachable(self.address, "it is stopping", may_have_executed=False))

    def _take(self, call_id: int) -> asyncio.Future[bytes] | None:
        answered = self._pending.pop(call_id, None)
        self._close_when_done()
        return answered

    def _give_up(self, call_id: int) -> asyncio.Future[bytes] | None:
        if call_id in self._pending:
            self._outbox.put(Cancel(call_id))
        return self._take(call_id)

    def _expire(self, call_id: int) -> None:
        answered = self._give_up(call_id)
        if answered is not None and not answered.done():
            answered.set_exception(DeadlineExceeded("The call was not answered in time."))

    def _lose(self, reason: str) -> None:
        if self._usable:
            self._usable = False
            self._lost(self, reason)
            self._close_when_done()

    def _close_when_done(self) -> None:
        if not self._usable and not self._pending:
            self._outbox.close()

    def _fail_all(self, reason: str) -> None:
        self._lose("" if self._connected else reason)
        pending, self._pending = self._pending, {}
        for call_id, answered in pending.items():
            if not answered.done():
                sent = call_id <= self._last_sent_id
                answered.set_exception(PeerUnreachable(self.address, reason, may_have_executed=sent))
