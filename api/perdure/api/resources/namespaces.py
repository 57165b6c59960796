"""Namespaces. What they are to be is here; that the data plane follows is the work of `perdure.api.operations`."""

from __future__ import annotations

from collections.abc import Mapping

from temporalio.api.cloud.cloudservice.v1 import (
    AddNamespaceRegionRequest,
    CreateNamespaceRequest,
    CreateNamespaceResponse,
    DeleteNamespaceRegionRequest,
    DeleteNamespaceRequest,
    DeleteNamespaceResponse,
    FailoverNamespaceRegionRequest,
    GetNamespaceCapacityInfoRequest,
    GetNamespaceCapacityInfoResponse,
    GetNamespaceRequest,
    GetNamespaceResponse,
    GetNamespacesRequest,
    GetNamespacesResponse,
    RenameCustomSearchAttributeRequest,
    RenameCustomSearchAttributeResponse,
    UpdateNamespaceRequest,
    UpdateNamespaceResponse,
    UpdateNamespaceTagsRequest,
    UpdateNamespaceTagsResponse,
)
from temporalio.api.cloud.identity.v1 import NamespaceAccess
from temporalio.api.cloud.namespace.v1 import Namespace, NamespaceSpec, Replica
from temporalio.api.cloud.resource.v1 import ResourceState

from perdure.api.calls import ControlCall, Method, at_account, at_namespace
from perdure.api.data.tables import ResourceRow
from perdure.api.resources import attribute_names, kinds, namespace_spec, rows, tags
from perdure.api.resources.paging import page
from perdure.api.resources.publishing import access_of, publish_identity, set_access
from perdure.api.usage import reading
from perdure.api.usage.capacity import WINDOW_HOURS, on_demand_limit, rates_of
from perdure.auth.policy.grants import AccountRole
from perdure.kernel.errors import FailedPrecondition, InvalidArgument, NotFound
from perdure.kernel.identity import PrincipalKind
from perdure.kernel.persistence.usage import HOUR_NS

_FIELD = "namespace"
_ACTIVATING = int(ResourceState.RESOURCE_STATE_ACTIVATING)
_UPDATING = int(ResourceState.RESOURCE_STATE_UPDATING)
_DELETING = int(ResourceState.RESOURCE_STATE_DELETING)


async def _create(call: ControlCall, request: CreateNamespaceRequest) -> CreateNamespaceResponse:
    spec = namespace_spec.checked(request.spec, _regions(call))
    await _check_rules(call, spec)
    labels = tags.changed({}, dict(request.tags), (), call.limits.tags_per_namespace_max)
    if await call.transaction.count(call.account_id, kinds.NAMESPACE) >= call.limits.namespaces_max:
        raise rows.too_many(call.limits, "namespaces_max", "too many namespaces")
    name = f"{spec.name}.{call.account_id}"
    row = await rows.create(
        call,
        kinds.NAMESPACE,
        name,
        name,
        spec,
        state=_ACTIVATING,
        tags=labels,
        namespace_id=call.entropy.uuid(),
        creator_id=call.principal.id,
    )
    await _grant_creator(call, row)
    call.deferred = True
    return CreateNamespaceResponse(namespace=name)


async def _grant_creator(call: ControlCall, namespace: ResourceRow) -> None:
    """Whoever makes a namespace is its Admin, if his role is not that already."""
    if call.grants.roles & {AccountRole.OWNER, AccountRole.ADMIN}:
        return
    kind = kinds.USER if call.principal.kind is PrincipalKind.USER else kinds.SERVICE_ACCOUNT
    creator = await rows.find(call, kind, call.principal.id, field="principal")
    access = access_of(creator)
    access.namespace_accesses[namespace.id].permission = NamespaceAccess.PERMISSION_ADMIN
    creator.spec = set_access(creator, access)
    creator.version += 1
    await publish_identity(call.transaction, creator)


async def _get(call: ControlCall, request: GetNamespaceRequest) -> GetNamespaceResponse:
    row = await rows.find(call, kinds.NAMESPACE, request.namespace, field=_FIELD)
    return GetNamespaceResponse(namespace=shown(call, row))


async def _list(call: ControlCall, request: GetNamespacesRequest) -> GetNamespacesResponse:
    def wanted(row: ResourceRow) -> bool:
        visible = not call.only_visible or row.id in call.grants.namespaces
        return visible and request.name in ("", row.id, row.id.rpartition(".")[0])

    found, token = await page(call, request, kinds.NAMESPACE, wanted)
    return GetNamespacesResponse(namespaces=[shown(call, row) for row in found], next_page_token=token)


