from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from perdure.kernel.limits import ControlLimits
from tests.support.control_plane import ControlBench, Owner, control_bench
from tests.support.scim import ScimClient, provisioning

LIMITS = ControlLimits(
    service_account_requests_per_second=10_000, account_requests_per_second=10_000, anonymous_requests_per_second=10_000
)


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[ControlBench]:
    async with control_bench(database_url, LIMITS) as running:
        yield running


@pytest.fixture
async def owner(bench: ControlBench) -> Owner:
    return await bench.account()


@pytest.fixture
async def idp(bench: ControlBench, owner: Owner) -> ScimClient:
    return await provisioning(bench, owner)
