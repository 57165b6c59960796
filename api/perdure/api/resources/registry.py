"""The table of handlers: who serves each RPC."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.descriptor import ServiceDescriptor

from perdure.api.audit.operations import OPERATIONS
from perdure.api.calls import Method
from perdure.api.resources import (
    account,
    api_keys,
    audit_log_sinks,
    audit_logs,
    billing_reports,
    connectivity_rules,
    custom_roles,
    export_sinks,
    groups,
    namespace_access,
    namespaces,
    nexus_endpoints,
    operations,
    service_accounts,
    usage,
    users,
)

#: By the name of the RPC.
METHODS: Mapping[str, Method] = {
    **account.METHODS,
    **api_keys.METHODS,
    **audit_log_sinks.METHODS,
    **audit_logs.METHODS,
    **billing_reports.METHODS,
    **connectivity_rules.METHODS,
    **custom_roles.METHODS,
    **export_sinks.METHODS,
    **groups.METHODS,
    **namespace_access.METHODS,
    **namespaces.METHODS,
    **nexus_endpoints.METHODS,
    **operations.METHODS,
    **service_accounts.METHODS,
    **usage.METHODS,
    **users.METHODS,
}


class MissingMethod(Exception):
    """The table and the service disagree; the message lists the methods."""


def verify(service: ServiceDescriptor) -> None:
    """Raises MissingMethod: an RPC has no handler, a handler no RPC, or the audit log no word for a change."""
    if difference := METHODS.keys() ^ {method.name for method in service.methods}:
        raise MissingMethod(f"not both in the table of handlers and in {service.full_name}: {sorted(difference)}")
    changes = {name for name, method in METHODS.items() if method.changes}
    if missing := changes - OPERATIONS.keys():
        raise MissingMethod(f"the audit log has no word for these: {sorted(missing)}")
