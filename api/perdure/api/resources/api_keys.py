"""API keys. The secret is in the answer to its creation and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from temporalio.api.cloud.cloudservice.v1 import (
    CreateApiKeyRequest,
    CreateApiKeyResponse,
    DeleteApiKeyRequest,
    DeleteApiKeyResponse,
    GetApiKeyRequest,
    GetApiKeyResponse,
    GetApiKeysRequest,
    GetApiKeysResponse,
    UpdateApiKeyRequest,
    UpdateApiKeyResponse,
)
from temporalio.api.cloud.identity.v1 import ApiKey, ApiKeySpec, OwnerType, ServiceAccountSpec
from temporalio.api.cloud.resource.v1 import ResourceState

from perdure.api.calls import ControlCall, Method, at_account
from perdure.api.data.tables import ResourceRow
from perdure.api.resources import accesses, kinds, names, rows
from perdure.api.resources.endings import UNVOUCHED, end_key
from perdure.api.resources.paging import page
from perdure.api.resources.publishing import access_of
from perdure.auth import secrets
from perdure.auth.access.records import CredentialRecord
from perdure.auth.policy.grants import KeyScope, Target
from perdure.kernel.errors import FailedPrecondition, InvalidArgument
from perdure.kernel.namespace import DAY_NS

#: Two years.
LIFETIME_NS_MAX = 731 * DAY_NS

#: What an account has switched off, in its details.
CREATION_DISABLED = "api_keys_disabled"

_FIELD = "key_id"
#: In a key's details: it has expired, and gateways know it no more.
_WITHDRAWN = "withdrawn"
OWNERS: Mapping[int, str] = {
    OwnerType.OWNER_TYPE_USER: kinds.USER,
    OwnerType.OWNER_TYPE_SERVICE_ACCOUNT: kinds.SERVICE_ACCOUNT,
}
#: Names from before there was an enum.
_OWNER_NAMES: Mapping[str, int] = {
    "user": OwnerType.OWNER_TYPE_USER,
    "service-account": OwnerType.OWNER_TYPE_SERVICE_ACCOUNT,
}
_EXPIRED = ResourceState.RESOURCE_STATE_EXPIRED


async def _create(call: ControlCall, request: CreateApiKeyRequest) -> CreateApiKeyResponse:
    spec = checked(call, request.spec, "spec.")
    if spec.owner_type != OwnerType.OWNER_TYPE_SERVICE_ACCOUNT:
        raise InvalidArgument("spec.owner_type: only keys of service accounts are made here; people make their own.")
    owner = await rows.find(call, kinds.SERVICE_ACCOUNT, spec.owner_id, field="spec.owner_id")
    key_id, token = await give(call, owner, spec)
    return CreateApiKeyResponse(key_id=key_id, token=token)


async def give(
    call: ControlCall,
    owner: ResourceRow,
    spec: ApiKeySpec,
    scope: KeyScope = KeyScope.FULL,
    sources: tuple[str, ...] = (),
    replaces: str = "",
    unvouched: str = "",
) -> tuple[str, str]:
    """A new key of a user or service account: its id and its secret. `replaces` is the key that is going to end,
    `unvouched` what the key's details say under `UNVOUCHED`.

    Raises:
        FailedPrecondition: the account makes no keys.
        ResourceExhausted: the owner has as many as he may have.
    """
    account = await rows.find(call, kinds.ACCOUNT, call.account_id, field="account")
    if account.details.get(CREATION_DISABLED):
        raise FailedPrecondition("The account has switched off the creation of API keys.")
    await _check_count(call, owner, 2 if replaces else 1)
    await _withdraw_expired(call, owner)
    secret = secrets.give(secrets.SecretKind.API_KEY, call.entropy)
    row = await rows.create(
        call,
        kinds.API_KEY,
        secret.id,
        secret.id,
        spec,
        owner_id=owner.id,
        secret_hash=secret.secret_hash.hex(),
        scope=scope,
        sources=list(sources),
    )
    more = {"replaces": replaces, UNVOUCHED: unvouched}
    row.details = {**row.details, **{name: value for name, value in more.items() if value}}
    publish(call, row)
    return row.id, secret.text


async def _check_count(call: ControlCall, owner: ResourceRow, times: int) -> None:
    """While keys are being replaced there may be twice as many."""
    limit = "api_keys_per_user_max" if owner.kind == kinds.USER else "api_keys_per_service_account_max"
    held = await call.transaction.resources(call.account_id, kinds.API_KEY, owner_id=owner.id)
    if sum(not _has_expired(call, row) for row in held) >= times * getattr(call.limits, limit):
        raise rows.too_many(call.limits, limit, "too many API keys")


async def _withdraw_expired(call: ControlCall, owner: ResourceRow) -> None:
    """So that gateways need to know no more keys of an owner than are counted."""
    for row in await call.transaction.resources(call.account_id, kinds.API_KEY, owner_id=owner.id):
        if _has_expired(call, row) and not row.details.get(_WITHDRAWN):
            row.details = {**row.details, _WITHDRAWN: True}
            call.transaction.withdraw("credential", row.id)


async def _get(call: ControlCall, request: GetApiKeyRequest) -> GetApiKeyResponse:
    row = await rows.find(call, kinds.API_KEY, request.key_id, field=_FIELD)
    return GetApiKeyResponse(api_key=shown(call, row))


async def _list(call: ControlCall, request: GetApiKeysRequest) -> GetApiKeysResponse:
    owner_type = request.owner_type or _owner_type(request.owner_type_deprecated, "owner_type")

    def wanted(row: ResourceRow) -> bool:
        spec = rows.spec_of(row, ApiKeySpec)
        if call.only_visible and row.owner_id != call.principal.id:
            return False
        return owner_type in (0, spec.owner_type)

    found, token = await page(call, request, kinds.API_KEY, wanted, owner_id=request.owner_id or None)
    return GetApiKeysResponse(api_keys=[shown(call, row) for row in found], next_page_token=token)


async def _update(call: ControlCall, request: UpdateApiKeyRequest) -> UpdateApiKeyResponse:
    row = await rows.find(call, kinds.API_KEY, request.key_id, field=_FIELD)
    before = rows.spec_of(row, ApiKeySpec)
    spec = ApiKeySpec()
    spec.CopyFrom(before)
    for field in ("owner_id", "owner_type"):
        asked = getattr(request.spec, field)
        if asked and asked != getattr(before, field):
            raise InvalidArgument(f"spec.{field}: cannot be changed.")
    if request.spec.HasField("expiry_time") and request.spec.expiry_time != before.expiry_time:
        raise InvalidArgument("spec.expiry_time: cannot be changed, make another key.")
    spec.display_name = request.spec.display_name
    spec.description = request.spec.description
    spec.disabled = request.spec.disabled
    _check_words(spec, "spec.")
    rows.change(call, row, request.resource_version, spec)
    publish(call, row)
    return UpdateApiKeyResponse()


async def _delete(call: ControlCall, request: DeleteApiKeyRequest) -> DeleteApiKeyResponse:
    row = await rows.find(call, kinds.API_KEY, request.key_id, field=_FIELD)
    await rows.delete(call, row, request.resource_version)
    await call.transaction.people.forget_use(row.id)
    call.transaction.withdraw("credential", row.id)
    return DeleteApiKeyResponse()


async def remove_all(call: ControlCall, owner: ResourceRow) -> None:
    """All keys of a user or service account that goes."""
    for row in await call.transaction.resources(owner.account_id, kinds.API_KEY, owner_id=owner.id):
        await end_key(call.transaction, row)


def shown(call: ControlCall, row: ResourceRow) -> ApiKey:
    result = ApiKey(spec=rows.spec_of(row, ApiKeySpec))
    result.spec.owner_type_deprecated = next(
        (name for name, number in _OWNER_NAMES.items() if number == result.spec.owner_type), ""
    )
    rows.show(row, result)
    if _has_expired(call, row):
        result.state, result.state_deprecated = _EXPIRED, rows.state_name(_EXPIRED)
    return result


def _has_expired(call: ControlCall, row: ResourceRow) -> bool:
    return rows.spec_of(row, ApiKeySpec).expiry_time.ToNanoseconds() <= call.now_ns


def publish(call: ControlCall, row: ResourceRow) -> None:
    if row.details.get(_WITHDRAWN):
        return
    spec = rows.spec_of(row, ApiKeySpec)
    call.transaction.publish(
        CredentialRecord(
            id=row.id,
            kind=secrets.SecretKind.API_KEY,
            owner_id=row.owner_id,
            secret_hash=bytes.fromhex(row.details["secret_hash"]),
            expires_at_ns=spec.expiry_time.ToNanoseconds(),
            disabled=spec.disabled,
            scope=row.details["scope"],
            sources=tuple(row.details["sources"]),
        )
    )


def checked(call: ControlCall, spec: ApiKeySpec, path: str) -> ApiKeySpec:
    """Raises InvalidArgument: it cannot be that of a new key. `path` is what its fields are named with."""
    result = ApiKeySpec()
    result.CopyFrom(spec)
    result.owner_type = spec.owner_type or _owner_type(spec.owner_type_deprecated, f"{path}owner_type")
    result.ClearField("owner_type_deprecated")
    _check_words(result, path)
    if not spec.HasField("expiry_time"):
        raise InvalidArgument(f"{path}expiry_time: must be given.")
    try:
        expires_at_ns = spec.expiry_time.ToNanoseconds()
        spec.expiry_time.ToJsonString()
    except ValueError:
        raise InvalidArgument(f"{path}expiry_time: is not a time.") from None
    if not call.now_ns < expires_at_ns <= call.now_ns + LIFETIME_NS_MAX:
        raise InvalidArgument(f"{path}expiry_time: must be in the future, and within two years.")
    return result


def _check_words(spec: ApiKeySpec, path: str) -> None:
    names.check(spec.display_name, f"{path}display_name")
    names.check_description(spec.description, f"{path}description")


def _owner_type(name: str, field: str) -> Any:
    if not name:
        return OwnerType.OWNER_TYPE_UNSPECIFIED
    number = _OWNER_NAMES.get(name)
    if number is None:
        raise InvalidArgument(f"{field}: {name} is unknown, must be one of {', '.join(_OWNER_NAMES)}.")
    return number


async def _at_new(call: ControlCall, request: CreateApiKeyRequest) -> Target:
    kind = OWNERS.get(request.spec.owner_type) or OWNERS.get(_OWNER_NAMES.get(request.spec.owner_type_deprecated, 0))
    owner = await call.transaction.resource(kind, request.spec.owner_id) if kind else None
    return target_of_owner(call, owner)


async def at_key(call: ControlCall, request: GetApiKeyRequest | UpdateApiKeyRequest | DeleteApiKeyRequest) -> Target:
    row = await call.transaction.resource(kinds.API_KEY, request.key_id)
    if row is None or row.account_id != call.account_id:
        return Target(call.account_id)
    kind = OWNERS[rows.spec_of(row, ApiKeySpec).owner_type]
    return target_of_owner(call, await call.transaction.resource(kind, row.owner_id))


def target_of_owner(call: ControlCall, owner: ResourceRow | None) -> Target:
    """Whoever may give a key may do all that its owner may."""
    if owner is None or owner.account_id != call.account_id:
        return Target(call.account_id)
    scoped = ""
    if owner.kind == kinds.SERVICE_ACCOUNT:
        scoped = rows.spec_of(owner, ServiceAccountSpec).namespace_scoped_access.namespace
    given = accesses.NOTHING if scoped else access_of(owner)
    return replace(
        accesses.target_of_change(call.account_id, accesses.NOTHING, given),
        namespaces=(scoped,) if scoped else (),
        owner_id=owner.id,
    )


METHODS: Mapping[str, Method] = {
    "CreateApiKey": Method(_create, _at_new, changes=True),
    "GetApiKey": Method(_get, at_key),
    "GetApiKeys": Method(_list, at_account),
    "UpdateApiKey": Method(_update, at_key, changes=True),
    "DeleteApiKey": Method(_delete, at_key, changes=True),
}
