"""What the stored data is called."""

from __future__ import annotations

from typing import Protocol


class ClusterStore(Protocol):
    """Knows the id of the cluster whose data this is."""

    async def identify(self, proposed: str) -> str:
        """The cluster's id. If it has none yet it is `proposed` from now on and for ever, whoever asks first."""
        ...
