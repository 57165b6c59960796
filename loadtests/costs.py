"""What one workflow of one activity costs each part of a cluster: `python -m loadtests.costs`.

One process with all roles on one Postgres, 200 workflows at a time. Commits are those of the data path, counted by the
process; the CPU of Postgres is that of all its processes; bytes of clients are those that the loopback device carried.
"""

from __future__ import annotations

import asyncio
import re
import urllib.request
from pathlib import Path

import asyncpg
import psutil
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client

from loadtests.driver import driving
from perdure.infra.local.cluster import LocalCluster

UNITS, CONCURRENCY = 1_000, 200
_COMMITS = re.compile(r"^perdure_commits_total(?:\{.*\})? ([0-9.e+]+)$", re.MULTILINE)


def postgres_cpu_s(pid: int) -> float:
    processes = [psutil.Process(pid), *psutil.Process(pid).children()]
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def postmaster(directory: Path) -> int:
    """The id of the process that is Postgres, and the parent of all others."""
    return int((directory / "data" / "postmaster.pid").read_text().splitlines()[0])


def commits(http: str) -> float:
    with urllib.request.urlopen(f"{http}/metrics", timeout=10) as page:
        return sum(float(count) for count in _COMMITS.findall(page.read().decode()))


def loopback_bytes() -> int:
    return psutil.net_io_counters(pernic=True)["lo"].bytes_sent


async def main() -> None:
    async with LocalCluster(databases=1, environment={"PERDURE_LOG_LEVEL": "error"}) as cluster:
        node = await cluster.start("gateway,history,matching")
        client = await Client.connect(node.address)
        await client.workflow_service.register_namespace(
            RegisterNamespaceRequest(namespace="default", workflow_execution_retention_period=Duration(seconds=86_400))
        )
        (dsn,) = cluster.dsns.values()
        connection = await asyncpg.connect(dsn)
        postgres = postmaster(cluster.postgres.directory)
        server = psutil.Process(node.process.pid)

        async def now() -> list[float]:
            written = await connection.fetchval("SELECT count(*) FROM journal")
            wal = await connection.fetchval("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")
            cpu_s = sum(server.cpu_times()[:2])
            return [cpu_s, postgres_cpu_s(postgres), commits(node.http), written, float(wal), loopback_bytes()]

        def drive(units: int) -> None:
            driver.ask("workload", name="twohundred", units=units, concurrency=CONCURRENCY)

        with driving(node.address) as driver:
            await asyncio.to_thread(drive, 400)  # warms all sides up
            before = await now()
            await asyncio.to_thread(drive, UNITS)
            cost = [(after - first) / UNITS for first, after in zip(before, await now(), strict=True)]
        names = (
            "ms of server CPU",
            "ms of Postgres CPU",
            "commits",
            "journal records",
            "bytes of WAL",
            "bytes on the network",
        )
        for name, value, scale in zip(names, cost, (1e3, 1e3, 1, 1, 1, 1), strict=True):
            print(f"{value * scale:10.2f} {name} per workflow")


if __name__ == "__main__":
    asyncio.run(main())
