from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from perdure.kernel.clock import SECOND_NS, VirtualClock
from perdure.kernel.limits import ControlLimits
from perdure.kernel.runtime import Runtime
from tests.support.control_plane import control_bench
from tests.support.federation import FederationBench
from tests.unit.auth.oidc.issuer import Issuer

#: The rate of calls without credentials is a test's of its own.
LIMITS = ControlLimits(anonymous_requests_per_second=10_000, federated_keys_max=20)


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[FederationBench]:
    """Its clock stands still."""
    runtime = Runtime(clock=VirtualClock())
    issuer = Issuer(runtime.clock.now_ns() / SECOND_NS)
    async with control_bench(database_url, LIMITS, runtime=runtime, fetch=issuer.fetch) as running:
        yield FederationBench(running, issuer, await running.account())
