"""From a call to its handler and back: what a server does on whatever network it stands."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from perdure.infra.rpc.failures import to_failure
from perdure.infra.rpc.frames import BODY_BYTES_MAX, Answer, Call, Failed
from perdure.kernel.errors import Internal, Unavailable, Unimplemented
from perdure.kernel.transport import Handler, IncomingCall, trace_context

_log = structlog.get_logger("perdure.rpc")


class Dispatcher:
    """Knows the handlers of a process by the paths of their methods."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self._handlers = dict(handlers)

    async def answer(self, call: Call) -> Answer | Failed:
        """Serve one call, in a task of its own. Raises nothing but CancelledError."""
        metadata = call.metadata or {}
        if metadata:
            trace_context.set(metadata)
        timeout_s = None if call.timeout_ms is None else call.timeout_ms / 1000
        try:
            handler = self._handlers.get(call.path)
            if handler is None:
                raise Unimplemented(f"unknown method {call.path}")
            body = await handler(call.body, IncomingCall(timeout_s, metadata))
            if len(body) > BODY_BYTES_MAX:
                raise ValueError(f"an answer of {len(body)} bytes, the limit is {BODY_BYTES_MAX}")
            return Answer(call.id, body)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Not the caller has given up, but something that the handler waited for.
            return _failed(call, Unavailable("The call was broken off, try again."))
        except Exception as error:
            return _failed(call, error)


def _failed(call: Call, error: Exception) -> Failed:
    failure = to_failure(error)
    if failure is None:
        _log.error("call failed", path=call.path, exc_info=error)
        failure = to_failure(Internal("internal error"))
        assert failure is not None
    return Failed(call.id, failure)
