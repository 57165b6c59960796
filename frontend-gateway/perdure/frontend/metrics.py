"""What the gateway counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from perdure.kernel.metrics import Family, Histogram, Kind, Sample, Series

_BY_CALL = ("operation", "namespace")

REQUESTS = Family("service_requests", Kind.COUNTER, "Calls received.", _BY_CALL, "service_requests")
LATENCY = Family(
    "service_latency_seconds", Kind.HISTOGRAM, "Time spent on calls, waits included.", _BY_CALL, "service_latency"
)
ERRORS = Family(
    "service_errors",
    Kind.COUNTER,
    "Calls that were answered with an error, by the name of its gRPC code.",
    (*_BY_CALL, "code"),
    "service_errors, service_error_with_type",
)
IN_FLIGHT = Family(
    "service_pending_requests",
    Kind.GAUGE,
    "Calls being served, waiting polls included.",
    (),
    "service_pending_requests",
)
REFUSALS = Family(
    "service_refusals",
    Kind.COUNTER,
    "Calls over a limit, by its name; without a namespace if it is one of the whole process.",
    ("namespace", "limit"),
    "service_errors_resource_exhausted",
)
ADMISSION_WAIT = Family("admission_wait_seconds", Kind.GAUGE, "How long calls have waited that are looked at now.")

FAMILIES = (REQUESTS, LATENCY, ERRORS, IN_FLIGHT, REFUSALS, ADMISSION_WAIT)


@dataclass(slots=True)
class CallMetrics:
    """Calls of one RPC in one namespace. `failures` is by the name of the gRPC code."""

    latency: Histogram = field(default_factory=Histogram)
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
    calls: Series[CallMetrics] = field(default_factory=lambda: Series(2, CallMetrics))

    def of(self, rpc: str, namespace: str = "") -> CallMetrics:
        """Calls of an RPC in a namespace that exists, or in none that does."""
        return self.calls.of(rpc, namespace)

    def samples(self) -> Iterable[Sample]:
        for labels, counts in self.calls.items():
            if requests := counts.latency.count:
                yield Sample(REQUESTS, labels, requests)
                yield Sample(LATENCY, labels, counts.latency)
            for code, count in counts.failures.items():
                yield Sample(ERRORS, (*labels, code), count)
        yield Sample(IN_FLIGHT, (), self.in_flight)
        yield Sample(ADMISSION_WAIT, (), self.admission_wait_s)
        for labels, count in self.refusals.items():
            yield Sample(REFUSALS, labels, count)
