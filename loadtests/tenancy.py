"""What tenancy costs a gateway: `python -m loadtests.tenancy`.

Calls with an API key and with a certificate, one that only reads and one that is billed and audited, against the same
server over the same TLS that asks nobody who he is, limits nobody and counts nothing; in turns. Then connections and
calls with a certificate, with one namespace and with 10,000 of them that each trust an authority of their own; in turns
too.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, cast

import grpc
import grpc.aio
import psutil
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    SignalWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
)
from temporalio.api.workflowservice.v1.service_pb2_grpc import WorkflowServiceStub

from perdure.api.data import ControlDatabase
from perdure.auth.access.records import AccountRecord, NamespaceAccessRecord
from perdure.auth.certificates.issuing import generate_authority
from perdure.frontend.limits.namespaces import Gate
from perdure.history import engine, meter, shard
from perdure.infra.options import Options, Secure
from perdure.infra.server import EmbeddedServer
from perdure.infra.tenancy.embedded import EmbeddedTenancy
from perdure.kernel.clock import SystemClock
from perdure.kernel.ids import NamespaceName
from perdure.kernel.runtime import Runtime

CALLS, AT_ONCE, ROUNDS = 4_000, 20, 5
NAMESPACES = 10_000
CONNECTS = 100
#: More than anybody can do, so that it is counted and nobody is refused.
ACTIONS_PER_S = 1_000_000
WORKFLOW = "w"
READY = "ready "


class Server(NamedTuple):
    process: psutil.Process
    address: str
    mutual_address: str
    directory: Path

    def cpu_s(self) -> float:
        return sum(self.process.cpu_times()[:2])

    def text(self, name: str) -> str:
        return (self.directory / name).read_text()

    def channel(self, *, certificate: bool) -> grpc.aio.Channel:
        # A connection of its own: grpc shares those that look alike.
        options = [("grpc.use_local_subchannel_pool", 1)]
        shown = (self.text("client.key").encode(), self.text("client.pem").encode()) if certificate else (None, None)
        credentials = grpc.ssl_channel_credentials(self.text("server-ca.pem").encode(), *shown)
        return grpc.aio.secure_channel(self.mutual_address if certificate else self.address, credentials, options)


class _Uncounted(meter.Meter):
    def record(self, *_: Any) -> None:
        pass

    def count(self, *_: Any) -> None:
        pass


def _limit_nobody_and_count_nothing() -> None:
    """What no setting can switch off, since nobody should."""
    vars(engine)["Meter"] = _Uncounted
    vars(shard)["billable"] = lambda *_: None
    setattr(Gate, "enter", lambda *_: None)  # noqa: B010  (mypy lets nobody assign to a method)
    setattr(Gate, "leave", lambda *_: None)  # noqa: B010


def serve(directory: Path, guarded: bool) -> None:
    """What the child process does."""

    async def run() -> None:
        runtime = Runtime()
        secure = Secure(directory, mutual_port=0)
        options = Options(port=0, http_port=0, secure=secure)
        tenancy = await EmbeddedTenancy.open(secure, runtime, options)
        vars(tenancy)["limits_of"] = lambda _, limits: replace(limits, actions_per_second=ACTIONS_PER_S)
        if not guarded:
            tenancy.guard = None  # type: ignore[assignment]
            _limit_nobody_and_count_nothing()
        ports = await EmbeddedServer(options, runtime, tenancy).start()
        print(f"{READY}{ports.grpc} {ports.mutual}", flush=True)
        await asyncio.Event().wait()

    import uvloop

    uvloop.run(run())


@asynccontextmanager
async def serving(directory: Path, *, guarded: bool = True) -> AsyncIterator[Server]:
    arguments = ["-m", "loadtests.tenancy", "serve", str(directory), "guarded" if guarded else "open"]
    child = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
    assert child.stdout is not None
    try:
        line = (await child.stdout.readline()).decode()
        port, mutual = line.removeprefix(READY).split()
        yield Server(psutil.Process(child.pid), f"127.0.0.1:{port}", f"127.0.0.1:{mutual}", directory)
    finally:
        child.kill()
        await child.wait()


class Caller:
    """Calls of one kind of client, on as many workflows of its own as it makes calls at once."""

    def __init__(self, server: Server, channel: grpc.aio.Channel, *, key: bool) -> None:
        self._stub: Any = WorkflowServiceStub(cast(Any, channel))
        self._namespace = server.text("namespace")
        self._metadata = [("authorization", f"Bearer {server.text('api-key')}")] if key else []
        self._prefix = f"{WORKFLOW}-key" if key else WORKFLOW
        self._metadata += [("temporal-namespace", self._namespace), ("client-name", "loadtest")]

    async def start(self, number: int = 0) -> None:
        workflow_id = f"{self._prefix}-{number}"
        request = StartWorkflowExecutionRequest(namespace=self._namespace, workflow_id=workflow_id, request_id=WORKFLOW)
        request.workflow_type.name = request.task_queue.name = WORKFLOW
        await self._stub.StartWorkflowExecution(request, metadata=self._metadata)

    async def describe(self, number: int = 0) -> None:
        request = DescribeWorkflowExecutionRequest(namespace=self._namespace)
        request.execution.workflow_id = f"{self._prefix}-{number}"
        await self._stub.DescribeWorkflowExecution(request, metadata=self._metadata)

    async def signal(self, number: int = 0) -> None:
        request = SignalWorkflowExecutionRequest(namespace=self._namespace, signal_name="s")
        request.workflow_execution.workflow_id = f"{self._prefix}-{number}"
        await self._stub.SignalWorkflowExecution(request, metadata=self._metadata)


async def cpu_us(server: Server, call: Callable[[int], Awaitable[None]]) -> float:
    """Of the server for one call, in microseconds."""

    async def some(number: int) -> None:
        for _ in range(CALLS // AT_ONCE):
            await call(number)

    before = server.cpu_s()
    await asyncio.gather(*(some(number) for number in range(AT_ONCE)))
    return (server.cpu_s() - before) / CALLS * 1e6


async def costs(directory: Path) -> None:
    async with serving(directory) as guarded, serving(directory, guarded=False) as bare:
        ways = {
            "nobody asked or counted": (bare, False, False),
            "API key": (guarded, False, True),
            "certificate": (guarded, True, False),
        }
        callers = {
            name: (server, Caller(server, server.channel(certificate=certificate), key=key))
            for name, (server, certificate, key) in ways.items()
        }
        found: dict[tuple[str, str], list[float]] = {}
        for turn in range(ROUNDS + 1):
            for name, (server, caller) in callers.items():
                if turn == 0:
                    await asyncio.gather(*(caller.start(number) for number in range(AT_ONCE)))
                for what, call in {"read": caller.describe, "signal": caller.signal}.items():
                    taken_us = await cpu_us(server, call)
                    if turn:  # The first one warms both sides up.
                        found.setdefault((what, name), []).append(taken_us)
        for what, name in sorted(found, key=lambda each: each[0]):
            middle, bare_us = statistics.median(found[what, name]), statistics.median(found[what, next(iter(ways))])
            print(f"{what:8} {name:28} {middle:6.0f} us of CPU per call, {middle - bare_us:+5.0f}")


async def publish(directory: Path) -> None:
    """Namespaces of others, each with an authority of its own."""
    now = datetime.fromtimestamp(SystemClock().now_ns() // 10**9, UTC)
    database = await ControlDatabase.open(f"sqlite:///{directory / 'control-plane.db'}")
    async with database.writing() as transaction:
        transaction.publish(AccountRecord("others"))
        for number in range(NAMESPACES):
            authority = generate_authority(f"tenant {number}", timedelta(days=9), now).certificate_pem
            name = NamespaceName(f"n{number}.others")
            transaction.publish(NamespaceAccessRecord(name, "others", certificates=True, authorities=authority))
    await database.aclose()


async def latencies_ms(server: Server) -> tuple[float, float, float]:
    """Medians of a new connection with its first call, and of a call; and how long the first connection took."""
    connects, calls, first_ms = [], [], 0.0
    for number in range(CONNECTS + 1):
        began_s = time.perf_counter()
        async with server.channel(certificate=True) as channel:
            caller = Caller(server, channel, key=False)
            await caller.start()
            took_ms = (time.perf_counter() - began_s) * 1e3
            if number == 0:
                first_ms = took_ms
                continue
            connects.append(took_ms)
            for _ in range(5):
                began_s = time.perf_counter()
                await caller.describe()
                calls.append((time.perf_counter() - began_s) * 1e3)
    return statistics.median(connects), statistics.median(calls), first_ms


async def many(one: Path, others: Path) -> None:
    await publish(others)
    async with serving(one) as few, serving(others) as lots:
        rounds = [[await latencies_ms(server) for server in (few, lots)] for _ in range(ROUNDS)]
        for index, what in enumerate(("connection and first call", "call")):
            small, large = (statistics.median(each[side][index] for each in rounds) for side in (0, 1))
            print(f"{what:28} {small:6.2f} ms, with {NAMESPACES:,} namespaces {large:6.2f} ms: {large / small:.2f}x")
        print(f"{'the first connection':28} {rounds[0][0][2]:6.1f} ms, {rounds[0][1][2]:6.1f} ms")
        print(f"{'memory':28} {few.process.memory_info().rss >> 20} MB, {lots.process.memory_info().rss >> 20} MB")


async def prepare(directory: Path) -> Path:
    """Credentials as the first start makes them."""
    async with serving(directory):
        return directory


async def main() -> None:
    with directories() as (first, second):
        await prepare(first)
        await costs(first)
        await prepare(second)
        await many(first, second)


@contextmanager
def directories() -> Iterator[tuple[Path, Path]]:
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        yield Path(first), Path(second)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(Path(sys.argv[2]), sys.argv[3] == "guarded")
    else:
        asyncio.run(main())
