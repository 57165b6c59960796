"""No request, however broken, is answered with INTERNAL or UNKNOWN."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings

from perdure.frontend.routes import SERVICES, Role
from tests.support.fuzz import requests
from tests.support.gateway import GatewayBench, running
from tests.support.rpc import METHODS

SERVED = sorted(rpc for _, routes in SERVICES for rpc, route in routes.items() if route.role is not Role.NOT_YET)


@pytest.mark.parametrize("rpc", SERVED)
def test_any_request(rpc: str) -> None:
    method = METHODS[rpc]
    namespaced = "namespace" in method.input_type.fields_by_name
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        client = runner.run(stack.enter_async_context(running(GatewayBench())))

        @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(request=requests(method.input_type))
        def never_our_fault(request: Message) -> None:
            for named in (False, True) if namespaced else (False,):
                if named:
                    request.namespace = "default"  # type: ignore[attr-defined]
                answer = runner.run(client.call(rpc, request))
                assert answer.code not in ("INTERNAL", "UNKNOWN"), answer

        try:
            never_our_fault()
        finally:
            runner.run(stack.aclose())
