"""Every driver of the transport between processes under the same tests."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import pytest
from structlog.testing import capture_logs
from temporalio.api.enums.v1 import ResourceExhaustedCause, ResourceExhaustedScope
from temporalio.api.errordetails.v1 import MultiOperationExecutionFailure
from temporalio.api.failure.v1 import Failure

from perdure.infra.rpc import Channels, InternalServer
from perdure.kernel import errors
from perdure.kernel.errors import Code, DeadlineExceeded, Internal, ServiceError, Unavailable, Unimplemented
from perdure.kernel.persistence.executions import StoreUnavailable
from perdure.kernel.rpc import StickyWorkerUnavailable, TaskObsolete
from perdure.kernel.transport import Handler, IncomingCall, PeerUnreachable, Transport
from tests.support.network import MemoryNetwork, MemoryServer

#: For calls of which no test expects that they take long.
SOON_S = 20.0
WAIT = "/test/Wait"
TRACE = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "vendor=1"}


class Process(Protocol):
    address: str

    async def drain(self) -> None: ...
    async def stop(self, grace_s: float) -> None: ...


class Network(Protocol):
    """Where processes come up. `transport` is that of a process which only calls."""

    @property
    def transport(self) -> Transport: ...

    async def serve(self, handlers: Mapping[str, Handler], address: str | None = None) -> Process: ...


class GrpcProcess:
    def __init__(self, server: InternalServer, address: str) -> None:
        self.address = address
        self.drain = server.drain
        self.stop = server.stop


class GrpcNetwork:
    def __init__(self) -> None:
        self.transport = Channels()
        self._servers: list[InternalServer] = []

    async def serve(self, handlers: Mapping[str, Handler], address: str | None = None) -> Process:
        server = InternalServer(handlers, interruptible={WAIT})
        self._servers.append(server)
        port = await server.start(address or "127.0.0.1:0")
        return GrpcProcess(server, f"127.0.0.1:{port}")

    async def close(self) -> None:
        await self.transport.close()
        for server in self._servers:
            await server.stop(0)


class MemoryProcess:
    def __init__(self, server: MemoryServer) -> None:
        self._server = server
        self.address = server.address

    async def drain(self) -> None:
        self._server.drain()

    async def stop(self, grace_s: float) -> None:
        if grace_s:
            await self._server.stop()
        else:
            self._server.crash()


class InMemory:
    def __init__(self) -> None:
        self._network = MemoryNetwork(random.Random(0))
        self.transport = self._network.transport("caller")
        self._served = 0

    async def serve(self, handlers: Mapping[str, Handler], address: str | None = None) -> Process:
        self._served += 1
        return MemoryProcess(self._network.serve(address or f"process-{self._served}", handlers, interruptible={WAIT}))


@asynccontextmanager
async def grpc_streams() -> AsyncIterator[Network]:
    network = GrpcNetwork()
    yield network
    await network.close()


@asynccontextmanager
async def memory() -> AsyncIterator[Network]:
    yield InMemory()


DRIVERS: list[Callable[[], AbstractAsyncContextManager[Network]]] = [grpc_streams, memory]


@pytest.fixture(params=DRIVERS, ids=lambda driver: driver.__name__)
async def network(request: pytest.FixtureRequest) -> AsyncIterator[Network]:
    async with request.param() as running:
        yield running


async def echo(body: bytes, _: IncomingCall) -> bytes:
    return body


def raising(error: BaseException) -> Handler:
    async def handler(body: bytes, _: IncomingCall) -> bytes:
        raise error

    return handler


class Held:
    """A handler that says when it is reached and when it is cancelled, and answers when it is let go."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.release = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def __call__(self, body: bytes, _: IncomingCall) -> bytes:
        self.reached.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return body


async def soon(waiting: Awaitable[object]) -> None:
    await asyncio.wait_for(waiting, SOON_S)


