from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.control_plane import ControlBench, control_bench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ControlBench]:
    async with control_bench(tmp_path) as running:
        yield running
