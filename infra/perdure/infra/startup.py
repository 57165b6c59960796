"""How a server says that it cannot start."""

from __future__ import annotations


class StartFailed(Exception):
    """The server could not start, for a reason that its operator can do something about. One line."""


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())
