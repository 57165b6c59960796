from __future__ import annotations

import json
from typing import Any

import pytest
from openapi_spec_validator import validate

from perdure.kernel.transcoding import jsontext
from perdure.kernel.transcoding.openapi import document
from perdure.kernel.transcoding.routes import RouteTable, bindings_of
from tests.support.http_requests import SERVICES

CLOUD = RouteTable(bindings_of(SERVICES[0]))
ALL = RouteTable(binding for service in SERVICES for binding in bindings_of(service))
DOCUMENT: dict[str, Any] = document(ALL, title="All", version="1", shorthand=True)


def test_the_document_is_valid() -> None:
    validate(json.loads(jsontext.dump(DOCUMENT)))


def test_each_binding_is_an_operation_with_a_name_of_its_own() -> None:
    operations = [operation for item in DOCUMENT["paths"].values() for operation in item.values()]
    assert len(operations) == len(ALL.bindings)
    assert len({operation["operationId"] for operation in operations}) == len(operations)


def test_methods_share_a_path_whatever_they_call_its_variables() -> None:
    paths = document(CLOUD, title="Cloud", version="1")["paths"]
    sink = paths["/cloud/namespaces/{namespace}/export-sinks/{name}"]
    assert sink.keys() == {"get", "post", "delete"}
    for operation in sink.values():
        assert [each["name"] for each in operation["parameters"] if each.get("in") == "path"] == ["namespace", "name"]


def test_fields_of_a_query_are_flat() -> None:
    operation = DOCUMENT["paths"]["/api/v1/namespaces/{namespace}/workflows/{workflowId}/history"]["get"]
    names = {each["name"] for each in operation["parameters"] if each.get("in") == "query"}
    assert names == {
        "execution.runId",
        "maximumPageSize",
        "nextPageToken",
        "waitNewEvent",
        "historyEventFilterType",
        "skipArchival",
    }
    assert operation["summary"] == "Get workflow execution history"


def test_a_body_has_what_the_path_has_not() -> None:
    operation = DOCUMENT["paths"]["/cloud/users/{userId}"]["post"]
    body = operation["requestBody"]["content"]["application/json"]["schema"]
    assert body["properties"].keys() == {"spec", "resourceVersion", "asyncOperationId"}


def test_errors_are_statuses() -> None:
    error = DOCUMENT["components"]["responses"]["Error"]["content"]["application/json"]["schema"]
    assert error == {"$ref": "#/components/schemas/google.rpc.Status"}
    assert DOCUMENT["components"]["schemas"]["google.rpc.Status"]["properties"].keys() == {"code", "message", "details"}


@pytest.mark.parametrize("bearer", [True, False])
def test_a_token_is_asked_for_where_calls_need_one(bearer: bool) -> None:
    made = document(CLOUD, title="Cloud", version="1", bearer=bearer)
    assert (made.get("security") == [{"bearer": []}]) is bearer


@pytest.mark.parametrize("shorthand", [True, False])
def test_payloads_are_described_as_they_are_written(shorthand: bool) -> None:
    made = document(ALL, title="All", version="1", shorthand=shorthand)
    payload = made["components"]["schemas"]["temporal.api.common.v1.Payload"]
    assert ("properties" in payload) is not shorthand
    assert ("noPayloadShorthand" in made["components"]["parameters"]) is shorthand
