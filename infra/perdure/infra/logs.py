"""Logs go to standard error: one JSON object per line, or coloured text when a person is looking."""

from __future__ import annotations

import logging
import sys

import structlog
from structlog.typing import EventDict, Processor

LEVELS = ("debug", "info", "warn", "error", "never")


def configure(level: str) -> None:
    """`level` is one of LEVELS; `never` silences everything."""
    silent = level == "never"
    # The highest level that structlog knows. What even that lets through, `never` drops.
    threshold = logging.CRITICAL if silent else logging.getLevelNamesMapping()[level.upper()]
    processors: list[Processor] = [
        structlog.contextvars.merge_contextvars,
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


def _drop(logger: object, name: str, event: EventDict) -> EventDict:
    raise structlog.DropEvent
