"""What `perdure dev` does: serve until a signal."""

from __future__ import annotations

from perdure.infra import process
from perdure.infra.options import Options
from perdure.infra.server import EmbeddedServer
from perdure.infra.startup import StartFailed, one_line
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.persistence.executions import StoreError
from perdure.kernel.runtime import Runtime


def run(chosen: Options) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        StartFailed: see there.
    """

    async def serve(stopping: process.Stopping) -> None:
        try:
            server = EmbeddedServer(chosen, Runtime())
            port, http_port = await server.start()
        except (StoreError, OSError) as error:
            raise StartFailed(one_line(error)) from error
        except InvalidArgument as error:
            raise StartFailed(error.message) from error
        where = chosen.database.resolve() if chosen.database else "nothing is kept"
        print(f"Perdure ready: gRPC {chosen.ip}:{port}, HTTP http://{chosen.ip}:{http_port}, data {where}", flush=True)
        await stopping.wait()
        await server.stop()

    process.run(serve)
