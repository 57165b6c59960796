"""One round: everything that is measured on one fresh server."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from loadtests.driver import Driver, driving
from loadtests.servers import Server, running
from loadtests.transitions import PROBES
from loadtests.workloads import WORKLOADS

_SETTLE_S = 2.0
#: The two sizes of a probe take turns this often, so that whatever changes meanwhile meets both.
_TURNS = 4


@dataclass(frozen=True)
class Plan:
    """What to measure. `names` are of workloads, of probes, or `stored`."""

    names: Collection[str]
    quick: bool
    stored: int
    transitions: int


@dataclass(frozen=True)
class Sample:
    """What some units of work took."""

    units: int
    seconds: float
    latencies: list[float]
    cpu_s: float

    @property
    def per_second(self) -> float:
        return self.units / self.seconds

    @property
    def cpu_ms(self) -> float:
        """Server CPU per unit, in milliseconds."""
        return self.cpu_s / self.units * 1000

    def latency_ms(self, percentile: int) -> float:
        cuts = statistics.quantiles(self.latencies, n=100, method="inclusive")
        return cuts[percentile - 1] * 1000


@dataclass
class Round:
    """What one server did in one round."""

    start_to_serving_s: float
    rss_idle_mb: float
    rss_after_mb: float = 0.0
    workloads: dict[str, Sample] = field(default_factory=dict)
    #: By probe: the small case and the large one.
    flatness: dict[str, tuple[Sample, Sample]] = field(default_factory=dict)


def measure(server_name: str, plan: Plan, say: Callable[[str], None]) -> Round:
    """Start a server, measure all that the plan names, and stop it."""
    with running(server_name) as server:
        time.sleep(_SETTLE_S)
        result = Round(server.start_to_serving_s, server.rss_mb())
        with driving(server.address) as driver:
            driver.ask("workload", name="fifty", units=60, concurrency=20)  # warms both sides up
            for name in WORKLOADS:
                if name in plan.names:
                    result.workloads[name] = _workload(server, driver, name, plan)
                    say(f"{server_name}: {WORKLOADS[name].title}: {result.workloads[name].per_second:.0f}/s")
            result.rss_after_mb = server.rss_mb()
            for name in PROBES:
                if name in plan.names:
                    result.flatness[name] = _probe(server, driver, name, plan)
                    say(f"{server_name}: {PROBES[name].title}: {_ratio(result.flatness[name]):.2f}x")
            if "stored" in plan.names:
                result.flatness["stored"] = _stored(server, driver, plan)
                say(f"{server_name}: stored workflows: {_ratio(result.flatness['stored']):.2f}x")
    return result


def _workload(server: Server, driver: Driver, name: str, plan: Plan) -> Sample:
    workload = WORKLOADS[name]
    size = workload.quick if plan.quick else workload.size
    return _sample(server, driver, size.units, "workload", name=name, units=size.units, concurrency=size.concurrency)


def _probe(server: Server, driver: Driver, name: str, plan: Plan) -> tuple[Sample, Sample]:
    """Both sizes, each on a workflow of its own, measured in turn."""
    probe = PROBES[name]
    sizes = (probe.small, probe.large // 10 if plan.quick else probe.large)
    for size in sizes:
        driver.ask("prepare", probe=name, size=size)
        driver.ask("transitions", probe=name, size=size, count=20)  # lets what follows from the growing settle
    parts: dict[int, list[Sample]] = {size: [] for size in sizes}
    count = plan.transitions // _TURNS
    for _ in range(_TURNS):
        for size in sizes:
            parts[size].append(_sample(server, driver, count, "transitions", probe=name, size=size, count=count))
    return _sum(parts[sizes[0]]), _sum(parts[sizes[1]])


def _stored(server: Server, driver: Driver, plan: Plan) -> tuple[Sample, Sample]:
    before = _workload(server, driver, "fifty", plan)
    driver.ask("store", count=plan.stored)
    time.sleep(_SETTLE_S)
    return before, _workload(server, driver, "fifty", plan)


def _sample(server: Server, driver: Driver, units: int, action: str, /, **arguments: Any) -> Sample:
    cpu_before = server.cpu_s()
    answer = driver.ask(action, **arguments)
    return Sample(units, answer["seconds"], answer["latencies"], server.cpu_s() - cpu_before)


def _sum(parts: list[Sample]) -> Sample:
    return Sample(
        units=sum(part.units for part in parts),
        seconds=sum(part.seconds for part in parts),
        latencies=[latency for part in parts for latency in part.latencies],
        cpu_s=sum(part.cpu_s for part in parts),
    )


def _ratio(samples: tuple[Sample, Sample]) -> float:
    return samples[1].cpu_ms / samples[0].cpu_ms
