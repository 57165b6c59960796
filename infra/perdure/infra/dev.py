"""What `perdure dev` does: serve until a signal."""

from __future__ import annotations

import asyncio
import gc
import signal

import uvloop

from perdure.infra.options import Options
from perdure.infra.server import EmbeddedServer
from perdure.infra.startup import StartFailed, one_line
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.persistence.executions import StoreError
from perdure.kernel.protoenums import bind_values
from perdure.kernel.runtime import Runtime

_GC_THRESHOLDS = (20_000, 20, 20)


def run(chosen: Options) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        StartFailed: see there.
    """
    bind_values()
    # Most objects live for one call and have no cycles: looking for cycles after every 700 of them finds nothing.
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    uvloop.run(_serve(chosen))


async def _serve(chosen: Options) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
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
    # A second signal is for the impatient: it ends the process in the way that it always would.
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.remove_signal_handler(number)
    await server.stop()
