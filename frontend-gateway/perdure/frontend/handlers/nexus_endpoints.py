"""Nexus endpoints: create, update, delete, get, list. What tenants have is managed by the control plane."""

from __future__ import annotations

import re
from uuid import UUID

import msgspec
from temporalio.api.common.v1 import Payload
from temporalio.api.nexus.v1 import Endpoint, EndpointSpec, EndpointTarget
from temporalio.api.operatorservice.v1 import (
    CreateNexusEndpointRequest,
    CreateNexusEndpointResponse,
    DeleteNexusEndpointRequest,
    DeleteNexusEndpointResponse,
    GetNexusEndpointRequest,
    GetNexusEndpointResponse,
    ListNexusEndpointsRequest,
    ListNexusEndpointsResponse,
    UpdateNexusEndpointRequest,
    UpdateNexusEndpointResponse,
)

from perdure.frontend.namespaces import Namespaces
from perdure.frontend.nexus_endpoints import NexusEndpoints
from perdure.kernel import options
from perdure.kernel.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NamespaceNotFound,
    NotFound,
    Unimplemented,
)
from perdure.kernel.ids import NamespaceId, NamespaceName
from perdure.kernel.limits import Limits
from perdure.kernel.nexus import NexusEndpoint
from perdure.kernel.persistence.nexus_endpoints import NexusEndpointConflict
from perdure.kernel.prototime import timestamp
from perdure.kernel.runtime import Runtime

PAGE_SIZE_DEFAULT = 100
PAGE_SIZE_MAX = 1000
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9\-]*[a-zA-Z0-9]")
#: The installation's own endpoints belong to no account.
_NOBODY = ""


