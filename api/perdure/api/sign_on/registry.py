"""The table of handlers of SignOnService: who serves each RPC."""

from __future__ import annotations

from collections.abc import Mapping

from perdure.api.calls import Method
from perdure.api.sign_on import connections, enforcement

#: By the name of the RPC.
METHODS: Mapping[str, Method] = {**connections.METHODS, **enforcement.METHODS}
