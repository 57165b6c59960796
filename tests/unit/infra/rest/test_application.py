"""RPCs over a real socket."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import structlog
from google.protobuf.message import Message
from structlog.testing import capture_logs
from temporalio.api.cloud.cloudservice.v1 import request_response_pb2 as cloud
from temporalio.api.enums.v1 import ResourceExhaustedCause
from temporalio.api.workflowservice.v1 import request_response_pb2 as workflow

from perdure.infra.rest.application import STRANGERS_BYTES_MAX, Handler, RestApplication, RestLimits
from perdure.infra.rest.server import AsgiServer
from perdure.kernel import errors
from perdure.kernel.errors import Code, ServiceError
from perdure.kernel.identity import Admission, Caller, Principal, PrincipalKind
from perdure.kernel.ids import NamespaceName
from perdure.kernel.persistence.executions import StoreUnavailable
from perdure.kernel.persistence.namespaces import DamagedNamespace
from perdure.kernel.status import HTTP_STATUS
from perdure.kernel.transcoding.jsontext import BODY_BYTES_MAX
from perdure.kernel.transcoding.routes import RouteTable, bindings_of
from tests.support.http_requests import SERVICES
from tests.support.rest import toy_handlers

TABLE = RouteTable(binding for service in SERVICES for binding in bindings_of(service))
USERS = "/temporal.api.cloud.cloudservice.v1.CloudService/GetUsers"
CREATE = "/temporal.api.cloud.cloudservice.v1.CloudService/CreateUser"
START = "/temporal.api.workflowservice.v1.WorkflowService/StartWorkflowExecution"
DESCRIBE = "/temporal.api.workflowservice.v1.WorkflowService/DescribeWorkflowExecution"
JSON = {"content-type": "application/json"}


class Recorder:
    """Handlers for all RPCs; what those of `on` were called with is kept."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, float | None, Caller]] = []
        self.handlers = toy_handlers(TABLE)

    def on(self, rpc: str, answer: Callable[[], Message]) -> None:
        async def serve(request: Message, remaining_s: float | None, caller: Caller) -> Message:
            self.calls.append((request, remaining_s, caller))
            return answer()

        self.handlers[rpc] = serve


@asynccontextmanager
async def client(application: RestApplication) -> AsyncIterator[httpx.AsyncClient]:
    server = AsgiServer(application)
    port = await server.start("127.0.0.1", 0)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as http:
            yield http
    finally:
        await server.stop()


def application(handlers: dict[str, Handler], **options: Any) -> RestApplication:
    return RestApplication(TABLE, handlers, **options)


def failing(error: Exception) -> dict[str, Handler]:
    async def serve(request: Message, remaining_s: float | None, caller: Caller) -> Message:
        raise error

    return {**toy_handlers(TABLE), USERS: serve}


async def test_an_rpc_is_answered() -> None:
    recorder = Recorder()
    recorder.on(CREATE, lambda: cloud.CreateUserResponse(user_id="u"))
    async with client(application(recorder.handlers)) as http:
        answer = await http.post(
            "/cloud/users",
            json={"spec": {"email": "a@b"}},
            headers={"Authorization": "Bearer k", "Temporal-Namespace": "n", "grpc-timeout": "7S"},
        )
    assert (answer.status_code, answer.json()) == (200, {"userId": "u"})
    assert answer.headers["content-type"] == "application/json"
    [(request, remaining_s, caller)] = recorder.calls
    assert request == cloud.CreateUserRequest(spec={"email": "a@b"})
    assert (caller.metadata["authorization"], caller.metadata["temporal-namespace"]) == ("Bearer k", "n")
    assert caller.address == "127.0.0.1"
    assert remaining_s == pytest.approx(7, abs=1)


async def test_a_forwarded_address_is_a_header_and_nothing_more() -> None:
    recorder = Recorder()
    recorder.on(USERS, cloud.GetUsersResponse)
    async with client(application(recorder.handlers)) as http:
        await http.get("/cloud/users", headers=[("X-Forwarded-For", "9.9.9.9"), ("X-Forwarded-For", "8.8.8.8")])
    [(_, _, caller)] = recorder.calls
    assert (caller.address, caller.metadata["x-forwarded-for"]) == ("127.0.0.1", "9.9.9.9,8.8.8.8")


