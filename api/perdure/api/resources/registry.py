"""The table of handlers: who serves each RPC."""

from __future__ import annotations

from collections.abc import Mapping

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
