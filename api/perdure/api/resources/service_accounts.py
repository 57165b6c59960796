"""Service accounts: identities of machines, of the whole account or of one namespace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from temporalio.api.cloud.cloudservice.v1 import (
    CreateServiceAccountRequest,
    CreateServiceAccountResponse,
    DeleteServiceAccountRequest,
    DeleteServiceAccountResponse,
    GetServiceAccountRequest,
    GetServiceAccountResponse,
    GetServiceAccountsRequest,
    GetServiceAccountsResponse,
    UpdateServiceAccountRequest,
    UpdateServiceAccountResponse,
)
from temporalio.api.cloud.identity.v1 import ServiceAccount, ServiceAccountSpec

from perdure.api.calls import ControlCall, Method, at_account
from perdure.api.data.tables import ResourceRow
from perdure.api.federation import trusted_issuers
from perdure.api.resources import accesses, api_keys, kinds, names, rows
from perdure.api.resources.paging import page
from perdure.api.resources.publishing import access_of, publish_identity
from perdure.auth.policy.grants import Target
from perdure.kernel.errors import InvalidArgument, NotFound

_FIELD = "service_account_id"


async def _create(call: ControlCall, request: CreateServiceAccountRequest) -> CreateServiceAccountResponse:
    spec = _checked(call, request.spec)
    if await call.transaction.count(call.account_id, kinds.SERVICE_ACCOUNT) >= call.limits.service_accounts_max:
        raise rows.too_many(call.limits, "service_accounts_max", "too many service accounts")
    await _check_namespace(call, spec)
    row = await rows.create(call, kinds.SERVICE_ACCOUNT, call.new_id(), spec.name, spec)
    await publish_identity(call.transaction, row)
    return CreateServiceAccountResponse(service_account_id=row.id)


async def _get(call: ControlCall, request: GetServiceAccountRequest) -> GetServiceAccountResponse:
    row = await rows.find(call, kinds.SERVICE_ACCOUNT, request.service_account_id, field=_FIELD)
    return GetServiceAccountResponse(service_account=shown(row))


async def _list(call: ControlCall, request: GetServiceAccountsRequest) -> GetServiceAccountsResponse:
    found, token = await page(call, request, kinds.SERVICE_ACCOUNT)
    return GetServiceAccountsResponse(service_account=[shown(row) for row in found], next_page_token=token)


async def _update(call: ControlCall, request: UpdateServiceAccountRequest) -> UpdateServiceAccountResponse:
    row = await rows.find(call, kinds.SERVICE_ACCOUNT, request.service_account_id, field=_FIELD)
    spec = _checked(call, request.spec)
    before = rows.spec_of(row, ServiceAccountSpec)
    if before.namespace_scoped_access.namespace != spec.namespace_scoped_access.namespace:
        raise InvalidArgument("spec.namespace_scoped_access.namespace: cannot be changed.")
    await names.rename(call, row, spec.name)
    rows.change(call, row, request.resource_version, spec)
    await publish_identity(call.transaction, row)
    return UpdateServiceAccountResponse()


async def _delete(call: ControlCall, request: DeleteServiceAccountRequest) -> DeleteServiceAccountResponse:
    row = await rows.find(call, kinds.SERVICE_ACCOUNT, request.service_account_id, field=_FIELD)
    await remove(call, row, request.resource_version)
    return DeleteServiceAccountResponse()


async def remove(call: ControlCall, row: ResourceRow, resource_version: str) -> None:
    """With its API keys, and who was trusted to be it. Raises what `rows.delete` does."""
    await api_keys.remove_all(call, row)
    await trusted_issuers.remove_all(call, row)
    await rows.delete(call, row, resource_version)
    call.transaction.withdraw("principal", row.id)


def shown(row: ResourceRow) -> ServiceAccount:
    result = ServiceAccount(spec=rows.spec_of(row, ServiceAccountSpec))
    accesses.show(result.spec.access)
    accesses.show_permission(result.spec.namespace_scoped_access.access)
    if not result.spec.namespace_scoped_access.namespace:
        result.spec.ClearField("namespace_scoped_access")
    rows.show(row, result)
    return result


def _checked(call: ControlCall, spec: ServiceAccountSpec) -> ServiceAccountSpec:
    names.check(spec.name, "spec.name")
    names.check_description(spec.description, "spec.description")
    result = ServiceAccountSpec(name=spec.name, description=spec.description)
    if spec.HasField("access") == spec.HasField("namespace_scoped_access"):
        raise InvalidArgument("spec: needs either access or namespace_scoped_access.")
    if spec.HasField("access"):
        maximum = call.limits.custom_roles_per_principal_max
        result.access.CopyFrom(accesses.checked(spec.access, call.account_id, custom_roles_max=maximum))
        return result
    scoped = spec.namespace_scoped_access
    result.namespace_scoped_access.namespace = scoped.namespace
    result.namespace_scoped_access.access.permission = accesses.permission_of(scoped.access)
    return result


async def _check_namespace(call: ControlCall, spec: ServiceAccountSpec) -> None:
    name = spec.namespace_scoped_access.namespace
    if not name:
        return
    row = await call.transaction.resource(kinds.NAMESPACE, name)
    if row is None or row.account_id != call.account_id:
        raise NotFound(f"spec.namespace_scoped_access.namespace: namespace {name} is not found.")


async def _at_new(call: ControlCall, request: CreateServiceAccountRequest) -> Target:
    return _target(call, request.spec)


async def _at_changed(call: ControlCall, request: UpdateServiceAccountRequest) -> Target:
    return _both(call, await call.transaction.resource(kinds.SERVICE_ACCOUNT, request.service_account_id), request.spec)


async def _at_deleted(call: ControlCall, request: DeleteServiceAccountRequest) -> Target:
    return _both(call, await call.transaction.resource(kinds.SERVICE_ACCOUNT, request.service_account_id), None)


def _both(call: ControlCall, row: ResourceRow | None, spec: ServiceAccountSpec | None) -> Target:
    """What it is before, and what it is to be."""
    if row is None or row.account_id != call.account_id:
        return Target(call.account_id)
    scoped = rows.spec_of(row, ServiceAccountSpec).namespace_scoped_access.namespace
    before = accesses.NOTHING if scoped else access_of(row)
    after = accesses.lenient(spec.access) if spec is not None else accesses.NOTHING
    return replace(accesses.target_of_change(call.account_id, before, after), namespaces=(scoped,) if scoped else ())


def _target(call: ControlCall, spec: ServiceAccountSpec) -> Target:
    scoped = spec.namespace_scoped_access.namespace
    given = accesses.target_of_change(call.account_id, accesses.NOTHING, accesses.lenient(spec.access))
    return replace(given, namespaces=(scoped,) if scoped else ())


METHODS: Mapping[str, Method] = {
    "CreateServiceAccount": Method(_create, _at_new, changes=True),
    "GetServiceAccount": Method(_get, at_account),
    "GetServiceAccounts": Method(_list, at_account),
    "UpdateServiceAccount": Method(_update, _at_changed, changes=True),
    "DeleteServiceAccount": Method(_delete, _at_deleted, changes=True),
}