async def test_a_client_cannot_wait_longer_than_the_server_lets_it() -> None:
    recorder = Recorder()
    recorder.on(USERS, cloud.GetUsersResponse)
    async with client(application(recorder.handlers, limits=RestLimits(request_s_max=9))) as http:
        await http.get("/cloud/users", headers={"grpc-timeout": "99999999H"})
        bad = await http.get("/cloud/users", headers={"grpc-timeout": "soon"})
    assert recorder.calls[0][1] == pytest.approx(9, abs=1)
    assert (bad.status_code, bad.json()["code"]) == (400, 3)


async def test_styles_are_those_of_the_query() -> None:
    recorder = Recorder()
    recorder.on(START, lambda: workflow.StartWorkflowExecutionResponse(run_id="r"))
    async with client(application(recorder.handlers, shorthand=True)) as http:
        short = await http.post("/api/v1/namespaces/n/workflows/w?pretty", json={"input": [5]})
        at_length = await http.post("/api/v1/namespaces/n/workflows/w?noPayloadShorthand", json={"input": [5]})
    assert short.text == '{\n  "runId": "r"\n}'
    assert [each.data for each in recorder.calls[0][0].input.payloads] == [b"5"]
    assert (at_length.status_code, at_length.json()["message"]) == (400, "input: expected an object, got an array")


async def test_head_is_get_without_the_body() -> None:
    recorder = Recorder()
    recorder.on(USERS, lambda: cloud.GetUsersResponse(next_page_token="t"))
    async with client(application(recorder.handlers)) as http:
        answer = await http.head("/cloud/users")
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) == len('{"nextPageToken":"t"}')


@pytest.mark.parametrize("code", list(Code), ids=lambda code: code.name)
async def test_errors_are_statuses(code: Code) -> None:
    error = type("Error", (ServiceError,), {"code": code})("why", errors.NotFound("x").detail)
    async with client(application(failing(error))) as http:
        answer = await http.get("/cloud/users")
    assert answer.status_code == HTTP_STATUS[code]
    assert answer.json() == {
        "code": code.value,
        "message": "why",
        "details": [{"@type": "type.googleapis.com/temporal.api.errordetails.v1.NotFoundFailure"}],
    }
    assert ("www-authenticate" in answer.headers) is (code is Code.UNAUTHENTICATED)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(StoreUnavailable("db1 at 10.0.0.7"), 503, Code.UNAVAILABLE), (DamagedNamespace("n"), 500, Code.DATA_LOSS)],
)
async def test_trouble_of_a_store_is_told_as_over_grpc(error: Exception, status: int, code: Code) -> None:
    with capture_logs() as lines:
        async with client(application(failing(error))) as http:
            answer = await http.get("/cloud/users")
    assert (answer.status_code, answer.json()["code"], lines) == (status, code.value, [])
    assert "10.0.0.7" not in answer.text


async def test_a_defect_is_masked() -> None:
    async with client(application(failing(KeyError("secret")))) as http:
        answer = await http.get("/cloud/users")
    assert (answer.status_code, answer.json()) == (500, {"code": 13, "message": "internal error"})


async def test_no_body_is_logged() -> None:
    async def serve(request: Message, remaining_s: float | None, caller: Caller) -> Message:
        raise KeyError("defect")

    with capture_logs(processors=[structlog.processors.format_exc_info]) as lines:
        async with client(application({**toy_handlers(TABLE), CREATE: serve})) as http:
            secret = {"authorization": "Bearer hidden"}
            await http.post("/cloud/users", json={"spec": {"email": "hidden"}}, headers=secret)
            await http.post("/cloud/users", content=b'{"spec": "hidden', headers=JSON)
    [line] = lines
    assert (line["rpc"], "KeyError: 'defect'" in line["exception"]) == (CREATE, True)
    assert "hidden" not in str(line)


