"""Nexus endpoints: names under which namespaces offer operations to each other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from temporalio.api.cloud.cloudservice.v1 import (
    CreateNexusEndpointRequest,
    CreateNexusEndpointResponse,
    DeleteNexusEndpointRequest,
    DeleteNexusEndpointResponse,
    GetNexusEndpointRequest,
    GetNexusEndpointResponse,
    GetNexusEndpointsRequest,
    GetNexusEndpointsResponse,
    UpdateNexusEndpointRequest,
    UpdateNexusEndpointResponse,
)
from temporalio.api.cloud.nexus.v1 import Endpoint, EndpointSpec
from temporalio.api.cloud.resource.v1 import ResourceState

from perdure.api.calls import ControlCall, Method, at_account
from perdure.api.data.tables import ResourceRow
from perdure.api.resources import kinds, names, rows
from perdure.api.resources.paging import page
from perdure.auth.policy.grants import Target
from perdure.kernel.errors import InvalidArgument

NAME_LENGTH_MAX = 200
DESCRIPTION_BYTES_MAX = 20_000
CALLERS_MAX = 1000
QUEUE_LENGTH_MAX = 1000

_FIELD = "endpoint_id"
_ACTIVATING = int(ResourceState.RESOURCE_STATE_ACTIVATING)
_UPDATING = int(ResourceState.RESOURCE_STATE_UPDATING)
_DELETING = int(ResourceState.RESOURCE_STATE_DELETING)
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9-]*[a-zA-Z0-9]")


async def _create(call: ControlCall, request: CreateNexusEndpointRequest) -> CreateNexusEndpointResponse:
    details = await _check(call, request.spec)
    if await call.transaction.count(call.account_id, kinds.NEXUS_ENDPOINT) >= call.limits.nexus_endpoints_max:
        raise rows.too_many(call.limits, "nexus_endpoints_max", "too many Nexus endpoints")
    row = await rows.create(
        call, kinds.NEXUS_ENDPOINT, call.new_id(), request.spec.name, request.spec, state=_ACTIVATING, **details
    )
    call.deferred = True
    return CreateNexusEndpointResponse(endpoint_id=row.id)


async def _get(call: ControlCall, request: GetNexusEndpointRequest) -> GetNexusEndpointResponse:
    row = await rows.find(call, kinds.NEXUS_ENDPOINT, request.endpoint_id, field=_FIELD)
    return GetNexusEndpointResponse(endpoint=_shown(call, row))


async def _list(call: ControlCall, request: GetNexusEndpointsRequest) -> GetNexusEndpointsResponse:
    def wanted(row: ResourceRow) -> bool:
        target = rows.spec_of(row, EndpointSpec).target_spec.worker_target_spec
        return (
            request.target_namespace_id in ("", target.namespace_id)
            and request.target_task_queue in ("", target.task_queue)
            and request.name in ("", row.name)
        )

    found, token = await page(call, request, kinds.NEXUS_ENDPOINT, wanted)
    return GetNexusEndpointsResponse(endpoints=[_shown(call, row) for row in found], next_page_token=token)


async def _update(call: ControlCall, request: UpdateNexusEndpointRequest) -> UpdateNexusEndpointResponse:
    row = await rows.find(call, kinds.NEXUS_ENDPOINT, request.endpoint_id, field=_FIELD)
    details = await _check(call, request.spec)
    await names.rename(call, row, request.spec.name)
    rows.change(call, row, request.resource_version, request.spec, state=_UPDATING, details=details)
    call.deferred = True
    return UpdateNexusEndpointResponse()


async def _delete(call: ControlCall, request: DeleteNexusEndpointRequest) -> DeleteNexusEndpointResponse:
    row = await rows.find(call, kinds.NEXUS_ENDPOINT, request.endpoint_id, field=_FIELD)
    rows.change(call, row, request.resource_version, state=_DELETING)
    call.deferred = True
    return DeleteNexusEndpointResponse()


def _shown(call: ControlCall, row: ResourceRow) -> Endpoint:
    result = Endpoint(spec=rows.spec_of(row, EndpointSpec))
    if not call.payloads:
        result.spec.ClearField("description")
        result.spec.ClearField("description_deprecated")
    rows.show(row, result)
    return result


async def _check(call: ControlCall, spec: EndpointSpec) -> dict[str, Any]:
    """What is wrong with a specification is told. Returns by which ids the data plane knows the namespaces in it."""
    if len(spec.name) > NAME_LENGTH_MAX or not _NAME.fullmatch(spec.name):
        raise InvalidArgument(
            f"spec.name: must have 2 to {NAME_LENGTH_MAX} letters, digits and hyphens, begin with a letter and not end "
            "with a hyphen."
        )
    if len(spec.description.data) > DESCRIPTION_BYTES_MAX or len(spec.description_deprecated) > DESCRIPTION_BYTES_MAX:
        raise InvalidArgument(f"spec.description: is longer than {DESCRIPTION_BYTES_MAX} bytes.")
    target = spec.target_spec.worker_target_spec
    names.check(target.task_queue, "spec.target_spec.worker_target_spec.task_queue", QUEUE_LENGTH_MAX)
    if len(spec.policy_specs) > CALLERS_MAX:
        raise InvalidArgument(f"spec.policy_specs: at most {CALLERS_MAX}.")
    ids = []
    for field, namespace in _namespaces(spec):
        ids.append((await rows.find(call, kinds.NAMESPACE, namespace, field=field)).details["namespace_id"])
    return {"target_id": ids[0], "caller_ids": ids[1:]}


def _namespaces(spec: EndpointSpec) -> Iterator[tuple[str, str]]:
    """The field and name of each namespace that it is about."""
    yield "spec.target_spec.worker_target_spec.namespace_id", spec.target_spec.worker_target_spec.namespace_id
    for policy in spec.policy_specs:
        field = "spec.policy_specs.allowed_cloud_namespace_policy_spec.namespace_id"
        yield field, policy.allowed_cloud_namespace_policy_spec.namespace_id


async def _at_new(call: ControlCall, request: CreateNexusEndpointRequest) -> Target:
    return Target(call.account_id, namespaces=_targets(request.spec))


async def _at_changed(call: ControlCall, request: UpdateNexusEndpointRequest) -> Target:
    before = await _targets_of(call, request.endpoint_id)
    namespaces = tuple(dict.fromkeys((*before, *_targets(request.spec))))
    return Target(call.account_id, namespaces=namespaces, resource_id=request.endpoint_id)


async def _at_deleted(call: ControlCall, request: DeleteNexusEndpointRequest) -> Target:
    before = await _targets_of(call, request.endpoint_id)
    return Target(call.account_id, namespaces=before, resource_id=request.endpoint_id)


async def _at_endpoint(call: ControlCall, request: GetNexusEndpointRequest) -> Target:
    return Target(call.account_id, resource_id=request.endpoint_id)


async def _targets_of(call: ControlCall, endpoint_id: str) -> tuple[str, ...]:
    row = await call.transaction.resource(kinds.NEXUS_ENDPOINT, endpoint_id)
    if row is None or row.account_id != call.account_id:
        return ()
    return _targets(rows.spec_of(row, EndpointSpec))


def _targets(spec: EndpointSpec) -> tuple[str, ...]:
    namespace = spec.target_spec.worker_target_spec.namespace_id
    return (namespace,) if namespace else ()


METHODS: Mapping[str, Method] = {
    "CreateNexusEndpoint": Method(_create, _at_new, changes=True),
    "GetNexusEndpoint": Method(_get, _at_endpoint),
    "GetNexusEndpoints": Method(_list, at_account),
    "UpdateNexusEndpoint": Method(_update, _at_changed, changes=True),
    "DeleteNexusEndpoint": Method(_delete, _at_deleted, changes=True),
}