class NexusEndpointHandlers:
    """Answers for the endpoints of one installation."""

    def __init__(self, runtime: Runtime, limits: Limits, namespaces: Namespaces, endpoints: NexusEndpoints) -> None:
        self._runtime = runtime
        self._limits = limits
        self._namespaces = namespaces
        self._endpoints = endpoints
        self._store = endpoints.store

    async def create(self, request: CreateNexusEndpointRequest) -> CreateNexusEndpointResponse:
        namespace_id = await self._check(request.spec)
        endpoint = NexusEndpoint(
            id=self._runtime.entropy.uuid(),
            name=request.spec.name,
            namespace_id=namespace_id,
            task_queue=request.spec.target.worker.task_queue,
            description=_description(request.spec),
            created_at_ns=self._runtime.clock.now_ns(),
        )
        try:
            await self._store.create(endpoint)
        except NexusEndpointConflict:
            raise _taken(endpoint.name, "creating") from None
        self._endpoints.forget()
        return CreateNexusEndpointResponse(endpoint=await self._shown(endpoint))

    async def update(self, request: UpdateNexusEndpointRequest) -> UpdateNexusEndpointResponse:
        namespace_id = await self._check(request.spec)
        known = await self._store.by_id(request.id)
        if known is None or known.account_id:
            raise NotFound(f"error updating Nexus endpoint. endpoint ID {request.id} not found")
        if known.version != request.version:
            raise _outdated(request.version, known.version)
        changed = msgspec.structs.replace(
            known,
            name=request.spec.name,
            namespace_id=namespace_id,
            task_queue=request.spec.target.worker.task_queue,
            description=_description(request.spec),
            version=known.version + 1,
            modified_at_ns=self._runtime.clock.now_ns(),
        )
        try:
            await self._store.update(changed)
        except NexusEndpointConflict:
            other = await self._store.by_name(_NOBODY, changed.name)
            if other is not None and other.id != changed.id:
                raise _taken(changed.name, "updating") from None
            now = await self._store.by_id(request.id)
            raise _outdated(request.version, now.version if now else 0) from None
        self._endpoints.forget()
        return UpdateNexusEndpointResponse(endpoint=await self._shown(changed))

    async def delete(self, request: DeleteNexusEndpointRequest) -> DeleteNexusEndpointResponse:
        faults = _id_faults(request.id)
        if request.version <= 0:
            faults.append("endpoint version is non-positive")
        _refuse(faults)
        known = await self._store.by_id(request.id)
        if known is None or known.account_id or not await self._store.delete(request.id):
            raise NotFound(f"error deleting nexus endpoint with ID: {request.id}")
        self._endpoints.forget()
        return DeleteNexusEndpointResponse()

    async def get(self, request: GetNexusEndpointRequest) -> GetNexusEndpointResponse:
        _refuse(_id_faults(request.id))
        endpoint = await self._store.by_id(request.id)
        if endpoint is None or endpoint.account_id:
            raise NotFound(f"Nexus endpoint with ID `{request.id}` not found")
        return GetNexusEndpointResponse(endpoint=await self._shown(endpoint))

    async def list_page(self, request: ListNexusEndpointsRequest) -> ListNexusEndpointsResponse:
        """By their ids; with a name, the one that has it."""
        if request.name:
            found = await self._store.by_name(_NOBODY, request.name)
            return ListNexusEndpointsResponse(endpoints=[await self._shown(found)] if found else [])
        if request.page_size < 0:
            raise InvalidArgument("page_size is negative")
        if request.page_size > PAGE_SIZE_MAX:
            raise InvalidArgument(f"page_size exceeds limit of {PAGE_SIZE_MAX}")
        try:
            after = request.next_page_token.decode()
        except UnicodeDecodeError:
            raise InvalidArgument("invalid next_page_token") from None
        if "\0" in after:
            raise InvalidArgument("invalid next_page_token")
        size = request.page_size or PAGE_SIZE_DEFAULT
        page = await self._store.list(_NOBODY, after, size + 1)
        response = ListNexusEndpointsResponse()
        for endpoint in page[:size]:
            response.endpoints.append(await self._shown(endpoint))
        if len(page) > size:
            response.next_page_token = page[size - 1].id.encode()
        return response

    async def _check(self, spec: EndpointSpec) -> NamespaceId:
        """What is wrong with a specification is told at once. Returns the id of the namespace that it is about."""
        faults = self._name_faults(spec.name)
        variant = spec.target.WhichOneof("variant")
        namespace_id = NamespaceId("")
        if variant is None:
            _refuse([*faults, "empty target variant"])
        elif variant == "external":
            raise Unimplemented("Nexus endpoints with external targets are not implemented: target a task queue.")
        worker = spec.target.worker
        if not worker.namespace:
            faults.append("target namespace not set")
        else:
            try:
                namespace_id = (await self._namespaces.by_name(NamespaceName(worker.namespace))).id
            except NamespaceNotFound as error:
                raise FailedPrecondition(
                    f"could not verify namespace referenced by target exists: {error.message}"
                ) from None
        try:
            if not worker.task_queue:
                raise InvalidArgument("taskQueue is not set")
            options.check_task_queue_name(worker.task_queue, self._limits, partition=False)
        except InvalidArgument as error:
            faults.append(f'invalid target task queue: "{error.message}"')
        if spec.description.ByteSize() > self._limits.nexus_endpoint_description_max:
            faults.append(f"description size exceeds limit of {self._limits.nexus_endpoint_description_max}")
        _refuse(faults)
        return namespace_id

    def _name_faults(self, name: str) -> list[str]:
        if not name:
            return ["endpoint name not set"]
        faults = []
        if len(name.encode()) > self._limits.nexus_endpoint_name_max:
            faults.append(f"endpoint name exceeds length limit of {self._limits.nexus_endpoint_name_max}")
        if not _NAME.fullmatch(name):
            faults.append('endpoint name must match the regex: "^[a-zA-Z][a-zA-Z0-9\\\\-]*[a-zA-Z0-9]$"')
        return faults

    async def _shown(self, endpoint: NexusEndpoint) -> Endpoint:
        try:
            namespace = (await self._namespaces.by_id(endpoint.namespace_id)).name
        except NamespaceNotFound:
            namespace = NamespaceName("")
        worker = EndpointTarget.Worker(namespace=namespace, task_queue=endpoint.task_queue)
        return Endpoint(
            version=endpoint.version,
            id=endpoint.id,
            spec=EndpointSpec(
                name=endpoint.name,
                description=Payload.FromString(endpoint.description) if endpoint.description else None,
                target=EndpointTarget(worker=worker),
            ),
            created_time=timestamp(endpoint.created_at_ns),
            last_modified_time=timestamp(endpoint.modified_at_ns) if endpoint.modified_at_ns else None,
            url_prefix=f"/nexus/endpoints/{endpoint.id}/services",
        )


def _description(spec: EndpointSpec) -> bytes:
    return spec.description.SerializeToString() if spec.HasField("description") else b""


def _id_faults(endpoint_id: str) -> list[str]:
    if not endpoint_id:
        return ["endpoint ID not set"]
    try:
        UUID(endpoint_id)
    except ValueError:
        return ["malformed endpoint ID: it is not a UUID"]
    return []


def _refuse(faults: list[str]) -> None:
    if faults:
        raise InvalidArgument(", ".join(faults))


def _taken(name: str, doing: str) -> AlreadyExists:
    return AlreadyExists(f"error {doing} Nexus endpoint. Endpoint with name {name} already registered")


def _outdated(received: int, expected: int) -> FailedPrecondition:
    return FailedPrecondition(f"nexus endpoint version mismatch. received: {received} expected {expected}")
