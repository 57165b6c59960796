from __future__ import annotations

import pytest

from perdure.frontend.routes import SERVICES, WORKFLOW_ROUTES, WORKFLOW_SERVICE, Role, RouteTableError, verify
from perdure.frontend.validation import CHECKS


def test_every_method_of_every_service_has_a_row() -> None:
    for service, routes in SERVICES:
        assert len(list(verify(service, routes))) == len(service.methods)


def test_a_missing_row_stops_the_process() -> None:
    routes = {rpc: route for rpc, route in WORKFLOW_ROUTES.items() if rpc != "PauseActivity"}
    with pytest.raises(RouteTableError, match="PauseActivity"):
        verify(WORKFLOW_SERVICE, routes)


def test_a_row_without_a_method_stops_the_process() -> None:
    with pytest.raises(RouteTableError, match="MakeCoffee"):
        verify(WORKFLOW_SERVICE, {**WORKFLOW_ROUTES, "MakeCoffee": WORKFLOW_ROUTES["PauseActivity"]})


def test_checks_belong_to_calls_that_roles_serve() -> None:
    served = {rpc for rpc, route in WORKFLOW_ROUTES.items() if route.role in (Role.HISTORY, Role.MATCHING)}
    assert served >= CHECKS.keys()
