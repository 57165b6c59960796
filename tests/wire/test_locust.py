"""The users of loadtests/locustfile.py, against a real server."""

from __future__ import annotations

import asyncio
import csv
import os
import sys
from pathlib import Path

import pytest

from tests.support.process import ANY_PORTS, dev

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("users", ["GrpcCaller", "HttpCaller"])
async def test_users_find_what_they_ask_for(users: str, tmp_path: Path) -> None:
    mix = tmp_path / "mix.toml"
    mix.write_text((ROOT / "loadtests" / "mix.toml").read_text().replace("most = 0.2", "most = 0.01"))
    results = tmp_path / "results"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]), "MIX": str(mix)}
    async with dev("--ephemeral", *ANY_PORTS) as server:
        host = server.address if users == "GrpcCaller" else server.http
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "loadtests.worker", server.address), cwd=ROOT, env=environment
        )
        try:
            locust = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "locust", "--locustfile", "loadtests/locustfile.py", "--headless"),
                *("--host", host, "--users", "4", "--spawn-rate", "4", "--run-time", "6s"),
                *("--csv", str(results), "--only-summary", "--loglevel", "ERROR", users),
                cwd=ROOT,
                env=environment,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
            assert await asyncio.wait_for(locust.wait(), 60) == 0, "it exits non-zero if anything failed"
        finally:
            worker.terminate()
            await worker.wait()
    rows = {row["Name"]: row for row in csv.DictReader(Path(f"{results}_stats.csv").read_text().splitlines())}
    assert rows.keys() >= {"start", "workflow of one activity", "signal", "query", "update", "list"}
    assert int(rows["Aggregated"]["Failure Count"]) == 0
    assert int(rows["workflow of one activity"]["Request Count"]) > 0
