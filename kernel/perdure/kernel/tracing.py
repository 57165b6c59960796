"""Spans: what a call did where, told to whoever collects traces. Roles that are not traced do not pay for it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Protocol


class SpanKind(StrEnum):
    """Whether a span is how a call came in, or a part of serving it."""

    SERVER = "server"
    INTERNAL = "internal"


class Tracer(Protocol):
    def span(self, name: str, kind: SpanKind, attributes: Mapping[str, str]) -> AbstractContextManager[None]:
        """A span that lasts as long as the block, and fails if that raises.

        It continues the trace of `perdure.kernel.transport.trace_context`, and inside the block that is its own, so
        that whatever is called goes on with it. Must not be entered in one task and left in another.
        """
        ...
