"""Randomness as a dependency, so that a whole cluster can run from one seed."""

from __future__ import annotations

import random
import uuid


class Entropy:
    """A source of ids and jitter. Without a seed it draws from the operating system.

    Run ids, namespace ids and request ids are UUIDs of version 4, as SDKs and the CLI expect.
    """

    def __init__(self, seed: int | None = None) -> None:
        self._random = random.SystemRandom() if seed is None else random.Random(seed)

    def uuid(self) -> str:
        """A fresh UUID in its 36-character form."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)
