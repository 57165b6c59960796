"""A key for a token: whoever shows a token of a trusted issuer, as its conditions want it, is the service account."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final, NamedTuple

import structlog
from google.protobuf.timestamp_pb2 import Timestamp

from perdure.api.audit import records
from perdure.api.audit.operations import EXCHANGE
from perdure.api.calls import ControlCall, Method, Preparation, at_nothing
from perdure.api.data import Transaction
from perdure.api.data.audit import NewRecord
from perdure.api.data.federation_tables import UsedTokenRow
from perdure.api.data.tables import ResourceRow
from perdure.api.federation import conditions, keys
from perdure.api.protos import federation_pb2 as api
from perdure.api.resources import kinds, rows
from perdure.auth.access.view import Sources
from perdure.auth.oidc.issuers import FetchFailed
from perdure.auth.oidc.tokens import LEEWAY_S, Claims, TokenRefused
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.entropy import Entropy
from perdure.kernel.errors import Aborted, ServiceError, Unauthenticated, Unavailable
from perdure.kernel.identity import Principal, PrincipalKind
from perdure.kernel.persistence.executions import StoreError

#: Of what others have written, in the audit log.
_TEXT_LENGTH_MAX: Final = 500

_log = structlog.get_logger("perdure.api")


class Proven(NamedTuple):
    """A token that is good, by what the trusted issuer was when it was looked at."""

    trusted_issuer_id: str
    version: int
    claims: Claims


async def _prepare(preparation: Preparation, request: api.ExchangeTokenRequest) -> Proven:
    async with preparation.database.reading() as transaction:
        trust = await _trusted(transaction, request.trusted_issuer_id)
    spec = rows.spec_of(trust, api.TrustedIssuerSpec)
    claims: Claims = {}
    try:
        if not Sources(spec.source_networks).accept(preparation.address):
            raise TokenRefused("it was not sent from one of the networks")
        claims = await preparation.federation.claims(spec, request.token)
        await _check(preparation, trust, spec, claims)
    except TokenRefused as error:
        await _tell(preparation, trust, spec, claims, str(error))
        raise _refused() from None
    except FetchFailed as error:
        await _tell(preparation, trust, spec, claims, f"the issuer's keys cannot be had: {error}")
        raise Unavailable("The keys of the token's issuer cannot be had at the moment.") from None
    return Proven(trust.id, trust.version, claims)


async def _check(preparation: Preparation, trust: ResourceRow, spec: api.TrustedIssuerSpec, claims: Claims) -> None:
    if (unmet := conditions.unmet(spec.conditions, claims)) is not None:
        raise TokenRefused(f"its claim {unmet.claim} is not what it has to be")
    if _expires_at_ns(claims) <= preparation.now_ns:
        raise TokenRefused("it has expired")
    if spec.one_time:
        async with preparation.database.reading() as transaction:
            if await transaction.federation.used_token(trust.id, _token_hash(claims)) is not None:
                raise TokenRefused("it was exchanged before")


async def _exchange(call: ControlCall, request: api.ExchangeTokenRequest) -> api.ExchangeTokenResponse:
    proven: Proven = call.prepared
    trust = await _trusted(call.transaction, proven.trusted_issuer_id)
    if trust.version != proven.version:
        raise Aborted("Others are changing the same, try again.")
    owner = await call.transaction.resource(kinds.SERVICE_ACCOUNT, trust.owner_id)
    if owner is None:
        raise _refused()
    spec = rows.spec_of(trust, api.TrustedIssuerSpec)
    if spec.one_time:
        await _use_up(call, trust, proven.claims)
    lifetime_ns = spec.key_lifetime.seconds * SECOND_NS
    expires_at_ns = min(call.now_ns + lifetime_ns, _expires_at_ns(proven.claims))
    given = await keys.give(call, trust, spec, expires_at_ns)
    principal = Principal(PrincipalKind.SERVICE_ACCOUNT, owner.id, owner.name, trust.account_id, given.id)
    record = _record(call.entropy, call.now_ns, trust, spec, proven.claims, principal, call.address)
    await call.transaction.audit.add([record])
    expiry = Timestamp()
    expiry.FromNanoseconds(expires_at_ns)
    return api.ExchangeTokenResponse(token=given.text, expiry_time=expiry)


async def _trusted(transaction: Transaction, trusted_issuer_id: str) -> ResourceRow:
    """Raises Unauthenticated: there is none, or its account is closed."""
    trust = await transaction.resource(kinds.TRUSTED_ISSUER, trusted_issuer_id)
    account = await transaction.resource(kinds.ACCOUNT, trust.account_id) if trust is not None else None
    if trust is None or account is None or account.state != rows.ACTIVE:
        raise _refused()
    return trust


async def _use_up(call: ControlCall, trust: ResourceRow, claims: Claims) -> None:
    token_hash = _token_hash(claims)
    if await call.transaction.federation.used_token(trust.id, token_hash) is not None:
        raise _refused()
    # It is good for as long as clocks may differ, still.
    until_ns = _expires_at_ns(claims) + 2 * LEEWAY_S * SECOND_NS
    call.transaction.federation.add(
        UsedTokenRow(trusted_issuer_id=trust.id, token_hash=token_hash, expires_at_ns=until_ns)
    )


def _token_hash(claims: Claims) -> bytes:
    """Raises TokenRefused: it has no id."""
    token_id = claims.get("jti")
    if not isinstance(token_id, str) or not token_id:
        raise TokenRefused("it is to be exchanged once, and has no id (jti)")
    return sha256(token_id.encode()).digest()


def _expires_at_ns(claims: Claims) -> int:
    return int(float(claims["exp"]) * SECOND_NS)


async def _tell(
    preparation: Preparation, trust: ResourceRow, spec: api.TrustedIssuerSpec, claims: Claims, reason: str
) -> None:
    """Whoever set up the trust can read in his audit log why a token was refused. Whoever showed it is not told."""
    federation = preparation.federation
    if not federation.tells(trust.id):
        return
    principal = Principal(PrincipalKind.SERVICE_ACCOUNT, trust.owner_id, account_id=trust.account_id)
    entropy, address = federation.runtime.entropy, preparation.address
    record = _record(entropy, preparation.now_ns, trust, spec, claims, principal, address, reason)
    try:
        await preparation.write(lambda transaction: transaction.audit.add([record]))
    except StoreError as failure:
        _log.warning("the audit log lacks a refusal", rpc="ExchangeToken", error=str(failure))


def _record(
    entropy: Entropy,
    now_ns: int,
    trust: ResourceRow,
    spec: api.TrustedIssuerSpec,
    claims: Claims,
    principal: Principal,
    address: str,
    reason: str = "",
) -> NewRecord:
    details: dict[str, Any] = {
        "rpc": "ExchangeToken",
        "trustedIssuerId": trust.id,
        "issuer": spec.issuer,
        "subject": str(claims.get("sub", ""))[:_TEXT_LENGTH_MAX],
    }
    if reason:
        details["error"] = {"code": "UNAUTHENTICATED", "message": reason[:_TEXT_LENGTH_MAX]}
    status = records.ERROR if reason else records.OK
    return records.record(
        entropy, now_ns, trust.account_id, EXCHANGE, status, principal, details=details, address=address
    )


def _refused() -> ServiceError:
    """The same for whatever is wrong: nobody learns what there is, or what he has to pretend."""
    return Unauthenticated("The token is not accepted.")


METHODS: Mapping[str, Method] = {"ExchangeToken": Method(_exchange, at_nothing, changes=True, prepare=_prepare)}
