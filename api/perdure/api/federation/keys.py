"""Keys that were given for tokens. Gateways know them as they know API keys, but nobody lists, counts or rotates them
among those: they end by themselves.
"""

from __future__ import annotations

from typing import Final

from perdure.api.calls import ControlCall
from perdure.api.data import Transaction
from perdure.api.data.federation_tables import FederatedKeyRow
from perdure.api.data.tables import ResourceRow
from perdure.api.protos import federation_pb2 as api
from perdure.api.resources import rows
from perdure.auth import secrets
from perdure.auth.access.records import CredentialRecord
from perdure.kernel.namespace import DAY_NS

#: For how long gateways are told that a key has ended. One that was not told by then has refused it ever since it
#: expired.
TOLD_NS: Final = DAY_NS


async def give(call: ControlCall, trust: ResourceRow, spec: api.TrustedIssuerSpec, expires_at_ns: int) -> secrets.Given:
    """Raises ResourceExhausted: the service account has as many as it may have."""
    held = await call.transaction.federation.count_keys(trust.owner_id, call.now_ns)
    if held >= call.limits.federated_keys_max:
        raise rows.too_many(call.limits, "federated_keys_max", "too many keys for tokens")
    given = secrets.give(secrets.SecretKind.API_KEY, call.entropy)
    call.transaction.federation.add(
        FederatedKeyRow(
            id=given.id,
            account_id=trust.account_id,
            trusted_issuer_id=trust.id,
            service_account_id=trust.owner_id,
            expires_at_ns=expires_at_ns,
            has_ended=False,
        )
    )
    call.transaction.publish(
        CredentialRecord(
            id=given.id,
            kind=secrets.SecretKind.API_KEY,
            owner_id=trust.owner_id,
            secret_hash=given.secret_hash,
            expires_at_ns=expires_at_ns,
            scope=spec.scope,
            sources=tuple(spec.source_networks),
            federated=True,
        )
    )
    return given


async def end_all(transaction: Transaction, trusted_issuer_id: str) -> None:
    """Of an issuer that is not trusted any more."""
    for row in await transaction.federation.keys_of(trusted_issuer_id):
        _end(transaction, row)


async def sweep(transaction: Transaction, now_ns: int, limit: int) -> int:
    """End what has expired, forget what ended long ago, and say how many there were of both."""
    expired = await transaction.federation.expired(now_ns, limit, has_ended=False)
    for row in expired:
        _end(transaction, row)
    old = await transaction.federation.expired(now_ns - TOLD_NS, limit, has_ended=True)
    for row in old:
        await transaction.federation.remove(row)
        await transaction.forget_withdrawn("credential", row.id)
    await transaction.federation.forget_tokens(now_ns)
    return max(len(expired), len(old))


def _end(transaction: Transaction, row: FederatedKeyRow) -> None:
    row.has_ended = True
    transaction.withdraw("credential", row.id)
