"""What `perdure dev` does: serve until a signal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import structlog

from perdure.infra import process
from perdure.infra.options import Options
from perdure.infra.server import EmbeddedServer, ServerPorts
from perdure.infra.startup import StartFailed, one_line
from perdure.kernel.clock import SkippingClock, SystemClock
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.persistence.executions import StoreError
from perdure.kernel.runtime import Runtime

if TYPE_CHECKING:
    from perdure.infra.tenancy.embedded import EmbeddedTenancy

_OPEN = "whoever reaches {} may do everything there; 'perdure dev --secure' asks who calls"

_log = structlog.get_logger("perdure.dev")


def run(chosen: Options) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        StartFailed: see there.
    """

    clock = SkippingClock(SystemClock()) if chosen.time_skipping else None

    async def serve(stopping: process.Stopping) -> None:
        try:
            runtime = Runtime(clock) if clock else Runtime()
            tenancy = await _tenancy(chosen, runtime)
            server = EmbeddedServer(chosen, runtime, tenancy)
            ports = await server.start()
        except (StoreError, OSError, ValueError) as error:
            raise StartFailed(one_line(error)) from error
        except InvalidArgument as error:
            raise StartFailed(error.message) from error
        print(f"Perdure ready: {', '.join(_places(chosen, ports))}", flush=True)
        if tenancy is not None:
            how = tenancy.credentials.how_to_connect(chosen.place(ports.grpc), chosen.place(ports.mutual))
            print(how, flush=True)
        elif chosen.is_reachable_from_elsewhere:
            print(f"perdure: {_OPEN.format(chosen.place(ports.grpc))}", file=sys.stderr, flush=True)
        await stopping.wait()
        await server.stop()

    if clock is None:
        process.run(serve)
        return
    # Late, because only tests need it.
    from perdure.infra.time_skipping.loop import SkippingLoop

    process.run(serve, lambda: SkippingLoop(clock))


def _places(chosen: Options, ports: ServerPorts) -> Iterator[str]:
    """Where everything is."""
    where = str(chosen.database.resolve()) if chosen.database else "nothing is kept"
    yield f"gRPC {chosen.place(ports.grpc)}"
    if chosen.secure is None:
        yield f"HTTP http://{chosen.place(ports.http)}"
        yield f"data {where}"
        return
    yield f"mTLS {chosen.place(ports.mutual)}"
    yield f"HTTP https://{chosen.place(ports.http)}"
    if ports.metrics is not None:
        yield f"metrics http://127.0.0.1:{ports.metrics}/metrics"
    yield f"data {where}"
    yield f"accounts {chosen.secure.directory.resolve()}"


def _note_settings_of_clusters() -> None:
    """Somebody may rely on them."""
    for name in sorted(os.environ):
        if name.startswith("PERDURE_CONTROL_PLANE"):
            _log.warning("a setting of clusters is ignored: see the flags of perdure dev", name=name)


async def _tenancy(chosen: Options, runtime: Runtime) -> EmbeddedTenancy | None:
    if chosen.secure is None:
        return None
    # Late, because it loads a lot that an open server does without.
    from perdure.infra.tenancy.embedded import EmbeddedTenancy

    _note_settings_of_clusters()
    return await EmbeddedTenancy.open(chosen.secure, runtime, chosen)