@pytest.mark.parametrize("length", [0, 300, 5_000_000])
async def test_bytes_arrive_and_come_back(network: Network, length: int) -> None:
    process = await network.serve({"/test/Echo": echo})
    body = random.Random(length).randbytes(length)
    assert await network.transport.call(process.address, "/test/Echo", body, timeout_s=SOON_S) == body


async def test_handlers_know_their_call(network: Network) -> None:
    calls: list[IncomingCall] = []

    async def note(body: bytes, call: IncomingCall) -> bytes:
        calls.append(call)
        return b""

    process = await network.serve({"/test/Note": note})
    metadata = {"client-name": "test"}
    await network.transport.call(process.address, "/test/Note", b"", timeout_s=3.5, metadata=metadata)
    await network.transport.call(process.address, "/test/Note", b"", timeout_s=None)
    assert calls == [IncomingCall(3.5, metadata), IncomingCall(None, {})]


async def test_answers_find_their_callers_in_any_order(network: Network) -> None:
    gates = [asyncio.Event() for _ in range(200)]

    async def last_first(body: bytes, _: IncomingCall) -> bytes:
        number = int(body)
        if number + 1 < len(gates):
            await gates[number + 1].wait()
        gates[number].set()
        return body

    process = await network.serve({"/test/LastFirst": last_first})
    bodies = [str(number).encode() for number in range(len(gates))]
    calls = [network.transport.call(process.address, "/test/LastFirst", body, timeout_s=SOON_S) for body in bodies]
    assert await asyncio.gather(*calls) == bodies


SERVICE_ERRORS = [
    errors.InvalidArgument("bad"),
    errors.NotFound("gone"),
    errors.NamespaceNotFound("nowhere"),
    errors.NamespaceAlreadyExists("twice"),
    errors.NamespaceInvalidState("deleted"),
    errors.AlreadyExists("twice"),
    errors.WorkflowExecutionAlreadyStarted("again", "request", "run", "first run"),
    errors.ActivityExecutionAlreadyStarted("again", "request", "run"),
    errors.NexusOperationExecutionAlreadyStarted("again", "request", "run"),
    errors.QueryFailed("no", Failure(message="no such query")),
    errors.WorkflowNotReady("wait"),
    errors.FailedPrecondition("not now"),
    errors.Aborted("raced"),
    errors.MultiOperationFailed(
        "both", [MultiOperationExecutionFailure.OperationStatus(code=5, message="no")], Code.NOT_FOUND
    ),
    errors.PermissionDenied("no", "because"),
    errors.ResourceExhausted(
        "busy",
        ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_BUSY_WORKFLOW,
        ResourceExhaustedScope.RESOURCE_EXHAUSTED_SCOPE_SYSTEM,
    ),
    errors.DeadlineExceeded("late"),
    errors.Cancelled("never mind"),
    errors.Unimplemented("one day"),
    errors.Unauthenticated("who"),
    errors.Unavailable("later"),
    errors.NotOwner("shard 7", "member 2"),
    errors.DataLoss("damaged"),
    errors.Internal("internal error"),
]


def test_no_error_is_forgotten() -> None:
    assert {type(error) for error in SERVICE_ERRORS} == {
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, ServiceError) and kind is not ServiceError
    }


@pytest.mark.parametrize("error", SERVICE_ERRORS, ids=lambda error: type(error).__name__)
async def test_service_errors_arrive_as_they_were_raised(network: Network, error: ServiceError) -> None:
    process = await network.serve({"/test/Fail": raising(error)})
    with pytest.raises(type(error)) as caught:
        await network.transport.call(process.address, "/test/Fail", b"", timeout_s=SOON_S)
    assert type(caught.value) is type(error)
    assert (caught.value.message, str(caught.value)) == (error.message, str(error))
    assert caught.value.detail == error.detail
    assert vars(caught.value) == vars(error)


