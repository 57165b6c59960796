"""What this cluster is and can do. A capability is announced only when it works."""

from __future__ import annotations

from typing import NamedTuple

from temporalio.api.operatorservice.v1 import (
    AddOrUpdateRemoteClusterRequest,
    AddOrUpdateRemoteClusterResponse,
    ClusterMetadata,
    ListClustersRequest,
    ListClustersResponse,
    RemoveRemoteClusterRequest,
    RemoveRemoteClusterResponse,
)
from temporalio.api.workflowservice.v1 import (
    GetClusterInfoRequest,
    GetClusterInfoResponse,
    GetSystemInfoRequest,
    GetSystemInfoResponse,
)

from perdure.kernel.errors import FailedPrecondition, InvalidArgument, NotFound
from perdure.kernel.persistence.cluster import ClusterStore
from perdure.kernel.runtime import Runtime

CLUSTER_NAME = "active"
#: Clients decide from this what they may ask for: the release of the protocol's reference server that we answer like.
PROTOCOL_SERVER_VERSION = "1.32.0"
_SUPPORTED_CLIENTS = {
    "Nexus-go-sdk": "<2.0.0",
    "temporal-cli": "<2.0.0",
    "temporal-go": "<2.0.0",
    "temporal-java": "<2.0.0",
    "temporal-php": "<2.0.0",
    "temporal-server": "<2.0.0",
    "temporal-typescript": "<2.0.0",
    "temporal-ui": "<3.0.0",
}


class ClusterDescription(NamedTuple):
    """What this cluster says of itself."""

    shard_count: int
    store: str
    address: str


class ClusterHandlers:
    def __init__(self, runtime: Runtime, store: ClusterStore, description: ClusterDescription) -> None:
        self._runtime = runtime
        self._store = store
        self._description = description

    async def _id(self) -> str:
        return await self._store.identify(self._runtime.entropy.uuid())

    async def cluster_info(self, request: GetClusterInfoRequest) -> GetClusterInfoResponse:
        return GetClusterInfoResponse(
            supported_clients=_SUPPORTED_CLIENTS,
            server_version=PROTOCOL_SERVER_VERSION,
            cluster_id=await self._id(),
            cluster_name=CLUSTER_NAME,
            history_shard_count=self._description.shard_count,
            persistence_store=self._description.store,
            visibility_store=self._description.store,
            initial_failover_version=1,
            failover_version_increment=10,
        )

    async def system_info(self, request: GetSystemInfoRequest) -> GetSystemInfoResponse:
        return GetSystemInfoResponse(
            server_version=PROTOCOL_SERVER_VERSION,
            capabilities=GetSystemInfoResponse.Capabilities(
                signal_and_query_header=True,
                internal_error_differentiation=True,
                activity_failure_include_heartbeat=True,
                encoded_failure_attributes=True,
                upsert_memo=True,
                supports_schedules=True,
                eager_workflow_start=True,
                sdk_metadata=True,
                count_group_by_execution_status=True,
                build_id_based_versioning=True,
                nexus=True,
            ),
        )

    async def list_clusters(self, request: ListClustersRequest) -> ListClustersResponse:
        """This cluster: there is no other."""
        if request.page_size < 0:
            raise InvalidArgument("PageSize must not be negative.")
        return ListClustersResponse(
            clusters=[
                ClusterMetadata(
                    cluster_name=CLUSTER_NAME,
                    cluster_id=await self._id(),
                    address=self._description.address,
                    initial_failover_version=1,
                    history_shard_count=self._description.shard_count,
                    is_connection_enabled=True,
                )
            ]
        )

    async def add_or_update_remote_cluster(
        self, request: AddOrUpdateRemoteClusterRequest
    ) -> AddOrUpdateRemoteClusterResponse:
        """Raises FailedPrecondition: there is nothing that another cluster could be added for."""
        raise FailedPrecondition("Unable to connect to a remote cluster: this cluster does not replicate to others.")

    async def remove_remote_cluster(self, request: RemoveRemoteClusterRequest) -> RemoveRemoteClusterResponse:
        """Raises NotFound: there is no such cluster. Raises FailedPrecondition: it is this one."""
        if request.cluster_name == CLUSTER_NAME:
            raise FailedPrecondition("Cannot delete current cluster metadata.")
        raise NotFound("The cluster to be deleted cannot be found in clusters cache.")
