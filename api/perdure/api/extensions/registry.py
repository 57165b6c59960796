"""The table of handlers of CloudExtensionService: who serves each RPC."""

from __future__ import annotations

from collections.abc import Mapping

from perdure.api.calls import Method
from perdure.api.extensions import audit_exports, keys, namespaces, permissions, usage

#: By the name of the RPC.
METHODS: Mapping[str, Method] = {
    **audit_exports.METHODS,
    **keys.METHODS,
    **namespaces.METHODS,
    **permissions.METHODS,
    **usage.METHODS,
}
