from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf.message import Message
from temporalio.api.cloud.cloudservice.v1 import request_response_pb2 as cloud
from temporalio.api.enums.v1 import HistoryEventFilterType
from temporalio.api.workflowservice.v1 import request_response_pb2 as workflow

from perdure.kernel.errors import InvalidArgument
from perdure.kernel.transcoding.jsontext import BODY_BYTES_MAX
from perdure.kernel.transcoding.requests import JsonStyle, build_request, parse_query
from perdure.kernel.transcoding.routes import RouteTable, bindings_of
from tests.support.http_requests import SERVICES

TABLE = RouteTable(binding for service in SERVICES for binding in bindings_of(service))


def request(method: str, target: str, body: object = b"", *, shorthand: bool = False) -> Message:
    path, _, query = target.partition("?")
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return build_request(TABLE.find(method, path), parse_query(query, shorthand=shorthand), text)


def refusal(method: str, target: str, body: object = b"") -> str:
    with pytest.raises(InvalidArgument) as refused:
        request(method, target, body)
    return refused.value.message


HISTORY = "/api/v1/namespaces/n/workflows/w/history"


def test_query_parameters_have_either_name_and_may_be_nested() -> None:
    expected = workflow.GetWorkflowExecutionHistoryRequest(
        namespace="n",
        execution={"workflow_id": "w", "run_id": "r"},
        wait_new_event=True,
        maximum_page_size=7,
        next_page_token=b"\xff\xfe",
        history_event_filter_type=HistoryEventFilterType.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT,
    )
    for query in (
        "execution.runId=r&waitNewEvent=true&maximumPageSize=7&nextPageToken=//4=&historyEventFilterType=2",
        "execution.run_id=r&wait_new_event=1&maximum_page_size=7&next_page_token=__4"
        "&history_event_filter_type=HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT",
    ):
        assert request("GET", f"{HISTORY}?{query}") == expected


def test_times_are_texts_and_lists_are_repeated() -> None:
    audit = request("GET", "/cloud/audit-logs?startTimeInclusive=2026-01-02T03:04:05Z&pageSize=2")
    assert isinstance(audit, cloud.GetAuditLogsRequest)
    assert audit.start_time_inclusive.seconds == 1767323045
    rows = request("GET", "/api/v1/namespaces/n/worker-task-reachability?buildIds=a&buildIds=b&taskQueues=q")
    assert isinstance(rows, workflow.GetWorkerTaskReachabilityRequest)
    assert (rows.build_ids, rows.task_queues) == (["a", "b"], ["q"])


def test_the_path_counts_for_more_than_the_body() -> None:
    made = request("POST", "/cloud/users/u1", {"userId": "u2", "spec": {"email": "a@b"}, "resource_version": "3"})
    assert made == cloud.UpdateUserRequest(user_id="u1", spec={"email": "a@b"}, resource_version="3")


def test_a_path_may_lead_into_a_message() -> None:
    made = request("POST", "/cloud/namespaces/n/export-sinks/s", {"spec": {"enabled": True}})
    assert made == cloud.UpdateNamespaceExportSinkRequest(namespace="n", spec={"name": "s", "enabled": True})


def test_an_empty_body_is_an_empty_message() -> None:
    assert request("POST", "/cloud/users/u1") == cloud.UpdateUserRequest(user_id="u1")


def test_style_parameters_are_no_fields() -> None:
    query = parse_query("pretty&noPayloadShorthand&x=1&x=2", shorthand=True)
    assert query == (JsonStyle(pretty=True, shorthand=False), {"x": ["1", "2"]})
    assert parse_query("", shorthand=True).style == JsonStyle(shorthand=True)
    assert parse_query("noPayloadShorthand").parameters == {"noPayloadShorthand": [""]}