async def _update(call: ControlCall, request: UpdateNamespaceRequest) -> UpdateNamespaceResponse:
    row = await rows.find(call, kinds.NAMESPACE, request.namespace, field=_FIELD)
    before = rows.spec_of(row, NamespaceSpec)
    spec = namespace_spec.checked(request.spec, _regions(call))
    if spec.name != before.name:
        raise InvalidArgument("spec.name: cannot be changed.")
    if list(spec.replicas) != list(before.replicas):
        raise InvalidArgument("spec.replicas: cannot be changed here.")
    for attribute in spec.search_attributes:
        kind = before.search_attributes.get(attribute, spec.search_attributes[attribute])
        if kind != spec.search_attributes[attribute]:
            raise InvalidArgument(f"spec.search_attributes: the type of {attribute} cannot be changed.")
    await _check_rules(call, spec)
    namespace_spec.check_revocations(spec, row.details.get("revocation_lists", "").encode())
    known = row.details.get("stored_attributes", {})
    stored = attribute_names.updated(known, before.search_attributes, spec.search_attributes)
    details = {"stored_attributes": stored} if stored != known else None
    rows.change(call, row, request.resource_version, spec, state=_UPDATING, details=details)
    call.deferred = True
    return UpdateNamespaceResponse()


async def _rename_attribute(
    call: ControlCall, request: RenameCustomSearchAttributeRequest
) -> RenameCustomSearchAttributeResponse:
    row = await rows.find(call, kinds.NAMESPACE, request.namespace, field=_FIELD)
    spec = rows.spec_of(row, NamespaceSpec)
    old, new = request.existing_custom_search_attribute_name, request.new_custom_search_attribute_name
    namespace_spec.check_attribute_name(new, "new_custom_search_attribute_name")
    if old not in spec.search_attributes:
        raise NotFound(f"existing_custom_search_attribute_name: search attribute {old} is not found.")
    if new in spec.search_attributes:
        raise InvalidArgument(f"new_custom_search_attribute_name: there is a search attribute {new} already.")
    spec.search_attributes[new] = spec.search_attributes.pop(old)
    stored = attribute_names.renamed(row.details.get("stored_attributes", {}), old, new)
    rows.change(call, row, request.resource_version, spec, state=_UPDATING, details={"stored_attributes": stored})
    call.deferred = True
    return RenameCustomSearchAttributeResponse()


async def _delete(call: ControlCall, request: DeleteNamespaceRequest) -> DeleteNamespaceResponse:
    row = await rows.find(call, kinds.NAMESPACE, request.namespace, field=_FIELD)
    spec = rows.spec_of(row, NamespaceSpec)
    if spec.lifecycle.enable_delete_protection:
        raise FailedPrecondition(
            "The namespace is protected: switch off spec.lifecycle.enable_delete_protection first."
        )
    for endpoint in await call.transaction.resources(call.account_id, kinds.NEXUS_ENDPOINT):
        if endpoint.details["target_id"] == row.details["namespace_id"]:
            raise FailedPrecondition(
                f"The namespace is the target of the Nexus endpoint {endpoint.name}: delete that first, or change it."
            )
    rows.change(call, row, request.resource_version, state=_DELETING)
    call.deferred = True
    return DeleteNamespaceResponse()


async def _update_tags(call: ControlCall, request: UpdateNamespaceTagsRequest) -> UpdateNamespaceTagsResponse:
    row = await rows.find(call, kinds.NAMESPACE, request.namespace, field=_FIELD)
    if not request.tags_to_upsert and not request.tags_to_remove:
        raise InvalidArgument("tags_to_upsert or tags_to_remove: must be given.")
    labels = tags.changed(
        row.details["tags"], dict(request.tags_to_upsert), request.tags_to_remove, call.limits.tags_per_namespace_max
    )
    rows.change(call, row, None, details={"tags": labels}, state=row.state)
    return UpdateNamespaceTagsResponse()