async def test_unknown_paths_and_methods_are_refused_as_json() -> None:
    async with client(application(toy_handlers(TABLE))) as http:
        unknown = await http.get("/cloud/nothing")
        wrong = await http.put("/cloud/users/u")
    assert (unknown.status_code, unknown.json()["code"], unknown.json()["message"]) == (404, 5, "no RPC has this path")
    assert (wrong.status_code, wrong.json()["code"]) == (405, 12)
    assert wrong.headers["allow"] == "DELETE, GET, HEAD, POST"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "application/x-www-form-urlencoded"}, 400),
        ({"content-type": "text/plain"}, 400),
        ({}, 400),
        ({"content-type": "application/json; charset=utf-8"}, 200),
        ({"content-type": "application/json+no-payload-shorthand"}, 200),
        ({**JSON, "sec-fetch-site": "cross-site"}, 403),
        ({**JSON, "sec-fetch-site": "same-site"}, 403),
        ({**JSON, "sec-fetch-site": "same-origin"}, 200),
    ],
)
async def test_pages_of_other_sites_cannot_call(headers: dict[str, str], status: int) -> None:
    async with client(application(toy_handlers(TABLE))) as http:
        answer = await http.post("/cloud/users", content=b"{}", headers=headers)
    assert answer.status_code == status


