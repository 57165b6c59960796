"""A server as a process: its event loop, its garbage collector, its signals."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop

from perdure.kernel.protoenums import bind_values

_GC_THRESHOLDS = (10_000, 20, 20)
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopping:
    """Whether somebody has asked this process to stop."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        for number in _SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self._asked.set)

    async def wait(self) -> None:
        """Return when asked. A second signal is for the impatient: it ends the process as it always would."""
        await self._asked.wait()
        for number in _SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(number)


def run(
    serve: Callable[[Stopping], Coroutine[Any, Any, None]],
    new_loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop,
) -> None:
    """Run `serve` until it returns, which it does soon after it was asked to."""
    bind_values()
    # Most objects live for one call and have no cycles: looking for cycles after every 700 of them finds nothing. With
    # many more, everybody waits for each look: 20,000 are 5 to 10 ms.
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)

    async def main() -> None:
        await serve(Stopping())
        # At once, with connections of clients still open: when one ends with the process they make another, and what
        # they have just sent they send again. grpc, asked to stop, would tell them that their calls were cancelled.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())
