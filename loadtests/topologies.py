"""What it costs to be a cluster: the same workload on one process with SQLite, on Postgres, and split by role.

    python -m loadtests.topologies --rounds 2

Rounds take turns. CPU is that of the server's processes, without Postgres and Redis. Commits are transactions of the
data path: the batches that history writes, as its processes count them.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import grpc
import psutil
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.api.workflowservice.v1.service_pb2_grpc import WorkflowServiceStub

from loadtests.driver import Driver, driving
from loadtests.measure import Sample
from loadtests.servers import running
from perdure.infra.local.cluster import LocalCluster

TOPOLOGIES: dict[str, list[str]] = {
    "real dev server": [],
    "perdure dev, SQLite": [],
    "one process, Postgres": ["gateway,history,matching"],
    "three processes, Postgres": ["gateway", "history", "matching"],
}
WORKLOADS = {"fifty": (600, 50), "twohundred": (800, 200)}


class Target(NamedTuple):
    """A server under test: where it is, and its CPU seconds so far."""

    address: str
    cpu_s: Callable[[], float]


@contextmanager
def started(topology: str, databases: int) -> Iterator[Target]:
    roles = TOPOLOGIES[topology]
    if not roles:
        with running("real" if "real" in topology else "perdure") as server:
            yield Target(server.address, server.cpu_s)
        return
    with asyncio.Runner() as runner:
        cluster = LocalCluster(databases=databases, environment={"PERDURE_LOG_LEVEL": "error"})
        runner.run(cluster.__aenter__())
        try:
            nodes = [runner.run(cluster.start(role)) for role in roles]
            address = next(node.address for node in nodes if node.address)
            with grpc.insecure_channel(address) as channel:
                WorkflowServiceStub(channel).RegisterNamespace(
                    RegisterNamespaceRequest(
                        namespace="default", workflow_execution_retention_period=Duration(seconds=86_400)
                    )
                )
            processes = [psutil.Process(node.process.pid) for node in nodes]
            yield Target(address, lambda: sum(sum(process.cpu_times()[:2]) for process in processes))
        finally:
            runner.run(cluster.__aexit__(None, None, None))


def measured(target: Target, driver: Driver, name: str) -> Sample:
    units, concurrency = WORKLOADS[name]
    before = target.cpu_s()
    answer = driver.ask("workload", name=name, units=units, concurrency=concurrency)
    return Sample(units, answer["seconds"], answer["latencies"], target.cpu_s() - before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--databases", type=int, default=1)
    parser.add_argument("--only", action="append", choices=TOPOLOGIES, help="measure only this; may be repeated")
    options = parser.parse_args()
    samples: defaultdict[tuple[str, str], list[Sample]] = defaultdict(list)
    for _ in range(options.rounds):
        for topology in options.only or TOPOLOGIES:
            with started(topology, options.databases) as target, driving(target.address) as driver:
                driver.ask("workload", name="fifty", units=150, concurrency=50)  # warms both sides up
                for name in WORKLOADS:
                    sample = measured(target, driver, name)
                    samples[topology, name].append(sample)
                    print(
                        f"{topology}, {name}: {sample.cpu_ms:.2f} ms of CPU, {sample.per_second:.0f}/s, "
                        f"p50 {sample.latency_ms(50):.0f} ms, p99 {sample.latency_ms(99):.0f} ms",
                        flush=True,
                    )
    print("\n| | " + " | ".join(f"{name}: CPU ms per workflow | per second" for name in WORKLOADS) + " |")
    print("|---|" + "---|---|" * len(WORKLOADS))
    for topology in options.only or TOPOLOGIES:
        cells = []
        for name in WORKLOADS:
            of_all = samples[topology, name]
            cells.append(f"{statistics.median(sample.cpu_ms for sample in of_all):.2f}")
            cells.append(f"{statistics.median(sample.per_second for sample in of_all):.0f}")
        print(f"| {topology} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
