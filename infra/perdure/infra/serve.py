"""What `perdure serve` does: the chosen roles in this process, in a cluster with others."""

from __future__ import annotations

from perdure.infra.settings import Settings
from perdure.infra.startup import StartFailed


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        StartFailed: see there.
    """
    raise StartFailed("this version has no cluster")
