"""Namespaces that are switched off, revoke certificates, or were deleted and are wanted back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from temporalio.api.cloud.namespace.v1 import NamespaceSpec
from temporalio.api.cloud.resource.v1 import ResourceState

from perdure.api.calls import ControlCall, Method, at_account, at_namespace
from perdure.api.data.tables import ResourceRow
from perdure.api.protos import extensions_pb2 as api
from perdure.api.resources import kinds, namespace_steps, rows
from perdure.api.resources.key_terms import checked_networks
from perdure.api.resources.paging import page
from perdure.auth.certificates.authorities import parse_authorities
from perdure.auth.certificates.revocation import parse_revocations
from perdure.auth.policy.grants import Target
from perdure.kernel.errors import AlreadyExists, FailedPrecondition, InvalidArgument

_ACTIVATING = int(ResourceState.RESOURCE_STATE_ACTIVATING)


async def _get(call: ControlCall, request: api.GetNamespaceSettingsRequest) -> api.GetNamespaceSettingsResponse:
    row = await rows.find(call, kinds.NAMESPACE, request.namespace, field="namespace")
    settings = api.NamespaceSettings(
        disabled=row.details.get("disabled", False),
        revocation_lists=row.details.get("revocation_lists", "").encode(),
        source_networks=row.details.get("networks", ()),
    )
    return api.GetNamespaceSettingsResponse(settings=settings, resource_version=str(row.version))


async def _update(
    call: ControlCall, request: api.UpdateNamespaceSettingsRequest
) -> api.UpdateNamespaceSettingsResponse:
    row = await rows.find(call, kinds.NAMESPACE, request.namespace, field="namespace")
    if row.state != rows.ACTIVE:
        raise InvalidArgument("namespace: is not active.")
    authorities = rows.spec_of(row, NamespaceSpec).mtls_auth.accepted_client_ca
    parse_revocations(request.settings.revocation_lists, parse_authorities(authorities) if authorities else ())
    details: dict[str, Any] = {
        "networks": list(checked_networks(request.settings.source_networks)),
        "disabled": request.settings.disabled,
        "revocation_lists": request.settings.revocation_lists.decode("ascii", "replace"),
    }
    before = {"disabled": False, "revocation_lists": "", "networks": [], **row.details}
    if all(before[name] == value for name, value in details.items()):
        rows.check_version(row, request.resource_version)
        raise InvalidArgument("nothing to change")
    rows.change(call, row, request.resource_version, details=details)
    await namespace_steps.publish(call.transaction, row)
    return api.UpdateNamespaceSettingsResponse(resource_version=str(row.version))


async def _deleted(call: ControlCall, request: api.GetDeletedNamespacesRequest) -> api.GetDeletedNamespacesResponse:
    def wanted(row: ResourceRow) -> bool:
        return not call.only_visible or row.details["creator_id"] == call.principal.id

    found, token = await page(call, request, kinds.DELETED_NAMESPACE, wanted)
    response = api.GetDeletedNamespacesResponse(next_page_token=token)
    for row in found:
        shown = response.namespaces.add(id=row.id, namespace=row.details["name"])
        shown.deleted_time.FromNanoseconds(row.modified_at_ns)
        shown.purge_time.FromNanoseconds(row.details["purge_at_ns"])
    return response


async def _undelete(call: ControlCall, request: api.UndeleteNamespaceRequest) -> api.UndeleteNamespaceResponse:
    deleted = await rows.find_gone(call, kinds.DELETED_NAMESPACE, request.deleted_namespace_id)
    if deleted.details["purge_at_ns"] <= call.now_ns:
        raise FailedPrecondition("deleted_namespace_id: its time is up, it is being removed.")
    name = deleted.details["name"]
    if await call.transaction.named(call.account_id, kinds.NAMESPACE, name) is not None:
        raise AlreadyExists(f"There is another namespace {name} by now.")
    if await call.transaction.count(call.account_id, kinds.NAMESPACE) >= call.limits.namespaces_max:
        raise rows.too_many(call.limits, "namespaces_max", "too many namespaces")
    details = {key: value for key, value in deleted.details.items() if key not in ("name", "purge_at_ns")}
    spec = rows.spec_of(deleted, NamespaceSpec)
    row = await rows.create(call, kinds.NAMESPACE, name, name, spec, state=_ACTIVATING, **details)
    # The data plane knows this namespace by the version that it was deleted with, and heeds later ones only.
    row.version = deleted.version + 1
    await call.transaction.remove(deleted)
    call.deferred = True
    return api.UndeleteNamespaceResponse(namespace=name)


async def _at_deleted(call: ControlCall, request: api.UndeleteNamespaceRequest) -> Target:
    row = await rows.find_gone(call, kinds.DELETED_NAMESPACE, request.deleted_namespace_id)
    return Target(call.account_id, namespaces=(row.details["name"],))


METHODS: Mapping[str, Method] = {
    "GetNamespaceSettings": Method(_get, at_namespace),
    "UpdateNamespaceSettings": Method(_update, at_namespace, changes=True),
    "GetDeletedNamespaces": Method(_deleted, at_account),
    "UndeleteNamespace": Method(_undelete, _at_deleted, changes=True),
}
