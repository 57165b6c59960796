"""API keys of service accounts with less power than CloudService gives them."""

from __future__ import annotations

from collections.abc import Mapping

from temporalio.api.cloud.identity.v1 import ApiKeySpec, OwnerType

from perdure.api.calls import ControlCall, Method
from perdure.api.protos import extensions_pb2 as api
from perdure.api.resources import api_keys, kinds, rows
from perdure.api.resources.key_terms import checked_networks, checked_scope
from perdure.auth.policy.grants import Target


async def _create(
    call: ControlCall, request: api.CreateServiceAccountApiKeyRequest
) -> api.CreateServiceAccountApiKeyResponse:
    owner = await rows.find(call, kinds.SERVICE_ACCOUNT, request.service_account_id, field="service_account_id")
    spec = ApiKeySpec(
        owner_id=owner.id,
        owner_type=OwnerType.OWNER_TYPE_SERVICE_ACCOUNT,
        display_name=request.display_name,
        description=request.description,
        expiry_time=request.expiry_time if request.HasField("expiry_time") else None,
    )
    scope, networks = checked_scope(request.scope), checked_networks(request.source_networks)
    key_id, token = await api_keys.give(call, owner, api_keys.checked(call, spec, ""), scope, networks)
    return api.CreateServiceAccountApiKeyResponse(key_id=key_id, token=token)


async def _at_owner(call: ControlCall, request: api.CreateServiceAccountApiKeyRequest) -> Target:
    owner = await call.transaction.resource(kinds.SERVICE_ACCOUNT, request.service_account_id)
    return api_keys.target_of_owner(call, owner)


METHODS: Mapping[str, Method] = {"CreateServiceAccountApiKey": Method(_create, _at_owner, changes=True)}
