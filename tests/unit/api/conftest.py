from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from perdure.kernel.clock import VirtualClock
from perdure.kernel.runtime import Runtime
from tests.support.control_plane import ControlBench, control_bench
from tests.support.postgres import PostgresForTests


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'control-plane.db'}"
    postgres: PostgresForTests = request.getfixturevalue("postgres")
    (dsn,) = postgres.new(1).values()
    return dsn


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[ControlBench]:
    async with control_bench(database_url) as running:
        yield running


@pytest.fixture
async def clocked_bench(database_url: str) -> AsyncIterator[ControlBench]:
    """Nothing happens by itself, and no time passes."""
    async with control_bench(database_url, still=True, runtime=Runtime(clock=VirtualClock())) as running:
        yield running


@pytest.fixture
async def still_bench(database_url: str) -> AsyncIterator[ControlBench]:
    async with control_bench(database_url, still=True) as running:
        yield running