@pytest.mark.parametrize("error", [TaskObsolete(), TaskObsolete("old"), StickyWorkerUnavailable()], ids=repr)
async def test_news_between_roles_arrive(network: Network, error: Exception) -> None:
    process = await network.serve({"/test/Fail": raising(error)})
    with pytest.raises(type(error)) as caught:
        await network.transport.call(process.address, "/test/Fail", b"", timeout_s=SOON_S)
    assert (caught.value.args, vars(caught.value)) == (error.args, vars(error))


class Special(errors.NotFound):
    """An error that only one role knows."""


@pytest.mark.parametrize(
    ("raised", "arrives"),
    [
        (Special("gone"), errors.NotFound),
        (StoreUnavailable("disk"), Unavailable),
        # The peer of the peer was not reached, which says nothing of this call.
        (PeerUnreachable("far:1", "refused", may_have_executed=False), Unavailable),
        # A future that the handler waited for was cancelled, which nobody has asked for.
        (asyncio.CancelledError(), Unavailable),
    ],
    ids=repr,
)
async def test_what_callers_do_not_know_arrives_as_what_they_do(
    network: Network, raised: BaseException, arrives: type[ServiceError]
) -> None:
    process = await network.serve({"/test/Fail": raising(raised)})
    with pytest.raises(arrives) as caught:
        await network.transport.call(process.address, "/test/Fail", b"", timeout_s=SOON_S)
    assert type(caught.value) is arrives


async def test_defects_are_masked_and_logged(network: Network) -> None:
    process = await network.serve({"/test/Fail": raising(RuntimeError("secret"))})
    with capture_logs() as logs, pytest.raises(Internal, match=r"^internal error$"):
        await network.transport.call(process.address, "/test/Fail", b"", timeout_s=SOON_S)
    (entry,) = logs
    assert (entry["path"], str(entry["exc_info"])) == ("/test/Fail", "secret")


async def test_unknown_methods_are_unimplemented(network: Network) -> None:
    process = await network.serve({})
    with pytest.raises(Unimplemented, match="/test/Nothing"):
        await network.transport.call(process.address, "/test/Nothing", b"", timeout_s=SOON_S)


async def test_trace_headers_go_on_to_the_next_process(network: Network) -> None:
    seen: list[Mapping[str, str]] = []

    async def note(body: bytes, call: IncomingCall) -> bytes:
        seen.append(call.metadata)
        return b""

    last = await network.serve({"/test/Note": note})

    async def forward(body: bytes, _: IncomingCall) -> bytes:
        return await network.transport.call(last.address, "/test/Note", body, timeout_s=SOON_S)

    first = await network.serve({"/test/Forward": forward})
    metadata = {**TRACE, "client-name": "stays"}
    await network.transport.call(first.address, "/test/Forward", b"", timeout_s=SOON_S, metadata=metadata)
    await network.transport.call(first.address, "/test/Forward", b"", timeout_s=SOON_S)
    assert seen == [TRACE, {}]


async def test_a_caller_that_gives_up_cancels_its_handler(network: Network) -> None:
    held = Held()
    process = await network.serve({"/test/Held": held, "/test/Echo": echo})
    call = asyncio.create_task(network.transport.call(process.address, "/test/Held", b"", timeout_s=SOON_S))
    await soon(held.reached.wait())
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await soon(held.cancelled.wait())
    assert await network.transport.call(process.address, "/test/Echo", b"still", timeout_s=SOON_S) == b"still"


async def test_a_handler_that_is_too_late_is_cancelled(network: Network) -> None:
    held = Held()
    process = await network.serve({"/test/Held": held})
    with pytest.raises(DeadlineExceeded, match="not answered in time"):
        await network.transport.call(process.address, "/test/Held", b"", timeout_s=0)
    await soon(held.cancelled.wait())


