"""Namespaces: register, describe, list, update, deprecate."""

from __future__ import annotations

import msgspec
from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import NamespaceState, ReplicationState
from temporalio.api.namespace.v1 import BadBinaryInfo, NamespaceConfig, NamespaceInfo
from temporalio.api.replication.v1 import ClusterReplicationConfig, NamespaceReplicationConfig
from temporalio.api.workflowservice.v1 import (
    DeprecateNamespaceRequest,
    DeprecateNamespaceResponse,
    DescribeNamespaceRequest,
    DescribeNamespaceResponse,
    ListNamespacesRequest,
    ListNamespacesResponse,
    RegisterNamespaceRequest,
    RegisterNamespaceResponse,
    UpdateNamespaceRequest,
    UpdateNamespaceResponse,
)

from perdure.frontend import archival
from perdure.frontend.handlers.cluster import CLUSTER_NAME
from perdure.frontend.namespaces import Namespaces
from perdure.frontend.pipeline import check_namespace_name, check_state
from perdure.kernel.archive.store import ArchiveStore
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.errors import Aborted, InvalidArgument, NamespaceAlreadyExists
from perdure.kernel.ids import NamespaceId, NamespaceName
from perdure.kernel.limits import Limits
from perdure.kernel.namespace import DELETED, DEPRECATED, REGISTERED, Namespace
from perdure.kernel.options import duration_fault
from perdure.kernel.persistence.namespaces import NamespaceConflict
from perdure.kernel.prototime import length_ns
from perdure.kernel.runtime import Runtime

RETENTION_NS_MIN = 3600 * SECOND_NS
PAGE_SIZE_DEFAULT = 100
PAGE_SIZE_MAX = 1000
BAD_BINARIES_MAX = 10
DATA_BYTES_MAX = 64 * 1024

_STATE_CHANGES = {(REGISTERED, DEPRECATED), (REGISTERED, DELETED), (DEPRECATED, DELETED)}


