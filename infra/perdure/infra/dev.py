"""What `perdure dev` does: serve until a signal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.infra import process
from perdure.infra.options import Options
from perdure.infra.server import EmbeddedServer
from perdure.infra.startup import StartFailed, one_line
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.persistence.executions import StoreError
from perdure.kernel.runtime import Runtime

if TYPE_CHECKING:
    from perdure.infra.tenancy.embedded import EmbeddedTenancy


def run(chosen: Options) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        StartFailed: see there.
    """

    async def serve(stopping: process.Stopping) -> None:
        try:
            runtime = Runtime()
            tenancy = await _tenancy(chosen, runtime)
            server = EmbeddedServer(chosen, runtime, tenancy)
            ports = await server.start()
        except (StoreError, OSError, ValueError) as error:
            raise StartFailed(one_line(error)) from error
        except InvalidArgument as error:
            raise StartFailed(error.message) from error
        where = chosen.database.resolve() if chosen.database else "nothing is kept"
        http = f"http://{chosen.ip}:{ports.http}" if tenancy is None else tenancy.url(ports.http)
        places = [f"gRPC {chosen.ip}:{ports.grpc}", f"HTTP {http}", f"data {where}"]
        if tenancy is None:
            print(f"Perdure ready: {', '.join(places)}", flush=True)
        else:
            places.insert(1, f"mTLS {chosen.ip}:{ports.mutual}")
            print(f"Perdure ready: {', '.join(places)}", flush=True)
            mutual = f"{chosen.ip}:{ports.mutual}"
            print(tenancy.credentials.how_to_connect(f"{chosen.ip}:{ports.grpc}", mutual), flush=True)
        await stopping.wait()
        await server.stop()

    process.run(serve)


async def _tenancy(chosen: Options, runtime: Runtime) -> EmbeddedTenancy | None:
    if chosen.secure is None:
        return None
    # Late, because it loads a lot that an open server does without.
    from perdure.infra.tenancy.embedded import EmbeddedTenancy

    return await EmbeddedTenancy.open(chosen.secure, runtime, chosen.ip)
