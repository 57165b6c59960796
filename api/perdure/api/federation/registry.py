"""The table of handlers of FederationService: who serves each RPC."""

from __future__ import annotations

from collections.abc import Mapping

from perdure.api.calls import Method
from perdure.api.federation import exchange, trusted_issuers

#: By the name of the RPC.
METHODS: Mapping[str, Method] = {**exchange.METHODS, **trusted_issuers.METHODS}
