from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from perdure.kernel.clock import VirtualClock
from perdure.kernel.limits import ControlLimits
from perdure.kernel.runtime import Runtime
from tests.support.control_plane import ControlBench, control_bench

#: The rate of calls without credentials is another test's.
LIMITS = ControlLimits(anonymous_requests_per_second=10_000)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ControlBench]:
    """Its clock stands still."""
    async with control_bench(
        f"sqlite:///{tmp_path}/control-plane.db", LIMITS, runtime=Runtime(clock=VirtualClock())
    ) as running:
        yield running
