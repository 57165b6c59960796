"""The account itself, the caller's identity in it, and regions."""

from __future__ import annotations

from collections.abc import Mapping

from temporalio.api.cloud.account.v1 import Account, AccountSpec
from temporalio.api.cloud.cloudservice.v1 import (
    GetAccountRequest,
    GetAccountResponse,
    GetCurrentIdentityRequest,
    GetCurrentIdentityResponse,
    GetRegionRequest,
    GetRegionResponse,
    GetRegionsRequest,
    GetRegionsResponse,
    UpdateAccountRequest,
    UpdateAccountResponse,
)
from temporalio.api.cloud.region.v1 import Region

from perdure.api.calls import ControlCall, Method, at_account
from perdure.api.resources import api_keys, kinds, regions, rows, service_accounts, users
from perdure.auth.certificates.authorities import parse_authorities
from perdure.kernel.errors import NotFound
from perdure.kernel.identity import PrincipalKind


async def _get(call: ControlCall, request: GetAccountRequest) -> GetAccountResponse:
    row = await rows.find(call, kinds.ACCOUNT, call.account_id, field="account")
    account = Account(spec=rows.spec_of(row, AccountSpec))
    rows.show(row, account)
    return GetAccountResponse(account=account)


async def _update(call: ControlCall, request: UpdateAccountRequest) -> UpdateAccountResponse:
    row = await rows.find(call, kinds.ACCOUNT, call.account_id, field="account")
    if authorities := request.spec.metrics.accepted_client_ca:
        parse_authorities(authorities)
    rows.change(call, row, request.resource_version, request.spec)
    return UpdateAccountResponse()


async def _current_identity(call: ControlCall, request: GetCurrentIdentityRequest) -> GetCurrentIdentityResponse:
    response = GetCurrentIdentityResponse()
    if call.principal.kind is PrincipalKind.USER:
        user = await rows.find(call, kinds.USER, call.principal.id, field="user")
        response.user.CopyFrom(users.shown(user))
    else:
        account = await rows.find(call, kinds.SERVICE_ACCOUNT, call.principal.id, field="service_account")
        response.service_account.CopyFrom(service_accounts.shown(account))
    key = await call.transaction.resource(kinds.API_KEY, call.principal.key_id)
    if key is not None:
        response.principal_api_key.CopyFrom(api_keys.shown(call, key))
    return response


async def _get_regions(call: ControlCall, request: GetRegionsRequest) -> GetRegionsResponse:
    return GetRegionsResponse(regions=[_region(region) for region in call.regions])


async def _get_region(call: ControlCall, request: GetRegionRequest) -> GetRegionResponse:
    found = next((region for region in call.regions if region.id == request.region), None)
    if found is None:
        raise NotFound(f"region: {request.region} is not found.")
    return GetRegionResponse(region=_region(found))


def _region(region: regions.RegionOfCloud) -> Region:
    return Region(
        id=region.id,
        cloud_provider=region.provider,
        cloud_provider_deprecated=region.provider_name,
        cloud_provider_region=region.provider_region,
        location=region.location,
    )


METHODS: Mapping[str, Method] = {
    "GetAccount": Method(_get, at_account),
    "UpdateAccount": Method(_update, at_account, changes=True),
    "GetCurrentIdentity": Method(_current_identity, at_account),
    "GetRegions": Method(_get_regions, at_account),
    "GetRegion": Method(_get_region, at_account),
}
