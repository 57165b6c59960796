"""The HTTP API of the data plane: the same requests over HTTP to the real server and to `perdure dev`."""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from loadtests.servers import free_port, real_command, running

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
#: What depends on storage, pace and chance, or on what a server can do.
_IGNORED = {
    "historySizeBytes",
    "stateTransitionCount",
    "taskId",
    "version",
    "failoverVersion",
    "capabilities",
    "limits",
    "supportsSchedules",
    "clusterId",
    "clusterName",
    "activeClusterName",
    "serverVersion",
    "versionInfo",
    "supportedClients",
    "persistenceStore",
    "visibilityStore",
    "historyShardCount",
    "initialFailoverVersion",
    "failoverVersionIncrement",
    "executionDuration",
    "state",
    "nextPageToken",
}


class Pair:
    """Asks both. What is recorded of the answers has to be the same."""

    def __init__(self, real: str, perdure: str) -> None:
        self._clients = [httpx.Client(base_url=base, timeout=20) for base in (real, perdure)]
        self.own = self._clients[1]
        self._ids: list[dict[str, str]] = [{}, {}]

    def close(self) -> None:
        for client in self._clients:
            client.close()

    def ask(self, method: str, path: str, *, body: Any = None, **options: Any) -> Any:
        """The answer of the second, after it was compared with that of the first."""
        answers = [client.request(method, path, json=body, **options) for client in self._clients]
        shown = [self._shown(number, answer) for number, answer in enumerate(answers)]
        assert shown[1] == shown[0], f"{method} {path}"
        # The real server says what the client would accept.
        assert answers[1].headers["content-type"].partition(";")[0] == "application/json"
        return answers[1].json()

    def _shown(self, number: int, answer: httpx.Response) -> Any:
        ids = self._ids[number]
        text = _TIME.sub("<time>", answer.text)
        text = _UUID.sub(lambda match: ids.setdefault(match[0], f"<id {len(ids) + 1}>"), text)
        return answer.status_code, _without(json.loads(text))


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without(each) for name, each in value.items() if name not in _IGNORED}
    return [_without(each) for each in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    ports = free_port(), free_port()

    def real(port: int, directory: Path) -> list[str]:
        return [*real_command(port, directory), "--http-port", str(ports[0])]

    def perdure(port: int, directory: Path) -> list[str]:
        server = [sys.executable, "-m", "perdure.infra.cli", "dev", "--ephemeral"]
        return [*server, "--port", str(port), "--http-port", str(ports[1])]

    with ExitStack() as stack:
        stack.enter_context(running("real", real))
        stack.enter_context(running("perdure", perdure))
        both = Pair(*(f"http://127.0.0.1:{port}" for port in ports))
        yield both
        both.close()


BASE = "/api/v1/namespaces/default"
START = {
    "workflowType": {"name": "Order"},
    "taskQueue": {"name": "orders"},
    "input": [{"item": "book", "count": 2}, "text", None],
    "memo": {"fields": {"note": {"a": [1, 2]}}},
    "requestId": "start",
}


def test_a_workflow_from_start_to_end(pair: Pair) -> None:
    pair.ask("POST", f"{BASE}/workflows/w1", body=START)
    pair.ask("GET", f"{BASE}/workflows/w1")
    pair.ask("POST", f"{BASE}/workflows/w1/signal/go", body={"input": [{"n": 1}], "requestId": "s"})
    pair.ask("GET", f"{BASE}/workflows/w1/history")
    pair.ask("GET", f"{BASE}/workflows/w1/history-reverse")
    pair.ask("POST", f"{BASE}/workflows/w1/cancel", body={"reason": "why", "requestId": "c"})
    pair.ask("POST", f"{BASE}/workflows/w1/terminate", body={"reason": "enough", "details": ["x"]})
    pair.ask("GET", f"{BASE}/workflows/w1/history")
    pair.ask("POST", f"{BASE}/workflows/w1/terminate", body={"reason": "again"})


def test_the_paths_without_a_version(pair: Pair) -> None:
    pair.ask("POST", "/namespaces/default/workflows/w2", body=START)
    pair.ask("GET", "/namespaces/default/workflows/w2")
    pair.ask("POST", "/namespaces/default/workflows/w2/terminate", body={})


def test_payloads_in_full(pair: Pair) -> None:
    plain = {name: value for name, value in START.items() if name != "memo"}
    data = base64.b64encode(b'"x"').decode()
    full = {"payloads": [{"metadata": {"encoding": base64.b64encode(b"json/plain").decode()}, "data": data}]}
    pair.ask("POST", f"{BASE}/workflows/w3?noPayloadShorthand", body={**plain, "input": full})
    pair.ask("GET", f"{BASE}/workflows/w3/history?noPayloadShorthand")
    pair.ask("GET", f"{BASE}/workflows/w3/history")
    pair.ask("POST", f"{BASE}/workflows/w3/terminate", body={})


def test_lists_and_counts(pair: Pair) -> None:
    pair.ask("GET", f"{BASE}/workflow-count?query=WorkflowId%3D'nobody'")
    pair.ask("GET", f"{BASE}/workflows?query=WorkflowId%3D'nobody'")
    pair.ask("GET", f"{BASE}/schedules")


def test_namespaces_and_the_cluster(pair: Pair) -> None:
    pair.ask("GET", "/api/v1/namespaces/default")
    pair.ask("GET", "/api/v1/namespaces/nothing")
    pair.ask("GET", "/api/v1/system-info")
    pair.ask("GET", "/api/v1/cluster-info")


def test_schedules(pair: Pair) -> None:
    action = {"startWorkflow": {"workflowId": "s", "workflowType": {"name": "X"}, "taskQueue": {"name": "q"}}}
    schedule = {"spec": {"interval": [{"interval": "3600s"}]}, "action": action, "state": {"paused": True}}
    pair.ask("POST", f"{BASE}/schedules/s1", body={"schedule": schedule, "requestId": "r"})
    pair.ask("GET", f"{BASE}/schedules/s1")
    pair.ask("DELETE", f"{BASE}/schedules/s1")
    pair.ask("GET", f"{BASE}/schedules/s1")


def test_batch_jobs(pair: Pair) -> None:
    pair.ask("POST", f"{BASE}/batch-operations/b1", body={"reason": "why"})
    pair.ask("GET", f"{BASE}/batch-operations/nothing")
    pair.ask("GET", f"{BASE}/batch-operations")


def test_errors(pair: Pair) -> None:
    pair.ask("GET", f"{BASE}/workflows/nobody")
    pair.ask("POST", f"{BASE}/workflows/w4", body={"workflowType": {"name": "X"}})
    pair.ask("POST", "/api/v1/namespaces/nothing/workflows/w4", body=START)
    pair.ask("POST", f"{BASE}/workflows/nobody/signal/go", body={})


def test_ids_with_slashes_and_spaces(pair: Pair) -> None:
    pair.ask("POST", f"{BASE}/workflows/a%20b", body=START)
    pair.ask("GET", f"{BASE}/workflows/a%20b")
    pair.ask("POST", f"{BASE}/workflows/a%20b/terminate", body={})


@pytest.fixture(scope="module")
def own(pair: Pair) -> httpx.Client:
    """Of `perdure dev` alone."""
    return pair.own


def test_pages_of_elsewhere_cannot_call(own: httpx.Client) -> None:
    for path in (f"{BASE}/workflows", "/metrics"):
        refused = own.get(path, headers={"host": "evil.example"})
        assert (refused.status_code, refused.json()["code"]) == (403, 7)
    for name in ("localhost:1", "192.168.7.9:8233", "perdure", "perdure.svc.cluster.local"):
        assert own.get(f"{BASE}/workflows", headers={"host": name}).status_code == 200


def test_it_is_described(own: httpx.Client) -> None:
    document = own.get("/api/v1/openapi.json").json()
    assert document["openapi"].startswith("3.")
    assert "/api/v1/namespaces/{namespace}/workflows/{workflowId}" in document["paths"]
    assert "/api/v1/openapi.json" in own.get("/api/v1/docs").text


def test_pages_of_operators_are_there_too(own: httpx.Client) -> None:
    assert own.get("/healthz").text == "ok\n"
    assert "# HELP" in own.get("/metrics").text
