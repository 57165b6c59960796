"""What `perdure serve` does: the chosen roles in this process, in a cluster with others."""

from __future__ import annotations

from perdure.infra import process
from perdure.infra.cluster.server import ClusterServer
from perdure.infra.postgres import BadDatabases
from perdure.infra.settings import Settings
from perdure.infra.startup import StartFailed, one_line
from perdure.kernel.persistence.executions import StoreError
from perdure.kernel.runtime import Runtime


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        StartFailed: see there.
    """

    async def serve(stopping: process.Stopping) -> None:
        try:
            server = await ClusterServer.open(settings, Runtime())
            ports = await server.start()
        except (StoreError, BadDatabases, OSError, ValueError) as error:
            raise StartFailed(one_line(error)) from error
        host = settings.listen.host
        places = [f"HTTP http://{host}:{ports.http}", f"internal {host}:{ports.internal}"]
        if ports.grpc is not None:
            places.insert(0, f"gRPC {host}:{ports.grpc}")
        if ports.mutual is not None:
            places.insert(1, f"mTLS {host}:{ports.mutual}")
        scheme = "http" if settings.tls.certificate is None else "https"
        if ports.api is not None:
            places.append(f"API {scheme}://{host}:{ports.api}")
        if ports.web is not None:
            places.append(f"web {scheme}://{host}:{ports.web}")
        print(f"Perdure ready: {', '.join(places)}, roles {','.join(settings.roles)}", flush=True)
        await stopping.wait()
        await server.stop()

    process.run(serve)