async def chunks(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b" " * 65536


async def test_bodies_are_bounded_whether_their_length_is_known_or_not() -> None:
    async with client(application(toy_handlers(TABLE))) as http:
        for content in (b" " * (BODY_BYTES_MAX + 1), chunks(70)):
            refused = await http.post("/cloud/users", content=content, headers=JSON)
            assert refused.status_code == 400
            assert refused.json()["message"] == f"body is larger than {BODY_BYTES_MAX} bytes"
        assert (await http.post("/cloud/users", content=b"{}", headers=JSON)).status_code == 200


class Held:
    """A handler that waits until it is let go, and knows whether it was cancelled."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __call__(self, request: Message, remaining_s: float | None, caller: Caller) -> Message:
        self.entered.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return cloud.GetUsersResponse()


async def test_a_deadline_cancels_the_handler() -> None:
    held = Held()
    async with client(application({**toy_handlers(TABLE), USERS: held})) as http:
        answer = await http.get("/cloud/users", headers={"grpc-timeout": "20m"})
    assert (answer.status_code, answer.json()["code"]) == (504, 4)
    assert held.cancelled.is_set()


async def test_the_body_takes_of_the_time_that_the_client_waits() -> None:
    recorder = Recorder()
    recorder.on(CREATE, cloud.CreateUserResponse)

    async def slowly() -> AsyncIterator[bytes]:
        yield b"{"
        arrived = asyncio.Event()
        asyncio.get_running_loop().call_later(0.3, arrived.set)
        await arrived.wait()
        yield b"}"

    async with client(application(recorder.handlers)) as http:
        await http.post("/cloud/users", content=slowly(), headers={**JSON, "grpc-timeout": "5S"})
    [(_, remaining_s, _)] = recorder.calls
    assert remaining_s is not None
    assert 0 < remaining_s <= 4.9


async def test_nobody_but_the_handler_has_the_request() -> None:
    references: list[int] = []

    async def serve(request: Message, remaining_s: float | None, caller: Caller) -> Message:
        references.append(sys.getrefcount(request))
        return cloud.CreateUserResponse()

    async with client(application({**toy_handlers(TABLE), CREATE: serve})) as http:
        await http.post("/cloud/users", json={"spec": {"email": "a@b"}})
    # Its own, and that of whoever counts.
    assert references[0] <= 2


async def test_a_timeout_of_the_handler_is_no_deadline() -> None:
    async with client(application(failing(TimeoutError()))) as http:
        assert (await http.get("/cloud/users")).status_code == 500


async def test_a_client_that_goes_away_cancels_its_handler() -> None:
    held = Held()
    async with client(application({**toy_handlers(TABLE), USERS: held})) as http:
        _, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
        writer.write(b"GET /cloud/users HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.wait_for(held.entered.wait(), 10)
        writer.close()
        await asyncio.wait_for(held.cancelled.wait(), 10)


async def test_requests_at_once_are_bounded() -> None:
    held = Held()
    handlers: dict[str, Handler] = {**toy_handlers(TABLE), USERS: held}
    async with client(application(handlers, limits=RestLimits(requests_max=1))) as http:
        first = asyncio.ensure_future(http.get("/cloud/users"))
        await asyncio.wait_for(held.entered.wait(), 10)
        refused = await http.get("/cloud/regions")
        held.go_on.set()
        assert (await first).status_code == 200
        assert (await http.get("/cloud/regions")).status_code == 200
    assert refused.status_code == 429
    assert "requests_max" in refused.json()["message"]
    cause = ResourceExhaustedCause.Name(ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_CONCURRENT_LIMIT)
    assert refused.json()["details"][0]["cause"] == cause


class AccountsAsKeys:
    """A `Guard` to which an account's name is its key, and a proxy's word good for where it is used."""

    async def authenticate(self, caller: Caller) -> None:
        if await self.recognize(caller) is None:
            raise errors.Unauthenticated("nobody knows you")

    async def admit(self, rpc: str, caller: Caller, namespace: NamespaceName | None) -> Admission:
        raise AssertionError("what somebody may do is for the handlers to ask")

    async def recognize(self, caller: Caller) -> Principal | None:
        scheme, _, key = caller.metadata.get("authorization", "").partition(" ")
        return Principal(PrincipalKind.USER, "u", account_id=key) if scheme == "Bearer" else None

    def address_of(self, caller: Caller) -> str:
        return caller.metadata.get("x-forwarded-for", caller.address)


KEY = {"authorization": "Bearer k"}


async def test_strangers_are_refused_before_anything_is_read_or_kept_for_them() -> None:
    recorder = Recorder()
    recorder.on(USERS, cloud.GetUsersResponse)
    limits = RestLimits(requests_max=1)
    async with client(application(recorder.handlers, guard=AccountsAsKeys(), limits=limits)) as http:
        unread = b"POST /cloud/users HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
        reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
        writer.write(unread)
        assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"HTTP/1.1 401 ")
        writer.close()
        unparsed = await http.post("/cloud/users", content=b"no JSON", headers=JSON)
        served = await http.get("/cloud/users", headers=KEY)
    assert (unparsed.status_code, served.status_code) == (401, 200)


async def test_strangers_may_call_what_is_open_and_take_little_room() -> None:
    held = Held()
    handlers: dict[str, Handler] = {**toy_handlers(TABLE), USERS: held}
    is_open = {"temporal.api.cloud.cloudservice.v1.CloudService.GetUsers"}.__contains__
    limits = RestLimits(requests_per_account_max=1)
    guarded = application(handlers, guard=AccountsAsKeys(), is_open=is_open, limits=limits)
    async with client(guarded) as http:
        large = await http.request("GET", "/cloud/users", content=b" " * (STRANGERS_BYTES_MAX + 1), headers=JSON)
        first = asyncio.ensure_future(http.get("/cloud/users"))
        await asyncio.wait_for(held.entered.wait(), 10)
        second = await http.get("/cloud/users", headers={"x-forwarded-for": "9.9.9.9"})
        known = await http.get("/cloud/regions", headers=KEY)
        unknown = await http.get("/cloud/regions")
        held.go_on.set()
        assert (await first).status_code == 200
    assert (large.status_code, large.json()["message"]) == (400, f"body is larger than {STRANGERS_BYTES_MAX} bytes")
    assert (second.status_code, known.status_code, unknown.status_code) == (429, 200, 401)


async def test_requests_at_once_from_one_address_are_bounded() -> None:
    held = Held()
    handlers: dict[str, Handler] = {**toy_handlers(TABLE), USERS: held}
    limits = RestLimits(requests_max=2, requests_per_address_max=1)
    async with client(application(handlers, guard=AccountsAsKeys(), limits=limits)) as http:
        first = asyncio.ensure_future(http.get("/cloud/users", headers=KEY))
        await asyncio.wait_for(held.entered.wait(), 10)
        second = await http.get("/cloud/regions", headers=KEY)
        elsewhere = await http.get("/cloud/regions", headers={**KEY, "x-forwarded-for": "9.9.9.9"})
        held.go_on.set()
        assert (await first).status_code == 200
        again = await http.get("/cloud/regions", headers=KEY)
    assert (second.status_code, "requests_per_address_max" in second.json()["message"]) == (429, True)
    assert (elsewhere.status_code, again.status_code) == (200, 200)


async def test_requests_at_once_of_one_account_are_bounded_wherever_they_come_from() -> None:
    held = Held()
    handlers: dict[str, Handler] = {**toy_handlers(TABLE), USERS: held}
    limits = RestLimits(requests_per_account_max=1)
    async with client(application(handlers, guard=AccountsAsKeys(), limits=limits)) as http:
        first = asyncio.ensure_future(http.get("/cloud/users", headers=KEY))
        await asyncio.wait_for(held.entered.wait(), 10)
        elsewhere = await http.get("/cloud/regions", headers={**KEY, "x-forwarded-for": "9.9.9.9"})
        other = await http.get("/cloud/regions", headers={"authorization": "Bearer other"})
        held.go_on.set()
        assert (await first).status_code == 200
    assert (elsewhere.status_code, "requests_per_account_max" in elsewhere.json()["message"]) == (429, True)
    assert other.status_code == 200


async def test_where_nobody_is_known_an_address_is_bounded_by_nothing_of_its_own() -> None:
    held = Held()
    handlers: dict[str, Handler] = {**toy_handlers(TABLE), USERS: held}
    async with client(application(handlers, limits=RestLimits(requests_per_address_max=1))) as http:
        first = asyncio.ensure_future(http.get("/cloud/users"))
        await asyncio.wait_for(held.entered.wait(), 10)
        assert (await http.get("/cloud/regions")).status_code == 200
        held.go_on.set()
        assert (await first).status_code == 200


async def test_bodies_at_once_are_bounded() -> None:
    limits = RestLimits(buffered_bytes_max=1000)
    async with client(application(toy_handlers(TABLE), limits=limits)) as http:
        refused = await http.post("/cloud/users", content=b" " * 1001, headers=JSON)
        taken = [await http.post("/cloud/users", content=b"{}" + b" " * 900, headers=JSON) for _ in range(3)]
    assert (refused.status_code, "buffered_bytes_max" in refused.json()["message"]) == (429, True)
    assert [each.status_code for each in taken] == [200, 409, 409]


async def test_a_stop_lets_requests_in_flight_finish() -> None:
    held = Held()
    server = AsgiServer(application({**toy_handlers(TABLE), USERS: held}))
    port = await server.start("127.0.0.1", 0)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        first = asyncio.ensure_future(http.get("/cloud/users"))
        await asyncio.wait_for(held.entered.wait(), 10)
        stopping = asyncio.ensure_future(server.stop())
        held.go_on.set()
        assert (await first).status_code == 200
        await stopping
        with pytest.raises(httpx.ConnectError):
            await http.get("/cloud/users")


async def test_a_port_that_is_taken_is_an_error() -> None:
    server = AsgiServer(application(toy_handlers(TABLE)))
    port = await server.start("127.0.0.1", 0)
    with pytest.raises(OSError, match="in use"):
        await AsgiServer(application(toy_handlers(TABLE))).start("127.0.0.1", port)
    await server.stop()


@pytest.mark.parametrize(
    "request_",
    [
        b"\0\r\n\r\n",
        b"GET /cloud/users HTTP/1.1\r\n\r\n",
        b"GET /cloud/users HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET /cloud/users HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET /cloud/users HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_refused(request_: bytes) -> None:
    async with client(application(toy_handlers(TABLE))) as http:
        reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
        writer.write(request_)
        assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"HTTP/1.1 400 ")
        writer.close()


async def test_answers_that_json_has_no_words_for_are_answered() -> None:
    recorder = Recorder()
    recorder.on(DESCRIBE, lambda: workflow.DescribeWorkflowExecutionResponse())
    response = workflow.DescribeWorkflowExecutionResponse()
    response.workflow_execution_info.start_time.seconds = -(2**63)
    response.workflow_execution_info.execution_duration.seconds = 2**63 - 1
    recorder.on(DESCRIBE, lambda: response)
    async with client(application(recorder.handlers)) as http:
        answer = await http.get("/api/v1/namespaces/n/workflows/w")
    assert json.loads(answer.text)["workflowExecutionInfo"] == {
        "startTime": "0001-01-01T00:00:00Z",
        "executionDuration": "315576000000s",
    }


def test_an_rpc_without_a_handler_stops_the_process() -> None:
    handlers = toy_handlers(TABLE)
    del handlers[USERS]
    with pytest.raises(ValueError, match=f"no handler for {USERS}"):
        application(handlers)
