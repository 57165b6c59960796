"""FederationService, ProvisioningService and the routes of SCIM: none of them can be upset by what it is sent."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, Phase, given, settings

from perdure.api.scim.application import PATH
from perdure.api.services import FEDERATION_SERVICE, PROVISIONING_SERVICE, SCIM_SERVICE
from perdure.kernel.errors import Internal, ServiceError, Unavailable
from perdure.kernel.identity import KnownCaller
from perdure.kernel.limits import ControlLimits
from tests.support.control_plane import ControlBench, control_bench
from tests.support.fuzz import requests
from tests.support.scim import provisioning

LIMITS = ControlLimits(
    account_requests_per_second=10**6,
    user_requests_per_second=10**6,
    service_account_requests_per_second=10**6,
    anonymous_requests_per_second=10**6,
)
METHODS = [method for service in (FEDERATION_SERVICE, PROVISIONING_SERVICE) for method in service.methods]


def _examples(method: MethodDescriptor, count: int = 40) -> list[object]:
    found: list[object] = [GetMessageClass(method.input_type)()]

    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(requests(method.input_type))
    def collect(request: object) -> None:
        found.append(request)

    collect()
    return found


async def _upsets(bench: ControlBench, method: MethodDescriptor, token: str) -> None:
    caller = KnownCaller({"authorization": f"Bearer {token}"})
    for request in _examples(method):
        try:
            await bench.control_plane.endpoint(method)(request, caller)
        except ServiceError as error:
            assert not isinstance(error, Internal | Unavailable), (request, error)
            assert error.message


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
async def test_no_request_is_our_own_failure(tmp_path: Path, method: MethodDescriptor) -> None:
    async with control_bench(f"sqlite:///{tmp_path}/control-plane.db", LIMITS) as bench:
        await _upsets(bench, method, (await bench.account()).token)


@pytest.mark.parametrize("method", list(SCIM_SERVICE.methods), ids=lambda method: method.name)
async def test_no_request_of_scim_is_our_own_failure(database_url: str, method: MethodDescriptor) -> None:
    """Below HTTP, which would keep much of it out."""
    async with control_bench(database_url, LIMITS) as bench:
        idp = await provisioning(bench, await bench.account())
        bob, team = await idp.user("bob@example.com"), await idp.group("team")
        serve = bench.control_plane.mounts[PATH]._serve[method.name]
        caller = KnownCaller({"authorization": f"Bearer {idp.token}"})
        for number, request in enumerate(_examples(method)):
            request.id = (bob["id"], team["id"], request.id)[number % 3]  # type: ignore[attr-defined]
            try:
                await serve(request, caller)
            except ServiceError as error:
                assert not isinstance(error, Internal | Unavailable), (request, error)
