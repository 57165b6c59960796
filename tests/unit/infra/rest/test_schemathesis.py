"""What the OpenAPI document promises holds for whatever schemathesis makes of it, and nothing is an error of ours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from perdure.infra.rest.application import RestApplication
from perdure.kernel.transcoding.openapi import document
from perdure.kernel.transcoding.routes import RouteTable, bindings_of
from tests.support.http_requests import SERVICES
from tests.support.rest import served, toy_handlers

CLOUD = RouteTable(bindings_of(SERVICES[0]))
DATA_PLANE = RouteTable(binding for service in SERVICES[1:] for binding in bindings_of(service))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    unsupported_method,
]
SOME = settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
FEW = settings(SOME, max_examples=1)


def generating(mode: str) -> schemathesis.Config:
    return schemathesis.Config.from_dict({"generation": {"mode": mode}})


cloud = schemathesis.openapi.from_dict(document(CLOUD, title="Cloud", version="1"), config=generating("all"))
# Breaking such large schemas takes long, and what is broken is refused by the same code.
data_plane = schemathesis.openapi.from_dict(
    document(DATA_PLANE, title="Data plane", version="1", shorthand=True), config=generating("positive")
)


@pytest.fixture(scope="module")
def cloud_url() -> Iterator[str]:
    with served(RestApplication(CLOUD, toy_handlers(CLOUD))) as url:
        yield url


@pytest.fixture(scope="module")
def data_plane_url() -> Iterator[str]:
    with served(RestApplication(DATA_PLANE, toy_handlers(DATA_PLANE), shorthand=True)) as url:
        yield url


@cloud.parametrize()
@SOME
def test_control_plane(case: schemathesis.Case, cloud_url: str) -> None:
    case.call_and_validate(base_url=cloud_url, checks=CHECKS)


# The other paths are of the same RPCs.
@data_plane.include(path_regex="^/api/v1/").parametrize()
@FEW
def test_data_plane(case: schemathesis.Case, data_plane_url: str) -> None:
    case.call_and_validate(base_url=data_plane_url, checks=CHECKS)


def test_bad_input_is_among_what_is_tried() -> None:
    assert cloud.config.generation.modes == [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
