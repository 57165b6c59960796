"""Logs go to standard error: one JSON object per line, or coloured text when a person is looking."""

from __future__ import annotations

import logging
import re
import sys

import structlog
from structlog.typing import EventDict, Processor

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")

LEVELS = ("debug", "info", "warn", "error", "never")


def configure(level: str) -> None:
    """`level` is one of LEVELS; `never` silences everything."""
    silent = level == "never"
    # The highest level that structlog knows. What even that lets through, `never` drops.
    threshold = logging.CRITICAL if silent else logging.getLevelNamesMapping()[level.upper()]
    processors: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _add_call,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if sys.stderr.isatty():
        processors.append(structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback))
    else:
        processors += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[_drop] if silent else processors,
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    # Libraries log through the standard module; what is below a warning there is of no use to operators.
    logging.basicConfig(
        level=logging.CRITICAL + 1 if silent else max(threshold, logging.WARNING),
        stream=sys.stderr,
        format="%(levelname)s %(name)s %(message)s",
    )


def _add_call(logger: object, name: str, event: EventDict) -> EventDict:
    """Say which call a line is about, and of which trace. What the line itself says has precedence."""
    # Late: they load the public protos, which `perdure --version` can do without.
    from perdure.kernel.serving import about, serving
    from perdure.kernel.transport import trace_context

    found: dict[str, str] = {}
    if (call := serving.get()) is not None:
        rpc, request = call
        found = {"rpc": rpc, **about(request)}
    if (trace_id := _trace_id(trace_context.get().get("traceparent", ""))) is not None:
        found["trace_id"] = trace_id
    for key, value in found.items():
        event.setdefault(key, value)
    return event


def _trace_id(traceparent: str) -> str | None:
    """Of a header of W3C Trace Context: version, trace, parent and flags."""
    found = _TRACEPARENT.fullmatch(traceparent)
    return found[1] if found else None


def _drop(logger: object, name: str, event: EventDict) -> EventDict:
    raise structlog.DropEvent