class NamespaceHandlers:
    """Answers for the namespaces of one cluster. No namespace is global: there is nothing to replicate to."""

    def __init__(self, runtime: Runtime, limits: Limits, namespaces: Namespaces, archive: ArchiveStore) -> None:
        self._runtime = runtime
        self._limits = limits
        self._namespaces = namespaces
        self._archive = archive

    async def register(self, request: RegisterNamespaceRequest) -> RegisterNamespaceResponse:
        check_namespace_name(request.namespace)
        if request.is_global_namespace:
            raise InvalidArgument("Cannot register global namespace when not enabled")
        retention_ns = _retention_ns(request.workflow_execution_retention_period)
        clusters = [cluster.cluster_name for cluster in request.clusters]
        _check_clusters(request.active_cluster_name or CLUSTER_NAME, clusters or [CLUSTER_NAME])
        namespace = Namespace(
            id=NamespaceId(self._runtime.entropy.uuid()),
            name=NamespaceName(request.namespace),
            description=request.description,
            owner_email=request.owner_email,
            data=dict(request.data),
            retention_ns=retention_ns,
            created_at_ns=self._runtime.clock.now_ns(),
            history_archival=archival.first(
                request.history_archival_state, request.history_archival_uri, self._archive
            ),
            visibility_archival=archival.first(
                request.visibility_archival_state, request.visibility_archival_uri, self._archive
            ),
        )
        _check_data(namespace.data)
        try:
            await self._namespaces.create(namespace)
        except NamespaceConflict:
            raise NamespaceAlreadyExists(f'Namespace "{request.namespace}" already exists') from None
        return RegisterNamespaceResponse()

    async def describe(self, request: DescribeNamespaceRequest) -> DescribeNamespaceResponse:
        """Shows namespaces in every state."""
        if request.namespace and request.id:
            raise InvalidArgument("GetNamespace operation failed. Both ID and Name specified in request.")
        if request.id:
            return self._described(await self._namespaces.by_id(NamespaceId(request.id), fresh=True))
        check_namespace_name(request.namespace)
        return self._described(await self._namespaces.find(request.namespace, fresh=True))

    async def list(self, request: ListNamespacesRequest) -> ListNamespacesResponse:
        if request.page_size < 0:
            raise InvalidArgument("PageSize must not be negative.")
        size = min(request.page_size or PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)
        try:
            cursor = request.next_page_token.decode()
        except UnicodeDecodeError:
            raise InvalidArgument("Invalid NextPageToken.") from None
        page = await self._namespaces.page(NamespaceName(cursor) if cursor else None, size)
        response = ListNamespacesResponse()
        for namespace in page:
            if namespace.state != DELETED or request.namespace_filter.include_deleted:
                response.namespaces.append(self._described(namespace))
        if len(page) == size:
            response.next_page_token = page[-1].name.encode()
        return response

    async def update(self, request: UpdateNamespaceRequest) -> UpdateNamespaceResponse:
        check_namespace_name(request.namespace)
        current = await self._namespaces.find(request.namespace, fresh=True)
        check_state(current)
        changed = self._with_config(_with_info(current, request), request)
        _check_replication(request)
        if request.promote_namespace:
            raise InvalidArgument(
                "global namespace is not enabled on this cluster, cannot update global namespace "
                f"or promote local namespace: {request.namespace}"
            )
        if changed != current:
            changed = await self._write(changed)
        described = self._described(changed)
        return UpdateNamespaceResponse(
            namespace_info=described.namespace_info,
            config=described.config,
            replication_config=described.replication_config,
        )

    async def deprecate(self, request: DeprecateNamespaceRequest) -> DeprecateNamespaceResponse:
        check_namespace_name(request.namespace)
        current = await self._namespaces.find(request.namespace, fresh=True)
        check_state(current)
        if current.state != DEPRECATED:
            await self._write(msgspec.structs.replace(current, state=DEPRECATED))
        return DeprecateNamespaceResponse()

    async def _write(self, changed: Namespace) -> Namespace:
        changed = msgspec.structs.replace(changed, version=changed.version + 1)
        try:
            await self._namespaces.update(changed)
        except NamespaceConflict:
            raise Aborted(f"Namespace {changed.name} was changed at the same time, try again.") from None
        return changed

    def _with_config(self, namespace: Namespace, request: UpdateNamespaceRequest) -> Namespace:
        config = request.config
        if config.HasField("workflow_execution_retention_ttl"):
            retention_ns = _retention_ns(config.workflow_execution_retention_ttl)
            namespace = msgspec.structs.replace(namespace, retention_ns=retention_ns)
        namespace = msgspec.structs.replace(
            namespace,
            history_archival=archival.changed(
                namespace.history_archival, config.history_archival_state, config.history_archival_uri, self._archive
            ),
            visibility_archival=archival.changed(
                namespace.visibility_archival,
                config.visibility_archival_state,
                config.visibility_archival_uri,
                self._archive,
            ),
        )
        if config.bad_binaries.binaries:
            marked = dict(namespace.bad_binaries)
            for checksum, info in config.bad_binaries.binaries.items():
                info.create_time.FromNanoseconds(self._runtime.clock.now_ns())
                marked[checksum] = info.SerializeToString()
            if len(marked) > BAD_BINARIES_MAX:
                raise InvalidArgument(f"Total resetBinaries cannot exceed the max limit: {BAD_BINARIES_MAX}")
            namespace = msgspec.structs.replace(namespace, bad_binaries=marked)
        if config.custom_search_attribute_aliases:
            raise InvalidArgument(
                "CustomSearchAttributeAliases cannot be set: add and remove search attributes by their names."
            )
        if checksum := request.delete_bad_binary:
            if checksum not in namespace.bad_binaries:
                raise InvalidArgument(f"Bad binary checksum {checksum} doesn't exists.")
            rest = {known: info for known, info in namespace.bad_binaries.items() if known != checksum}
            namespace = msgspec.structs.replace(namespace, bad_binaries=rest)
        return namespace

    def _described(self, namespace: Namespace) -> DescribeNamespaceResponse:
        retention = Duration()
        retention.FromNanoseconds(namespace.retention_ns)
        config = NamespaceConfig(
            workflow_execution_retention_ttl=retention,
            history_archival_state=archival.state_of(namespace.history_archival),
            history_archival_uri=namespace.history_archival.uri,
            visibility_archival_state=archival.state_of(namespace.visibility_archival),
            visibility_archival_uri=namespace.visibility_archival.uri,
        )
        config.bad_binaries.SetInParent()
        for checksum, info in namespace.bad_binaries.items():
            config.bad_binaries.binaries[checksum].CopyFrom(BadBinaryInfo.FromString(info))
        return DescribeNamespaceResponse(
            namespace_info=NamespaceInfo(
                name=namespace.name,
                id=namespace.id,
                state=NamespaceState.ValueType(namespace.state),
                description=namespace.description,
                owner_email=namespace.owner_email,
                data=namespace.data,
                capabilities=NamespaceInfo.Capabilities(
                    eager_workflow_start=True,
                    sync_update=True,
                    async_update=True,
                    worker_heartbeats=True,
                    workflow_pause=True,
                    poller_autoscaling=True,
                    standalone_activities=True,
                    standalone_activity_start_delay=True,
                    standalone_activity_operator_commands=True,
                ),
                supports_schedules=True,
                limits=NamespaceInfo.Limits(
                    blob_size_limit_error=self._limits.blob_size_max,
                    memo_size_limit_error=self._limits.memo_size_max,
                ),
            ),
            config=config,
            replication_config=NamespaceReplicationConfig(
                active_cluster_name=CLUSTER_NAME,
                clusters=[ClusterReplicationConfig(cluster_name=CLUSTER_NAME)],
                state=ReplicationState.REPLICATION_STATE_NORMAL,
            ),
            failover_version=namespace.failover_version,
        )


