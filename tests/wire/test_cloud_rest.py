"""The real control plane over REST: whatever schemathesis makes of the document, nothing is an error of ours."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Iterator
from typing import NamedTuple

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from perdure.api.services import SERVICES
from perdure.infra.tenancy.http import control_plane_server
from perdure.kernel.limits import ControlLimits
from perdure.kernel.transcoding.openapi import document
from perdure.kernel.transcoding.routes import RouteTable, bindings_of
from tests.support.control_plane import control_bench

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
SOME = settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
#: What is tried is not how often somebody may try.
LIMITS = ControlLimits(
    account_requests_per_second=10**6,
    user_requests_per_second=10**6,
    anonymous_requests_per_second=10**6,
    operations_in_flight_max=10**6,
)
START_S_MAX = 30

schema = schemathesis.openapi.from_dict(
    document(
        RouteTable(binding for service in SERVICES for binding in bindings_of(service)), title="Cloud", version="1"
    ),
    config=schemathesis.Config.from_dict({"generation": {"mode": "all"}}),
)


class Cloud(NamedTuple):
    url: str
    token: str


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    """A control plane with one account, in a loop and thread of its own."""
    ready: list[Cloud] = []
    started, stopping = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        with tempfile.TemporaryDirectory() as directory:
            async with control_bench(f"sqlite:///{directory}/control-plane.db", LIMITS) as bench:
                server = control_plane_server(bench.control_plane.services(), bench.access, {}, {})
                owner = await bench.account()
                ready.append(Cloud(f"http://127.0.0.1:{await server.start('127.0.0.1', 0)}", owner.token))
                started.set()
                await stopping.wait()
                await server.stop()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert started.wait(START_S_MAX)
        yield ready[0]
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join()
        loop.close()


@schema.parametrize()
@SOME
def test_nothing_is_an_error_of_ours(case: schemathesis.Case, cloud: Cloud) -> None:
    headers = {"authorization": f"Bearer {cloud.token}"}
    case.call_and_validate(base_url=cloud.url, headers=headers, checks=CHECKS)
