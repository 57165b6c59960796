"""The table of handlers: who serves each RPC."""

from __future__ import annotations

from collections.abc import Mapping

from perdure.api.calls import Method
from perdure.api.resources import (
    account,
    api_keys,
    audit_logs,
    custom_roles,
    groups,
    namespace_access,
    namespaces,
    nexus_endpoints,
    operations,
    service_accounts,
    users,
)

#: By the name of the RPC.
METHODS: Mapping[str, Method] = {
    **account.METHODS,
    **api_keys.METHODS,
    **audit_logs.METHODS,
    **custom_roles.METHODS,
    **groups.METHODS,
    **namespace_access.METHODS,
    **namespaces.METHODS,
    **nexus_endpoints.METHODS,
    **operations.METHODS,
    **service_accounts.METHODS,
    **users.METHODS,
}
