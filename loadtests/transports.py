"""What a call between two processes costs, by how it is carried: `python -m loadtests.transports`.

Three ways, with the same handler, the same 300 bytes each way and the same deadlines, in turns: a unary gRPC call each;
Perdure's internal RPC, which is one gRPC stream per pair of processes; and the frames of that over plain TCP, to know
what gRPC itself costs. Measured is the CPU time of both processes together.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

import grpc
import grpc.aio
import uvloop

from perdure.infra.rpc import Channels, InternalServer
from perdure.infra.rpc.dispatch import Dispatcher
from perdure.infra.rpc.frames import (
    Answer,
    Call,
    Cancel,
    Failed,
    Goodbye,
    Hello,
    Refused,
    decode_from_caller,
    decode_from_server,
    encode,
)
from perdure.kernel.transport import IncomingCall

ECHO, CPU = "/perdure.internal.Test/Echo", "/perdure.internal.Test/Cpu"
BODY_BYTES = 300
TIMEOUT_S = 30.0
ROUNDS = 5
#: Calls at a time, and how many calls are measured.
LOADS = {1: 3_000, 8: 10_000, 50: 15_000}

Echo = Callable[[bytes], Awaitable[bytes]]


async def echo(body: bytes, _: IncomingCall) -> bytes:
    return body


def cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def report_cpu(body: bytes, _: IncomingCall) -> bytes:
    return repr(cpu_s()).encode()


class TcpServing(asyncio.Protocol):
    """Messages of frames, each after its length in four bytes."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._outgoing: list[Any] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._dispatcher = Dispatcher({ECHO: echo})

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= 4:
            end = 4 + int.from_bytes(self._buffer[:4])
            if len(self._buffer) < end:
                return
            self.received(bytes(self._buffer[4:end]))
            del self._buffer[:end]

    def received(self, message: bytes) -> None:
        for frame in decode_from_caller(message):
            assert isinstance(frame, Call)
            task = self._loop.create_task(self._answer(frame))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, call: Call) -> None:
        self.put(await self._dispatcher.answer(call))

    def put(self, frame: Call | Cancel | Answer | Failed | Refused | Hello | Goodbye) -> None:
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing.append(frame)

    def _flush(self) -> None:
        message = encode(self._outgoing)
        self._outgoing.clear()
        self._transport.write(len(message).to_bytes(4) + message)


class TcpCalling(TcpServing):
    def __init__(self) -> None:
        super().__init__()
        self._ids = itertools.count()
        self._pending: dict[int, asyncio.Future[bytes]] = {}

    async def call(self, body: bytes) -> bytes:
        call_id = next(self._ids)
        answered: asyncio.Future[bytes] = self._loop.create_future()
        self._pending[call_id] = answered
        timer = self._loop.call_later(TIMEOUT_S, answered.cancel)
        self.put(Call(call_id, ECHO, body, int(TIMEOUT_S * 1000)))
        try:
            return await answered
        finally:
            timer.cancel()

    def received(self, message: bytes) -> None:
        for frame in decode_from_server(message):
            assert isinstance(frame, Answer)
            self._pending.pop(frame.id).set_result(frame.body)


async def serve() -> None:
    """The other process. Prints where it listens: unary, stream, TCP."""

    async def unary(body: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        return await echo(body, IncomingCall(context.time_remaining()))

    server = grpc.aio.server()
    service, method = ECHO.strip("/").split("/")
    methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {method: grpc.unary_unary_rpc_method_handler(unary)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, methods),))
    unary_port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    stream_port = await InternalServer({ECHO: echo, CPU: report_cpu}).start("127.0.0.1:0")
    tcp = await asyncio.get_running_loop().create_server(TcpServing, "127.0.0.1", 0)
    print(unary_port, stream_port, tcp.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


async def measure(unary_port: int, stream_port: int, tcp_port: int) -> None:
    channels, stream_address = Channels(), f"127.0.0.1:{stream_port}"
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{unary_port}")
    invoke: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(ECHO)
    _, tcp = await asyncio.get_running_loop().create_connection(TcpCalling, "127.0.0.1", tcp_port)

    async def unary(body: bytes) -> bytes:
        return await invoke(body, timeout=TIMEOUT_S)

    async def stream(body: bytes) -> bytes:
        return await channels.call(stream_address, ECHO, body, timeout_s=TIMEOUT_S)

    async def cpu_of_both_s() -> float:
        return cpu_s() + float(await channels.call(stream_address, CPU, b"", timeout_s=TIMEOUT_S))

    ways: dict[str, Echo] = {"gRPC, unary": unary, "gRPC, one stream": stream, "plain TCP": tcp.call}
    costs: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for _ in range(ROUNDS):
        for at_a_time, calls in LOADS.items():
            for name, way in ways.items():
                before_s, started_s = await cpu_of_both_s(), time.perf_counter()
                await load(way, at_a_time, calls)
                seconds = time.perf_counter() - started_s
                costs.setdefault((name, at_a_time), []).append(((await cpu_of_both_s() - before_s) / calls, seconds))
    for (name, at_a_time), rounds in costs.items():
        cpu_us = statistics.median(cost for cost, _ in rounds) * 1e6
        rate = LOADS[at_a_time] / statistics.median(seconds for _, seconds in rounds)
        print(f"{name:16}  {at_a_time:2} at a time: {cpu_us:6.1f} us of CPU a call, {rate:7.0f} calls/s")
    await channels.close()
    await channel.close()


async def load(way: Echo, at_a_time: int, calls: int) -> None:
    body = random.Random(0).randbytes(BODY_BYTES)
    remaining = iter(range(calls))

    async def caller() -> None:
        for _ in remaining:
            assert await way(body) == body

    await asyncio.gather(*(caller() for _ in range(at_a_time)))


def main() -> None:
    if sys.argv[1:] == ["--serve"]:
        uvloop.run(serve())
        return
    other = subprocess.Popen(
        [sys.executable, "-m", "loadtests.transports", "--serve"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout is not None
        uvloop.run(measure(*map(int, other.stdout.readline().split())))
    finally:
        other.kill()
        other.wait()


if __name__ == "__main__":
    main()