async def _capacity(call: ControlCall, request: GetNamespaceCapacityInfoRequest) -> GetNamespaceCapacityInfoResponse:
    row = await rows.find(call, kinds.NAMESPACE, request.namespace, field=_FIELD)
    spec = rows.spec_of(row, NamespaceSpec)
    response = GetNamespaceCapacityInfoResponse()
    info = response.capacity_info
    info.namespace = row.id
    _show_capacity(spec, info.current_capacity)
    info.mode_options.provisioned.valid_tru_values.extend(namespace_spec.CAPACITY_UNITS)
    info.mode_options.provisioned.max_available_tru_value = max(namespace_spec.CAPACITY_UNITS)
    if call.usage is None:
        info.mode_options.on_demand.aps_limit = namespace_spec.UNIT_ACTIONS_PER_SECOND
        return response
    until_hour = call.now_ns // HOUR_NS
    hours = await reading.rates(call.usage, row.details["namespace_id"], until_hour - WINDOW_HOURS, until_hour)
    rates = rates_of(hours)
    info.mode_options.on_demand.aps_limit = on_demand_limit(rates)
    info.stats.aps.mean, info.stats.aps.p90, info.stats.aps.p99 = rates
    return response


async def _other_regions(
    call: ControlCall,
    request: AddNamespaceRegionRequest | DeleteNamespaceRegionRequest | FailoverNamespaceRegionRequest,
) -> UpdateNamespaceResponse:
    await rows.find(call, kinds.NAMESPACE, request.namespace, field=_FIELD)
    if request.region not in _regions(call):
        raise InvalidArgument(f"region: {request.region} is unknown, must be one of {', '.join(_regions(call))}.")
    raise FailedPrecondition("This installation does not replicate between regions.")


def shown(call: ControlCall, row: ResourceRow) -> Namespace:
    spec = rows.spec_of(row, NamespaceSpec)
    result = Namespace(namespace=row.id, spec=spec, active_region=spec.replicas[0].region)
    namespace_spec.show(result.spec)
    rows.show(row, result)
    if row.details.get("disabled") and row.state == rows.ACTIVE:
        result.state = ResourceState.RESOURCE_STATE_SUSPENDED
        result.state_deprecated = rows.state_name(result.state)
    result.endpoints.CopyFrom(call.endpoints.of(row.id, spec))
    result.limits.actions_per_second_limit = namespace_spec.limits_of(spec, row.details.get("actions_per_second"))[
        "limit.actionsPerSecond"
    ]
    for key, value in row.details["tags"].items():
        result.tags[key] = value
    _show_capacity(spec, result.capacity)
    result.replicas.add(
        id=row.details["namespace_id"], is_primary=True, state=Replica.REPLICA_STATE_ACTIVE, region=result.active_region
    )
    return result


def _show_capacity(spec: NamespaceSpec, capacity: object) -> None:
    if spec.capacity_spec.HasField("provisioned"):
        capacity.provisioned.current_value = spec.capacity_spec.provisioned.value  # type: ignore[attr-defined]
    else:
        capacity.on_demand.SetInParent()  # type: ignore[attr-defined]


async def _check_rules(call: ControlCall, spec: NamespaceSpec) -> None:
    rule_ids = list(dict.fromkeys(spec.connectivity_rule_ids))
    if len(rule_ids) > call.limits.connectivity_rules_per_namespace_max:
        raise rows.too_many(call.limits, "connectivity_rules_per_namespace_max", "too many connectivity rules")
    for rule_id in rule_ids:
        await rows.find(call, kinds.CONNECTIVITY_RULE, rule_id, field="spec.connectivity_rule_ids")


def _regions(call: ControlCall) -> list[str]:
    return [region.id for region in call.regions]


METHODS: Mapping[str, Method] = {
    "CreateNamespace": Method(_create, at_account, changes=True),
    "GetNamespace": Method(_get, at_namespace),
    "GetNamespaces": Method(_list, at_account),
    "UpdateNamespace": Method(_update, at_namespace, changes=True),
    "RenameCustomSearchAttribute": Method(_rename_attribute, at_namespace, changes=True),
    "DeleteNamespace": Method(_delete, at_namespace, changes=True),
    "UpdateNamespaceTags": Method(_update_tags, at_namespace, changes=True),
    "GetNamespaceCapacityInfo": Method(_capacity, at_namespace),
    "AddNamespaceRegion": Method(_other_regions, at_namespace, changes=True),
    "DeleteNamespaceRegion": Method(_other_regions, at_namespace, changes=True),
    "FailoverNamespaceRegion": Method(_other_regions, at_namespace, changes=True),
}
