"""A model of a cluster's capacity: `python -m loadtests.capacity` prints the table of docs/scaling.md.

Two queues matter. A process is one event loop: it has one core's worth of time, which the CPU of a workflow uses up. A
database takes commits one at a time from each process, in batches: the model of that is `Pipeline`, which
tests/simulation/test_capacity.py holds against the real committer in virtual time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from perdure.history.commits import BATCH_MAX, INTERVAL_S

#: How busy a process or database may be on average: latency grows with 1 / (1 - utilisation).
UTILISATION_MAX = 0.6


@dataclass(frozen=True)
class Pipeline:
    """The commits of one process to one database: `fixed_s` for each, `each_s` more for every write in it."""

    fixed_s: float
    each_s: float

    def interval_s(self, writes_per_s: float) -> float:
        """From the beginning of one commit to that of the next, under load; infinite if they never catch up.

        What arrives in one interval is written in the next, so the interval is the time that its own arrivals take.
        """
        paced = self.fixed_s + self.each_s * writes_per_s * INTERVAL_S
        if paced <= INTERVAL_S:
            return INTERVAL_S
        slack = 1 - self.each_s * writes_per_s
        interval = self.fixed_s / slack if slack > 0 else math.inf
        return interval if interval * writes_per_s <= BATCH_MAX else math.inf

    def latency_s(self, writes_per_s: float) -> float:
        """How long a write takes on average: half an interval until the next commit begins, and that commit."""
        interval = self.interval_s(writes_per_s)
        return interval / 2 + self.fixed_s + self.each_s * writes_per_s * interval


@dataclass(frozen=True)
class Costs:
    """What one workflow of one activity costs, as measured on one machine (docs/scaling.md says how)."""

    server_cpu_s: float
    database_cpu_s: float
    writes: float
    wal_bytes: float
    client_bytes: float


def processes(costs: Costs, workflows_per_s: float) -> int:
    """All-roles processes, each with a core of its own."""
    return math.ceil(workflows_per_s * costs.server_cpu_s / UTILISATION_MAX)


def database_cores(costs: Costs, workflows_per_s: float) -> int:
    return math.ceil(workflows_per_s * costs.database_cpu_s / UTILISATION_MAX)


#: `python -m loadtests.costs` on 2 cores.
MEASURED = Costs(server_cpu_s=0.0033, database_cpu_s=0.0009, writes=4.0, wal_bytes=10_700, client_bytes=5_900)


def main() -> None:
    costs = MEASURED
    print("| workflows/s | processes (1 core each) | database cores | commits/s at most | WAL | client network |")
    print("|---|---|---|---|---|---|")
    for rate in (1_000, 10_000, 100_000):
        count = processes(costs, rate)
        commits = count * min(1 / INTERVAL_S, rate * costs.writes / count)
        print(
            f"| {rate:,} | {count} | {database_cores(costs, rate)} | {commits:,.0f} "
            f"| {rate * costs.wal_bytes / 1e6:,.0f} MB/s | {rate * costs.client_bytes / 1e6:,.0f} MB/s |"
        )


if __name__ == "__main__":
    main()
