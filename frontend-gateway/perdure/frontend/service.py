"""The gateway role, built."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from perdure.frontend.drainage import Drainage
from perdure.frontend.handlers import superseded, worker_config
from perdure.frontend.handlers.activity_lists import ActivityLists
from perdure.frontend.handlers.archived_lists import ArchivedLists
from perdure.frontend.handlers.batches import BatchHandlers
from perdure.frontend.handlers.cluster import ClusterDescription, ClusterHandlers
from perdure.frontend.handlers.deletion import NamespaceDeletion
from perdure.frontend.handlers.deployments import DeploymentHandlers
from perdure.frontend.handlers.namespaces import NamespaceHandlers
from perdure.frontend.handlers.nexus_endpoints import NexusEndpointHandlers
from perdure.frontend.handlers.nexus_polls import NexusPolls
from perdure.frontend.handlers.operation_lists import OperationLists
from perdure.frontend.handlers.schedules import ScheduleLists
from perdure.frontend.handlers.search_attributes import SearchAttributeHandlers
from perdure.frontend.handlers.tasks import WorkerAnswers
from perdure.frontend.handlers.visibility import VisibilityHandlers
from perdure.frontend.limits.namespaces import NamespaceGates
from perdure.frontend.metrics import GatewayMetrics
from perdure.frontend.namespaces import Namespaces
from perdure.frontend.nexus_endpoints import NexusEndpoints
from perdure.frontend.pipeline import Handlers, OwnHandler, Pipeline
from perdure.frontend.services import Service, data_plane
from perdure.frontend.tls import ServerTls
from perdure.frontend.transport import GrpcServer, Ports
from perdure.kernel.acts import ActLog
from perdure.kernel.archive.store import ArchiveStore, NoArchive
from perdure.kernel.deployments.directory import Deployments
from perdure.kernel.identity import Guard
from perdure.kernel.limits import Limits, NamespaceLimits
from perdure.kernel.namespace import NamespaceReclaimer
from perdure.kernel.persistence.cluster import ClusterStore
from perdure.kernel.persistence.visibility import VisibilityStore
from perdure.kernel.rpc import HistoryClient, MatchingClient
from perdure.kernel.runtime import Runtime
from perdure.kernel.tracing import Tracer


class Gateway:
    """Serves the public API on one port. The roles behind it are started before and stopped after it."""

    def __init__(
        self,
        runtime: Runtime,
        limits: Limits,
        namespaces: Namespaces,
        history: HistoryClient,
        matching: MatchingClient,
        visibility: VisibilityStore,
        reclaimer: NamespaceReclaimer,
        clusters: ClusterStore,
        endpoints: NexusEndpoints,
        description: ClusterDescription,
        deployments: Deployments,
        limits_of: Callable[[str], NamespaceLimits],
        gateways: Callable[[], int] = lambda: 1,
        tracer: Tracer | None = None,
        guard: Guard | None = None,
        also: Sequence[Service] = (),
        acts: ActLog | None = None,
        archive: ArchiveStore | None = None,
    ) -> None:
        """`limits_of` is asked by a namespace's name, `gateways` for how many gateways the cluster has now. Without a
        `guard` everybody may do everything. `also` are services of others that are offered on the same ports. With a
        guard, `acts` is told what everybody does. Closed workflows go to the `archive`, if there is one.

        Raises:
            RouteTableError: a method of a service has no route.
        """
        archive = archive or NoArchive()
        self.metrics = GatewayMetrics()
        self._deletion = NamespaceDeletion(runtime, namespaces, reclaimer, endpoints.store)
        self._drainage = Drainage(runtime, limits, deployments, visibility)
        handlers = Handlers(
            history=history.handle,
            matching=matching.handle,
            composed={
                **WorkerAnswers(history, limits).handlers,
                **VisibilityHandlers(visibility, limits).handlers,
                **ArchivedLists(archive, limits).handlers,
                **ActivityLists(visibility, limits).handlers,
                **OperationLists(visibility, limits).handlers,
                **ScheduleLists(visibility, limits).handlers,
                **BatchHandlers(runtime, history, visibility, limits).handlers,
                **DeploymentHandlers(runtime, limits, deployments, matching).handlers,
                **superseded.HANDLERS,
                **worker_config.HANDLERS,
                **NexusPolls(matching).handlers,
            },
            own=_own_handlers(
                NamespaceHandlers(runtime, limits, namespaces, archive),
                SearchAttributeHandlers(limits, namespaces),
                ClusterHandlers(runtime, clusters, description),
                self._deletion,
                NexusEndpointHandlers(runtime, limits, namespaces, endpoints),
            ),
        )
        gates = NamespaceGates(limits_of, gateways, self.metrics.refusals)
        pipeline = Pipeline(runtime, limits, namespaces, gates, handlers, guard, acts)
        services = data_plane(pipeline)
        self._server = GrpcServer(
            [*services, *also],
            self.metrics,
            runtime.clock,
            lambda name: namespaces.cached(name) is not None,
            tracer,
        )
        #: Those of the data plane, to be offered over HTTP too, and `also`.
        self.services = self._server.reception.services(services, "http")
        self.others = self._server.reception.services(also, "http")

    async def start(self, address: str, tls: ServerTls | None = None, mutual_address: str = "") -> Ports:
        """See `GrpcServer.start`. Raises OSError: an address cannot be had."""
        ports = await self._server.start(address, tls, mutual_address)
        await self._deletion.start()
        self._drainage.start()
        return ports

    async def drain(self) -> None:
        """Ask clients to go elsewhere and break off calls that only wait. Task polls end when matching stops."""
        await self._server.drain()

    async def stop(self, grace_s: float) -> None:
        """Let calls in flight finish, for `grace_s` seconds at most. Whoever calls is told to come back."""
        await self._server.stop(grace_s)
        await self._deletion.stop()
        await self._drainage.stop()

    async def close(self) -> None:
        """Give up the port. For a process that goes on without the gateway."""
        await self._server.close()


def _own_handlers(
    namespaces: NamespaceHandlers,
    attributes: SearchAttributeHandlers,
    cluster: ClusterHandlers,
    deletion: NamespaceDeletion,
    endpoints: NexusEndpointHandlers,
) -> dict[str, OwnHandler]:
    return {
        "RegisterNamespace": namespaces.register,
        "DescribeNamespace": namespaces.describe,
        "ListNamespaces": namespaces.list,
        "UpdateNamespace": namespaces.update,
        "DeprecateNamespace": namespaces.deprecate,
        "DeleteNamespace": deletion.delete,
        "AddSearchAttributes": attributes.add,
        "RemoveSearchAttributes": attributes.remove,
        "ListSearchAttributes": attributes.list,
        "GetSearchAttributes": attributes.get,
        "GetClusterInfo": cluster.cluster_info,
        "GetSystemInfo": cluster.system_info,
        "ListClusters": cluster.list_clusters,
        "AddOrUpdateRemoteCluster": cluster.add_or_update_remote_cluster,
        "RemoveRemoteCluster": cluster.remove_remote_cluster,
        "CreateNexusEndpoint": endpoints.create,
        "UpdateNexusEndpoint": endpoints.update,
        "DeleteNexusEndpoint": endpoints.delete,
        "GetNexusEndpoint": endpoints.get,
        "ListNexusEndpoints": endpoints.list_page,
    }
