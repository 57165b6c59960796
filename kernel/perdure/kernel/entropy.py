"""Randomness as a dependency, so that a whole cluster can run from one seed."""

from __future__ import annotations

import random
import uuid

from perdure.kernel.clock import MILLISECOND_NS


class Entropy:
    """A source of ids and jitter. Without a seed it draws from the operating system.

    Ids are UUIDs, as SDKs and the CLI expect: of version 7 for runs, so that the newest are neighbours in an index, and
    of version 4 for all else.
    """

    def __init__(self, seed: int | None = None) -> None:
        self._random = random.SystemRandom() if seed is None else random.Random(seed)

    def uuid(self) -> str:
        """A fresh UUID in its 36-character form."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def uuid_at(self, now_ns: int) -> str:
        """A fresh UUID that sorts by the millisecond of `now_ns`."""
        random_a, random_b = self._random.getrandbits(12), self._random.getrandbits(62)
        number = (now_ns // MILLISECOND_NS & (1 << 48) - 1) << 80 | 7 << 76 | random_a << 64 | 0b10 << 62 | random_b
        return str(uuid.UUID(int=number))

    def bits(self, count: int) -> int:
        """A number of so many random bits. Fit for secrets, unless there is a seed."""
        return self._random.getrandbits(count)

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)
