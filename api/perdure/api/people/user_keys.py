"""API keys beyond CloudService: people's own, narrower ones, and one key in the place of another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.cloud.identity.v1 import ApiKeySpec, OwnerType

from perdure.api.calls import ControlCall, Method
from perdure.api.protos import identity_pb2 as api
from perdure.api.resources import api_keys, endings, kinds, rows
from perdure.api.resources.endings import UNVOUCHED
from perdure.api.resources.key_terms import check_overlap, checked_networks, checked_scope
from perdure.auth.policy.grants import KeyScope, Target
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.errors import FailedPrecondition, PermissionDenied, Unauthenticated
from perdure.kernel.identity import PrincipalKind

_FIELD: Final = "key_id"
_REPLACED_BY: Final = "replaced_by"
_REPLACES: Final = "replaces"


async def _create(call: ControlCall, request: api.CreateUserApiKeyRequest) -> api.CreateUserApiKeyResponse:
    if call.principal.kind is not PrincipalKind.USER:
        raise PermissionDenied("CreateUserApiKey: is for people; keys of service accounts are made by CreateApiKey.")
    owner = await rows.find(call, kinds.USER, call.principal.id, field="user")
    spec = ApiKeySpec(
        owner_id=owner.id,
        owner_type=OwnerType.OWNER_TYPE_USER,
        display_name=request.display_name,
        description=request.description,
        expiry_time=request.expiry_time if request.HasField("expiry_time") else None,
    )
    scope, networks = checked_scope(request.scope), checked_networks(request.source_networks)
    spec, unvouched = api_keys.checked(call, spec, ""), await _unvouched(call)
    key_id, token = await api_keys.give(call, owner, spec, scope, networks, unvouched=unvouched)
    return api.CreateUserApiKeyResponse(key_id=key_id, token=token)


async def _rotate(call: ControlCall, request: api.RotateApiKeyRequest) -> api.RotateApiKeyResponse:
    old = await rows.find(call, kinds.API_KEY, request.key_id, field=_FIELD)
    spec = rows.spec_of(old, ApiKeySpec)
    # Whoever got hold of one key must not have the others by it.
    if old.owner_id == call.principal.id and not call.grants.signed_in and old.id != call.principal.key_id:
        raise PermissionDenied("RotateApiKey: a key rotates no other key of its owner.")
    unvouched = ""
    if spec.owner_type == OwnerType.OWNER_TYPE_USER:
        if old.owner_id != call.principal.id:
            raise PermissionDenied("RotateApiKey: a key of a person is rotated by himself only.")
        unvouched = old.details.get(UNVOUCHED) or await _unvouched(call)
    check_overlap(request.overlap_seconds)
    if old.details.get(_REPLACED_BY):
        raise FailedPrecondition(f"key_id: has been rotated already, see {old.details[_REPLACED_BY]}.")
    ends_at_ns = spec.expiry_time.ToNanoseconds()
    if spec.disabled or ends_at_ns <= call.now_ns:
        raise FailedPrecondition("key_id: is disabled or has expired.")
    owner = await rows.find(call, api_keys.OWNERS[spec.owner_type], old.owner_id, field="owner_id")
    renewed = ApiKeySpec()
    renewed.CopyFrom(spec)
    renewed.expiry_time.CopyFrom(_time(call.now_ns + ends_at_ns - old.created_at_ns))
    key_id, token = await api_keys.give(
        call,
        owner,
        renewed,
        KeyScope(old.details["scope"]),
        tuple(old.details["sources"]),
        replaces=old.id,
        unvouched=unvouched,
    )
    spec.expiry_time.CopyFrom(_time(min(ends_at_ns, call.now_ns + request.overlap_seconds * SECOND_NS)))
    rows.change(call, old, None, spec, details={_REPLACED_BY: key_id})
    api_keys.publish(call, old)
    return api.RotateApiKeyResponse(key_id=key_id, token=token)


async def _unvouched(call: ControlCall) -> str:
    """The sign-on connection by which he came, if it does not vouch for owners; with a key, by which its maker did.

    Raises:
        Unauthenticated: what he came with has just ended.
    """
    session = await call.transaction.people.session(call.principal.key_id)
    if session is not None:
        return await endings.unvouched(call.transaction, session.connection_id)
    key = await call.transaction.resource(kinds.API_KEY, call.principal.key_id)
    if key is None:
        raise Unauthenticated("The session has ended, or the API key.")
    return str(key.details.get(UNVOUCHED, ""))


async def _details(call: ControlCall, request: api.GetApiKeyDetailsRequest) -> api.GetApiKeyDetailsResponse:
    row = await rows.find(call, kinds.API_KEY, request.key_id, field=_FIELD)
    use = await call.transaction.people.use(row.id)
    return api.GetApiKeyDetailsResponse(
        key_id=row.id,
        scope=row.details["scope"],
        source_networks=row.details["sources"],
        last_used_time=_time(use.used_at_ns) if use is not None else None,
        replaced_by=row.details.get(_REPLACED_BY, ""),
        replaces=row.details.get(_REPLACES, ""),
    )


def _time(at_ns: int) -> Timestamp:
    time = Timestamp()
    time.FromNanoseconds(at_ns)
    return time


async def _at_own(call: ControlCall, request: api.CreateUserApiKeyRequest) -> Target:
    return Target(call.account_id, owner_id=call.principal.id)


METHODS: Mapping[str, Method] = {
    "CreateUserApiKey": Method(_create, _at_own, changes=True),
    "RotateApiKey": Method(_rotate, api_keys.at_key, changes=True),
    "GetApiKeyDetails": Method(_details, api_keys.at_key),
}
