"""What a run knows of its own clock, which may run ahead of everybody else's."""

from __future__ import annotations

import msgspec
from temporalio.api.common.v1 import TimeSkippingConfig


class TimeSkipping(msgspec.Struct):
    """All instants of the run are on its own clock: `skipped` (ns) ahead of the wall's.

    `config` is what is in force; its `enabled` ends with the last skip that it allows, or with its fast-forward.
    """

    config: TimeSkippingConfig | None = None
    skipped: int = 0
    #: Skips since the configuration was given.
    skips: int = 0
    #: Where the configuration's fast-forward ends, 0 if it has none, and whether that was reached.
    target: int = 0
    reached: bool = False

    @property
    def enabled(self) -> bool:
        return self.config is not None and self.config.enabled

    @property
    def forwarding(self) -> bool:
        """Whether a fast-forward is under way."""
        return self.enabled and bool(self.target) and not self.reached
