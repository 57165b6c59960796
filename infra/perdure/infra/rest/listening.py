"""Sockets that wait for connections."""

from __future__ import annotations

import socket

_BACKLOG = 256


def listen(host: str, port: int) -> socket.socket:
    """Connections are taken by the kernel from here on, for whoever accepts them later. Port 0 means any.

    Raises:
        OSError: the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    listener.setblocking(False)
    return listener