def _with_info(namespace: Namespace, request: UpdateNamespaceRequest) -> Namespace:
    info = request.update_info
    if info.description:
        namespace = msgspec.structs.replace(namespace, description=info.description)
    if info.owner_email:
        namespace = msgspec.structs.replace(namespace, owner_email=info.owner_email)
    if info.data:
        merged = {**namespace.data, **info.data}
        _check_data(merged)
        namespace = msgspec.structs.replace(namespace, data=merged)
    if info.state and info.state != namespace.state:
        if (namespace.state, info.state) not in _STATE_CHANGES:
            raise InvalidArgument("Invalid namespace state update.")
        namespace = msgspec.structs.replace(namespace, state=int(info.state))
    return namespace


def _check_replication(request: UpdateNamespaceRequest) -> None:
    replication = request.replication_config
    if replication.state == ReplicationState.REPLICATION_STATE_HANDOVER:
        raise InvalidArgument("Handover can only be set for global namespace")
    if replication.state not in ReplicationState.values():
        raise InvalidArgument(f"Replication state {replication.state} is unknown.")
    clusters = [cluster.cluster_name for cluster in replication.clusters]
    _check_clusters(replication.active_cluster_name or CLUSTER_NAME, clusters or [CLUSTER_NAME])


def _check_clusters(active: str, clusters: list[str]) -> None:
    for name in (active, *clusters):
        if name != CLUSTER_NAME:
            raise InvalidArgument(f"Invalid cluster name: {name}")
    if len(clusters) != 1:
        raise InvalidArgument("Invalid local namespace clusters")


def _check_data(data: dict[str, str]) -> None:
    if sum(len(key.encode()) + len(value.encode()) for key, value in data.items()) > DATA_BYTES_MAX:
        raise InvalidArgument(f"Namespace data exceeds the limit of {DATA_BYTES_MAX} bytes.")


def _retention_ns(retention: Duration) -> int:
    if duration_fault(retention) or length_ns(retention) < RETENTION_NS_MIN:
        raise InvalidArgument("A valid retention period is not set on request.")
    return length_ns(retention)