def test_shorthand_reaches_the_body() -> None:
    made = request("POST", "/api/v1/namespaces/n/workflows/w", {"input": [5, {"x": None}]}, shorthand=True)
    assert isinstance(made, workflow.StartWorkflowExecutionRequest)
    assert [each.data for each in made.input.payloads] == [b"5", b'{"x":null}']


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("x=1&y=2", 'unknown query parameters: "x", "y"'),
        ("execution=1", 'unknown query parameters: "execution"'),
        ("execution.x=1", 'unknown query parameters: "execution.x"'),
        ("namespace.x=1", 'unknown query parameters: "namespace.x"'),
        ("namespace=m", "namespace: given twice"),
        ("maximumPageSize=1&maximum_page_size=1", "maximum_page_size: given twice"),
        ("maximumPageSize=1&maximumPageSize=1", "maximumPageSize: given 2 times"),
        ("maximumPageSize=x", "maximumPageSize: expected an integer, got a string"),
        ("maximumPageSize=", "maximumPageSize: expected an integer, got a string"),
        ("maximumPageSize=2147483648", "maximumPageSize: not between -2147483648 and 2147483647"),
        ("waitNewEvent=yes", "waitNewEvent: expected true or false, got a string"),
        ("historyEventFilterType=X", "historyEventFilterType: no such value of HistoryEventFilterType"),
        ("nextPageToken=!", "nextPageToken: expected base64"),
        ("execution.runId=%FF", "query is not UTF-8"),
        ("&".join(f"x{n}=1" for n in range(1001)), "query has more than 1000 parameters"),
        ("x=" + "1" * 20_000, "query is longer than 16384 bytes"),
    ],
)
def test_bad_queries_are_refused_by_name(query: str, message: str) -> None:
    assert refusal("GET", f"{HISTORY}?{query}") == message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "body is not JSON: Expecting property name enclosed in double quotes at line 1 column 2"),
        (b"\xff", "body is not UTF-8"),
        ("{}".encode("utf-16"), "body is not UTF-8"),
        (b"[" * 200_000, "body is nested deeper than 100"),
        (b'{"spec": NaN}', "body is not JSON: NaN is not a number of JSON"),
        (b'{"x": ' + b"9" * 5000 + b"}", "body has a number of too many digits"),
        (b'{"spec": {"a": 1, "a": 1}}', 'body repeats the key "a"'),
        (b" " * (BODY_BYTES_MAX + 1), f"body is larger than {BODY_BYTES_MAX} bytes"),
        ([], "body: expected an object, got an array"),
        (None, "body: expected an object, got null"),
        ({"x": 1}, '"x": no such field'),
        ({"\n" + "y" * 99: 1}, '"\\n' + "y" * 63 + '...": no such field'),
        ({"spec": 1}, "spec: expected an object, got a number"),
        ({"spec": {"email": 1}}, "spec.email: expected a string, got a number"),
        ({"spec": {"email": "\ud800"}}, "spec.email: not valid Unicode"),
        ({"resourceVersion": "", "resource_version": ""}, "resourceVersion: given twice, by both of its names"),
        (
            {"spec": {"access": {"namespaceAccesses": []}}},
            "spec.access.namespaceAccesses: expected an object, got an array",
        ),
        (
            {"spec": {"access": {"namespaceAccesses": {"n": {"permission": "X"}}}}},
            'spec.access.namespaceAccesses["n"].permission: no such value of Permission',
        ),
    ],
)
def test_bad_bodies_are_refused_by_field(body: Any, message: str) -> None:
    assert refusal("POST", "/cloud/users/u1", body) == message


def test_nested_messages_are_bounded() -> None:
    failure: dict[str, Any] = {}
    for _ in range(150):
        failure = {"cause": failure}
    path = "/api/v1/namespaces/n/activity-fail"
    assert refusal("POST", path, {"failure": failure}).endswith("nested deeper than 100")


@pytest.mark.parametrize(
    "body",
    [
        {"input": [[]] * 50_000},
        {"memo": {"fields": {str(number): {} for number in range(50_000)}}},
        {"input": {"payloads": [{}] * 50_000}},
    ],
)
def test_the_work_of_one_request_is_bounded(body: object) -> None:
    with pytest.raises(InvalidArgument, match="request has more than 50000 values"):
        request("POST", "/api/v1/namespaces/n/workflows/w", body, shorthand=True)


def test_a_body_where_none_belongs_is_refused() -> None:
    assert refusal("GET", "/cloud/users", {}) == "body: this method takes none"


def test_a_query_beside_a_whole_body_is_refused() -> None:
    assert refusal("POST", "/cloud/users/u1?resourceVersion=1") == 'unknown query parameters: "resourceVersion"'


def test_elements_of_lists_are_named() -> None:
    body = {"spec": {"regions": ["a", True]}}
    assert refusal("POST", "/cloud/namespaces", body) == "spec.regions[1]: expected a string, got a boolean"


def test_alternatives_exclude_each_other() -> None:
    body = {"spec": {"target": {"worker": {}, "external": {}}}}
    message = "spec.target.external: excludes worker, which is also given"
    assert refusal("POST", "/cluster/nexus/endpoints", body) == message
