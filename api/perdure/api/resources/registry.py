"""The table of handlers: who serves each RPC."""

from __future__ import annotations

from collections.abc import Mapping

from perdure.api.calls import Method
from perdure.api.resources import account, api_keys, namespaces, operations, service_accounts, users

#: By the name of the RPC.
METHODS: Mapping[str, Method] = {
    **account.METHODS,
    **api_keys.METHODS,
    **namespaces.METHODS,
    **operations.METHODS,
    **service_accounts.METHODS,
    **users.METHODS,
}
