"""The seam between processes: a call of a named handler, bytes in, bytes out.

What travels is opaque here. Drivers carry it over gRPC, or within one event loop for tests and simulation; both answer
to the same suite, `tests/conformance/test_transport_seam.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol

from perdure.kernel.errors import Unavailable

#: The headers of W3C Trace Context, by which a trace goes on in the next process.
TRACE_HEADERS = ("traceparent", "tracestate")

#: Has the trace headers of the call that is being served, if it came with any, and perhaps others of its metadata. They
#: go with every call that is made on its behalf.
trace_context: ContextVar[Mapping[str, str]] = ContextVar("trace_context", default={})  # noqa: B039  never written to


@dataclass(frozen=True, slots=True)
class IncomingCall:
    """What a handler knows of its call besides the body.

    `timeout_s` is how many seconds the caller was ready to wait when the call arrived, or None. `metadata` has
    lower-case keys.
    """

    timeout_s: float | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


#: Serves one method. It is cancelled when nobody waits for the answer any more.
Handler = Callable[[bytes, IncomingCall], Awaitable[bytes]]


class PeerUnreachable(Unavailable):
    """There was no answer: no connection, or one that broke.

    `may_have_executed` is False if it is certain that no handler has done anything. Address and reason are for logs:
    the message, which may reach a client, says nothing of what is behind the gateway.
    """

    def __init__(self, address: str, reason: str, *, may_have_executed: bool) -> None:
        super().__init__("A part of the service did not answer, try again.")
        self.address = address
        self.reason = reason
        self.may_have_executed = may_have_executed

    def __str__(self) -> str:
        return f"{self.address} did not answer: {self.reason}"


class Transport(Protocol):
    """How a process calls others."""

    async def call(
        self,
        address: str,
        path: str,
        body: bytes,
        *,
        timeout_s: float | None,
        metadata: Mapping[str, str] | None = None,
    ) -> bytes:
        """Have the process at `address` (`host:port`) serve `path`, and return its answer.

        Raises:
            ServiceError: as the handler raised it, equal in class, message and detail.
            TaskObsolete, StickyWorkerUnavailable: as the handler raised them.
            Internal: the handler raised anything else; it is logged where it happened.
            Unimplemented: the process has no such handler.
            PeerUnreachable: there was no answer, and why.
            DeadlineExceeded: nor was there one in time. The handler, which knows the deadline, was given a moment
                longer to say so itself.
        """
        ...


def trace_headers(metadata: Mapping[str, str]) -> dict[str, str]:
    """Those of an incoming call, for `trace_context`."""
    return {key: metadata[key] for key in TRACE_HEADERS if key in metadata}


def with_trace(metadata: Mapping[str, str] | None) -> Mapping[str, str] | None:
    """The metadata of an outgoing call, with the trace that it belongs to."""
    trace = trace_headers(trace_context.get())
    return {**trace, **(metadata or {})} if trace else metadata
