"""Trusted issuers: whose tokens stand for which service account of an account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from perdure.api.calls import ControlCall, Method, at_account
from perdure.api.data.tables import ResourceRow
from perdure.api.federation import conditions, keys
from perdure.api.protos import federation_pb2 as api
from perdure.api.resources import api_keys, kinds, names, rows
from perdure.api.resources.key_terms import checked_networks, checked_scope
from perdure.api.resources.paging import page
from perdure.auth.oidc.issuers import check_issuer
from perdure.auth.policy.grants import Target
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.errors import InvalidArgument

LIFETIME_S: Final = 15 * 60
LIFETIME_S_MIN: Final = 60
LIFETIME_S_MAX: Final = 3600
AUDIENCES_MAX: Final = 10
AUDIENCE_LENGTH_MAX: Final = 512
_FIELD: Final = "trusted_issuer_id"


async def _create(call: ControlCall, request: api.CreateTrustedIssuerRequest) -> api.CreateTrustedIssuerResponse:
    spec = _checked(request.spec)
    owner_id = spec.service_account_id
    owner = await rows.find(call, kinds.SERVICE_ACCOUNT, owner_id, field="spec.service_account_id")
    if await call.transaction.count(call.account_id, kinds.TRUSTED_ISSUER) >= call.limits.trusted_issuers_max:
        raise rows.too_many(call.limits, "trusted_issuers_max", "too many trusted issuers")
    row = await rows.create(call, kinds.TRUSTED_ISSUER, call.new_id(), spec.display_name, spec, owner_id=owner.id)
    return api.CreateTrustedIssuerResponse(trusted_issuer_id=row.id)


async def _get(call: ControlCall, request: api.GetTrustedIssuerRequest) -> api.GetTrustedIssuerResponse:
    return api.GetTrustedIssuerResponse(trusted_issuer=_shown(await _find(call, request.trusted_issuer_id)))


async def _list(call: ControlCall, request: api.GetTrustedIssuersRequest) -> api.GetTrustedIssuersResponse:
    found, token = await page(call, request, kinds.TRUSTED_ISSUER, owner_id=request.service_account_id or None)
    return api.GetTrustedIssuersResponse(trusted_issuers=[_shown(row) for row in found], next_page_token=token)


async def _update(call: ControlCall, request: api.UpdateTrustedIssuerRequest) -> api.UpdateTrustedIssuerResponse:
    row = await _find(call, request.trusted_issuer_id)
    spec = _checked(request.spec)
    if spec.service_account_id != row.owner_id:
        raise InvalidArgument("spec.service_account_id: cannot be changed.")
    await names.rename(call, row, spec.display_name)
    rows.change(call, row, request.resource_version, spec)
    return api.UpdateTrustedIssuerResponse(resource_version=str(row.version))


async def _delete(call: ControlCall, request: api.DeleteTrustedIssuerRequest) -> api.DeleteTrustedIssuerResponse:
    row = await _find(call, request.trusted_issuer_id)
    await keys.end_all(call.transaction, row.id)
    await rows.delete(call, row, request.resource_version)
    return api.DeleteTrustedIssuerResponse()


async def remove_all(call: ControlCall, owner: ResourceRow) -> None:
    """Nobody is this service account any more."""
    for row in await call.transaction.resources(owner.account_id, kinds.TRUSTED_ISSUER, owner_id=owner.id):
        await keys.end_all(call.transaction, row.id)
        await call.transaction.remove(row)


async def _find(call: ControlCall, trusted_issuer_id: str) -> ResourceRow:
    return await rows.find(call, kinds.TRUSTED_ISSUER, trusted_issuer_id, field=_FIELD)


def _checked(spec: api.TrustedIssuerSpec) -> api.TrustedIssuerSpec:
    names.check(spec.display_name, "spec.display_name")
    check_issuer(spec.issuer, "spec.issuer")
    if not spec.audiences or len(spec.audiences) > AUDIENCES_MAX:
        raise InvalidArgument(f"spec.audiences: must be 1 to {AUDIENCES_MAX}.")
    for audience in spec.audiences:
        names.check(audience, "spec.audiences", AUDIENCE_LENGTH_MAX)
    conditions.check(spec.conditions, spec.issuer, "spec.conditions")
    result = api.TrustedIssuerSpec()
    result.CopyFrom(spec)
    result.audiences[:] = dict.fromkeys(spec.audiences)
    result.scope = checked_scope(spec.scope)
    result.source_networks[:] = checked_networks(spec.source_networks)
    result.key_lifetime.Clear()
    result.key_lifetime.seconds = _lifetime_s(spec)
    return result


def _lifetime_s(spec: api.TrustedIssuerSpec) -> int:
    if not spec.HasField("key_lifetime"):
        return LIFETIME_S
    seconds = (spec.key_lifetime.seconds * SECOND_NS + spec.key_lifetime.nanos) // SECOND_NS
    if not LIFETIME_S_MIN <= seconds <= LIFETIME_S_MAX:
        raise InvalidArgument(f"spec.key_lifetime: must be from {LIFETIME_S_MIN} to {LIFETIME_S_MAX} seconds.")
    return seconds


def _shown(row: ResourceRow) -> api.TrustedIssuer:
    result = api.TrustedIssuer(
        id=row.id, spec=rows.spec_of(row, api.TrustedIssuerSpec), resource_version=str(row.version)
    )
    result.created_time.FromNanoseconds(row.created_at_ns)
    if row.modified_at_ns != row.created_at_ns:
        result.last_modified_time.FromNanoseconds(row.modified_at_ns)
    return result


async def _at_new(call: ControlCall, request: api.CreateTrustedIssuerRequest) -> Target:
    return await _target(call, request.spec.service_account_id)


async def _at_changed(
    call: ControlCall, request: api.UpdateTrustedIssuerRequest | api.DeleteTrustedIssuerRequest
) -> Target:
    row = await call.transaction.resource(kinds.TRUSTED_ISSUER, request.trusted_issuer_id)
    if row is None or row.account_id != call.account_id:
        return Target(call.account_id)
    return await _target(call, row.owner_id)


async def _target(call: ControlCall, service_account_id: str) -> Target:
    """Whoever says whose tokens are good for its keys may give it a key."""
    owner = await call.transaction.resource(kinds.SERVICE_ACCOUNT, service_account_id)
    return api_keys.target_of_owner(call, owner)


METHODS: Mapping[str, Method] = {
    "CreateTrustedIssuer": Method(_create, _at_new, changes=True),
    "GetTrustedIssuer": Method(_get, at_account),
    "GetTrustedIssuers": Method(_list, at_account),
    "UpdateTrustedIssuer": Method(_update, _at_changed, changes=True),
    "DeleteTrustedIssuer": Method(_delete, _at_changed, changes=True),
}
