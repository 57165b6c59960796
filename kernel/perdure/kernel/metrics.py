"""What is counted on the way of a call: plain numbers that an exporter reads whenever it is asked."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class CallMetrics:
    """Counts of one RPC since the process started. `failures` is by the name of the gRPC code."""

    calls: int = 0
    duration_ns: int = 0
    failures: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class GatewayMetrics:
    """`in_flight` counts calls being served now, waiting polls included.

    `refusals` counts calls that were over a limit, by namespace ("" for none) and the name of the limit.
    `admission_wait_s` is how long calls have waited that are looked at now.
    """

    in_flight: int = 0
    admission_wait_s: float = 0.0
    refusals: Counter[tuple[str, str]] = field(default_factory=Counter)
    by_rpc: dict[str, CallMetrics] = field(default_factory=dict)

    def of(self, rpc: str) -> CallMetrics:
        """The counters of one RPC, which are created when it is first named."""
        return self.by_rpc.setdefault(rpc, CallMetrics())
