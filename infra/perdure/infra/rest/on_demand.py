"""A server that is made when somebody first calls: until then it costs neither memory nor time at the start."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from perdure.infra.rest.listening import listen

if TYPE_CHECKING:
    from perdure.infra.rest.server import AsgiServer

_log = logging.getLogger(__name__)


class OnDemand:
    """Listens at once. The first connection waits until the server that `make` makes takes it."""

    def __init__(self, make: Callable[[], AsgiServer]) -> None:
        self._make = make
        self._listener: socket.socket | None = None
        self._server: AsgiServer | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen, and say on which port (0 means any).

        Raises:
            OSError: the address cannot be had.
        """
        self._listener = listener = listen(host, port)
        asyncio.get_running_loop().add_reader(listener, self._called)
        bound: int = listener.getsockname()[1]
        return bound

    def _called(self) -> None:
        assert self._listener is not None
        listener, self._listener = self._listener, None
        asyncio.get_running_loop().remove_reader(listener)
        try:
            self._server = self._make()
        except Exception:
            # Who calls is refused then, instead of waiting for an answer that nobody will give.
            _log.exception("the server at %s cannot be made", listener.getsockname())
            listener.close()
            return
        self._server.serve(listener)

    async def stop(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
        if self._server is not None:
            await self._server.stop()
