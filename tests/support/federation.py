"""An account that trusts an issuer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perdure.api.services import FEDERATION_SERVICE
from perdure.kernel.clock import SECOND_NS
from tests.support.control_plane import HOME, ControlBench, Owner
from tests.unit.auth.oidc.issuer import AUDIENCE, ISSUER, Issuer

SUBJECT = {"claim": "sub", "value": "repo:acme/orders"}


class FederationBench:
    """A bench whose clock is the issuer's."""

    def __init__(self, bench: ControlBench, issuer: Issuer, owner: Owner) -> None:
        self.bench, self.issuer, self.owner = bench, issuer, owner

    async def call(self, rpc: str, request: Mapping[str, Any], token: str | None = None) -> Any:
        return await self.bench.ask(FEDERATION_SERVICE, rpc, request, self.owner.token if token is None else token)

    async def trust(self, service_account_id: str, **changes: Any) -> str:
        """Its id. `changes` are fields of the specification; None leaves one out."""
        spec = {
            "displayName": "continuous integration",
            "issuer": ISSUER,
            "audiences": [AUDIENCE],
            "serviceAccountId": service_account_id,
            "conditions": [SUBJECT],
            **changes,
        }
        spec = {name: value for name, value in spec.items() if value is not None}
        return str((await self.call("CreateTrustedIssuer", {"spec": spec})).trusted_issuer_id)

    async def exchange(self, trusted_issuer_id: str, token: str | None = None, address: str = HOME) -> Any:
        token = self.token() if token is None else token
        request = {"trustedIssuerId": trusted_issuer_id, "token": token}
        return await self.bench.ask(FEDERATION_SERVICE, "ExchangeToken", request, address=address)

    def token(self, **changes: Any) -> str:
        self.issuer.now_s = self.bench.runtime.clock.now_ns() / SECOND_NS
        return self.issuer.token(**changes)

    async def log(self, operation: str = "ExchangeToken") -> list[Any]:
        """What the account's audit log says of it."""
        records = (await self.bench.call(self.owner.token, "GetAuditLogs", {"pageSize": 1000})).logs
        return [record for record in records if record.operation == operation]
