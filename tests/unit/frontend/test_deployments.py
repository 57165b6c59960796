"""What those who change a worker deployment are told of what was before."""

from __future__ import annotations

from typing import Any

from tests.support.gateway import DEFAULT_NAMESPACE, GatewayBench, running
from tests.support.rpc import Client

SHOP: dict[str, Any] = {"namespace": DEFAULT_NAMESPACE.name, "deployment_name": "shop", "allow_no_pollers": True}


async def ask(client: Client, rpc: str, **fields: Any) -> Any:
    answer = await client.call(rpc, {**SHOP, **fields})
    assert answer.code == "OK", answer
    return answer.response


async def test_a_change_says_what_was_before() -> None:
    async with running(GatewayBench()) as client:

        async def set_current(build_id: str) -> tuple[str, str]:
            before = await ask(client, "SetWorkerDeploymentCurrentVersion", build_id=build_id)
            return before.previous_version, before.previous_deployment_version.build_id

        async def set_ramping(build_id: str, percentage: float) -> tuple[str, str, float]:
            before = await ask(client, "SetWorkerDeploymentRampingVersion", build_id=build_id, percentage=percentage)
            return before.previous_version, before.previous_deployment_version.build_id, before.previous_percentage

        assert await set_current("1") == ("__unversioned__", "")
        assert await set_current("2") == ("shop.1", "1")
        assert await set_ramping("1", 10) == ("", "", 0)
        assert await set_ramping("3", 25) == ("shop.1", "1", 10)
        assert await set_ramping("", 0) == ("shop.3", "3", 25)
        assert await set_current("") == ("shop.2", "2")
