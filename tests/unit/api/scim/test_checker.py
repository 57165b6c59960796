"""What an independent checker finds, over HTTP."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
import scim2_tester.filling
from scim2_client import BaseSyncSCIMClient
from scim2_tester import Status, check_server

from perdure.infra.tenancy.http import control_plane_server
from perdure.kernel.limits import ControlLimits
from tests.support.control_plane import control_bench
from tests.support.scim import provisioning

LIMITS = ControlLimits(
    users_max=1000, groups_max=1000, service_account_requests_per_second=10_000, account_requests_per_second=10_000
)
#: What we refuse and say so: nobody is let in again, or put out, because an attribute was left away.
ON_PURPOSE = "Failed to remove attribute 'active'"


class _Client(BaseSyncSCIMClient):
    """Over the network."""

    def __init__(self, client: httpx.Client) -> None:
        super().__init__()
        self._client = client

    def request(self, method: str, url: str, **kwargs: Any) -> Any:
        return self._client.request(method, url, **kwargs)


async def test_a_checker_finds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A schema cannot say that names of users are addresses.
    guess = scim2_tester.filling.get_random_example_value

    def example(path: Any) -> Any:
        return f"{uuid.uuid4()}@example.com" if str(path).lower().endswith("username") else guess(path)

    monkeypatch.setattr(scim2_tester.filling, "get_random_example_value", example)
    async with control_bench(f"sqlite:///{tmp_path}/control-plane.db", LIMITS) as bench:
        idp = await provisioning(bench, await bench.account())
        server = control_plane_server(bench.control_plane.services(), bench.access, {}, bench.control_plane.mounts)
        port = await server.start("127.0.0.1", 0)

        def check() -> list[Any]:
            headers = {"authorization": f"Bearer {idp.token}"}
            with httpx.Client(base_url=f"http://127.0.0.1:{port}/scim/v2", headers=headers) as client:
                return check_server(_Client(client))

        try:
            results = await asyncio.to_thread(check)
        finally:
            await server.stop()
    counts = {status: sum(result.status is status for result in results) for status in Status}
    wrong = [
        f"{result.title}: {result.reason}" for result in results if result.status in (Status.ERROR, Status.CRITICAL)
    ]
    assert [each for each in wrong if ON_PURPOSE not in each] == []
    assert counts[Status.SUCCESS] > 40, counts
