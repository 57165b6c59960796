"""Whether the tables agree: of the API, of handlers, and of what the audit log has words for."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.descriptor import ServiceDescriptor

from perdure.api.audit.operations import OPERATIONS, TOLD_BY_EVENTS
from perdure.api.calls import Method


class MissingMethod(Exception):
    """The tables disagree; the message lists the methods."""


def verify(service: ServiceDescriptor, methods: Mapping[str, Method]) -> None:
    """Raises MissingMethod: an RPC has no handler, a handler no RPC, or the audit log no word for a change."""
    if difference := methods.keys() ^ {method.name for method in service.methods}:
        raise MissingMethod(f"not both in the table of handlers and in {service.full_name}: {sorted(difference)}")
    changes = {name for name, method in methods.items() if method.changes}
    if missing := changes - OPERATIONS.keys() - TOLD_BY_EVENTS:
        raise MissingMethod(f"the audit log has no word for these: {sorted(missing)}")
