"""What every component is given to touch the outside world with."""

from __future__ import annotations

from dataclasses import dataclass, field

from perdure.kernel.clock import Clock, SystemClock
from perdure.kernel.entropy import Entropy


@dataclass(frozen=True, slots=True)
class Runtime:
    """Clock and randomness, handed on as one thing."""

    clock: Clock = field(default_factory=SystemClock)
    entropy: Entropy = field(default_factory=Entropy)