async def test_a_handler_has_the_last_word_on_its_deadline(network: Network) -> None:
    async def until_deadline(body: bytes, call: IncomingCall) -> bytes:
        try:
            async with asyncio.timeout(call.timeout_s):
                await asyncio.Event().wait()
        except TimeoutError:
            raise DeadlineExceeded("no worker polls the queue") from None
        raise AssertionError("nobody sets the event")

    process = await network.serve({"/test/UntilDeadline": until_deadline})
    with pytest.raises(DeadlineExceeded, match="no worker polls"):
        await network.transport.call(process.address, "/test/UntilDeadline", b"", timeout_s=0.01)


async def test_where_nobody_listens_nothing_was_done(network: Network) -> None:
    process = await network.serve({"/test/Echo": echo})
    await process.stop(SOON_S)
    with pytest.raises(PeerUnreachable) as caught:
        await network.transport.call(process.address, "/test/Echo", b"", timeout_s=SOON_S)
    assert not caught.value.may_have_executed
    assert process.address in str(caught.value)
    assert process.address not in caught.value.message


async def test_a_process_that_dies_may_have_done_it(network: Network) -> None:
    held = Held()
    process = await network.serve({"/test/Held": held})
    call = asyncio.create_task(network.transport.call(process.address, "/test/Held", b"", timeout_s=SOON_S))
    await soon(held.reached.wait())
    await process.stop(0)
    with pytest.raises(PeerUnreachable) as caught:
        await call
    assert caught.value.may_have_executed
    await soon(held.cancelled.wait())


async def test_a_process_that_comes_back_is_found_again(network: Network) -> None:
    process = await network.serve({"/test/Echo": echo})
    await network.transport.call(process.address, "/test/Echo", b"", timeout_s=SOON_S)
    await process.stop(0)
    await network.serve({"/test/Echo": echo}, process.address)

    async def call_until_answered() -> bytes:
        while True:
            try:
                return await network.transport.call(process.address, "/test/Echo", b"back", timeout_s=SOON_S)
            except PeerUnreachable:
                await asyncio.sleep(0.01)

    assert await asyncio.wait_for(call_until_answered(), 5) == b"back"


async def test_draining_refuses_what_is_new_and_finishes_what_is_not(network: Network) -> None:
    held, waiting, executed = Held(), Held(), []

    async def execute(body: bytes, _: IncomingCall) -> bytes:
        executed.append(body)
        return body

    process = await network.serve({"/test/Held": held, WAIT: waiting, "/test/Execute": execute})
    in_flight = asyncio.create_task(network.transport.call(process.address, "/test/Held", b"done", timeout_s=SOON_S))
    interrupted = asyncio.create_task(network.transport.call(process.address, WAIT, b"", timeout_s=SOON_S))
    await soon(held.reached.wait())
    await soon(waiting.reached.wait())
    await process.drain()
    refusals = [network.transport.call(process.address, "/test/Execute", b"", timeout_s=SOON_S) for _ in range(50)]
    for refused in await asyncio.gather(interrupted, *refusals, return_exceptions=True):
        assert isinstance(refused, PeerUnreachable)
        assert not refused.may_have_executed
    assert not executed
    await soon(waiting.cancelled.wait())
    stopping = asyncio.create_task(process.stop(SOON_S))
    held.release.set()
    assert await in_flight == b"done"
    await soon(stopping)


async def test_a_burst_that_meets_a_stop_is_served_or_refused(network: Network) -> None:
    """Nobody is left in doubt by a process that stops in order."""
    executed = 0

    async def execute(body: bytes, _: IncomingCall) -> bytes:
        nonlocal executed
        executed += 1
        return body

    process = await network.serve({"/test/Execute": execute})
    await network.transport.call(process.address, "/test/Execute", b"", timeout_s=SOON_S)
    burst = [
        asyncio.create_task(network.transport.call(process.address, "/test/Execute", b"", timeout_s=SOON_S))
        for _ in range(300)
    ]
    await burst[0]
    await process.stop(SOON_S)
    answers = await asyncio.gather(*burst, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, PeerUnreachable)]
    assert not [answer for answer in refused if answer.may_have_executed]
    assert executed == 1 + answers.count(b"") == 1 + len(answers) - len(refused)
