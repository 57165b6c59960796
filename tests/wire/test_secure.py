"""`perdure dev --secure`: who gets in, and who does not, over real connections."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple, cast
from urllib.parse import quote

import grpc
import grpc.aio
import httpx
import pytest
import pytest_asyncio
import trustme
from temporalio.api.cloud.cloudservice.v1 import CreateNamespaceRequest, GetAuditLogsRequest, GetUsageRequest
from temporalio.api.cloud.cloudservice.v1.service_pb2_grpc import CloudServiceStub
from temporalio.api.cloud.namespace.v1 import ApiKeyAuthSpec, NamespaceSpec
from temporalio.api.command.v1 import Command, StartChildWorkflowExecutionCommandAttributes
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import CommandType
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    GetSystemInfoRequest,
    ListNamespacesRequest,
    ListWorkflowExecutionsRequest,
    PollWorkflowTaskQueueRequest,
    RespondWorkflowTaskCompletedRequest,
    StartWorkflowExecutionRequest,
)
from temporalio.api.workflowservice.v1.service_pb2_grpc import WorkflowServiceStub

from perdure.auth.certificates.issuing import Issued, generate_authority, generate_leaf, generate_server, load_issued
from tests.support.process import ANY_PORTS, dev

_STEP_S = 0.05


class Secure(NamedTuple):
    """A server, and the directory with what opens it."""

    address: str
    mutual_address: str
    directory: Path
    pages: str = ""
    metrics: str = ""

    @property
    def namespace(self) -> str:
        return (self.directory / "namespace").read_text()

    @property
    def key(self) -> str:
        return (self.directory / "api-key").read_text()

    @property
    def authority(self) -> Issued:
        return load_issued(self._read("client-ca.pem"), self._read("client-ca.key"))

    def _read(self, name: str) -> bytes:
        return (self.directory / name).read_bytes()

    def by_key(self) -> grpc.aio.Channel:
        return grpc.aio.secure_channel(self.address, grpc.ssl_channel_credentials(self._read("server-ca.pem")))

    def by_certificate(self, shown: Issued | None, *chain: bytes) -> grpc.aio.Channel:
        """With a client certificate, or with none."""
        key, certificate = (shown.key_pem, b"".join([shown.certificate_pem, *chain])) if shown else (None, None)
        credentials = grpc.ssl_channel_credentials(self._read("server-ca.pem"), key, certificate)
        return grpc.aio.secure_channel(self.mutual_address, credentials)

    def client(self) -> Issued:
        return load_issued(self._read("client.pem"), self._read("client.key"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def secure(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Secure]:
    directory = tmp_path_factory.mktemp("secure")
    ports = [*ANY_PORTS, "--mtls-port", "0", "--metrics-port", "0"]
    async with dev(*ports, "--ephemeral", "--secure", "--secure-dir", str(directory)) as server:
        metrics = server.ready_line.partition("metrics ")[2].partition(",")[0]
        yield Secure(server.address, server.mutual_address, directory, server.http, metrics)


async def _start(channel: grpc.aio.Channel, namespace: str, metadata: list[tuple[str, str]] | None = None) -> str:
    """Start a workflow; what comes of it is the name of a status code."""
    request = StartWorkflowExecutionRequest(
        namespace=namespace, workflow_id="w", request_id="r", identity="tests", workflow_id_reuse_policy=1
    )
    request.workflow_type.name = "W"
    request.task_queue.name = "q"
    try:
        async with channel:
            stub = WorkflowServiceStub(channel)  # type: ignore[no-untyped-call]
            await stub.StartWorkflowExecution(request, metadata=metadata or [], timeout=10)
    except grpc.aio.AioRpcError as error:
        assert "unauthorized" in str(error.details()) or error.code() is not grpc.StatusCode.PERMISSION_DENIED
        return error.code().name
    return "OK"


def _bearer(token: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {token}")]


async def test_a_certificate_and_an_api_key_open_their_namespace(secure: Secure) -> None:
    assert await _start(secure.by_certificate(secure.client()), secure.namespace) == "OK"
    assert await _start(secure.by_key(), secure.namespace, _bearer(secure.key)) == "OK"


async def test_an_api_key_opens_its_namespace_over_http_too(secure: Secure) -> None:
    trusted = ssl.create_default_context(cafile=str(secure.directory / "server-ca.pem"))
    async with httpx.AsyncClient(base_url=secure.pages, verify=trusted) as http:
        path, key = f"/api/v1/namespaces/{secure.namespace}/workflows", {"authorization": f"Bearer {secure.key}"}
        assert (await http.get(path)).status_code == HTTPStatus.UNAUTHORIZED
        unread = await http.post(f"{path}/w", content=b"no JSON", headers={"content-type": "application/json"})
        assert unread.status_code == HTTPStatus.UNAUTHORIZED
        assert (await http.get(path, headers=key)).status_code == HTTPStatus.OK
        other = await http.get("/api/v1/namespaces/default/workflows", headers=key)
        assert other.status_code == HTTPStatus.FORBIDDEN
        # The control plane is at the same place.
        assert (await http.get("/cloud/namespaces", headers=key)).status_code == HTTPStatus.OK
        assert (await http.get("/nothing", headers=key)).status_code == HTTPStatus.NOT_FOUND


async def test_calls_of_the_control_plane_over_http_are_counted_with_the_others(secure: Secure) -> None:
    trusted = ssl.create_default_context(cafile=str(secure.directory / "server-ca.pem"))
    async with httpx.AsyncClient(base_url=secure.pages, verify=trusted) as http:
        answer = await http.get("/cloud/regions", headers={"authorization": f"Bearer {secure.key}"})
        assert answer.status_code == HTTPStatus.OK
        counts = (await http.get(secure.metrics)).text
    assert 'perdure_service_requests_total{namespace="",operation="GetRegions"} 1' in counts


async def test_whoever_does_something_is_in_the_audit_log(secure: Secure) -> None:
    assert await _start(secure.by_certificate(secure.client()), secure.namespace) in ("OK", "ALREADY_EXISTS")
    assert await _start(secure.by_key(), secure.namespace, _bearer(secure.key)) in ("OK", "ALREADY_EXISTS")
    async with secure.by_key() as channel:
        stub = CloudServiceStub(channel)  # type: ignore[no-untyped-call]
        kinds: set[str] = set()
        while kinds != {"certificate", "user"}:
            # They are written a little later, and who asks too often is refused.
            await asyncio.sleep(_STEP_S)
            answer = await stub.GetAuditLogs(GetAuditLogsRequest(), metadata=_bearer(secure.key), timeout=10)
            starts = [log for log in answer.logs if log.operation == "StartWorkflowExecution"]
            kinds = {log.principal.type for log in starts}
    for log in starts:
        assert (log.raw_details["namespace"], log.raw_details["workflowId"]) == (secure.namespace, "w")
        assert log.x_forwarded_for == "127.0.0.1"


async def test_what_was_started_is_in_the_usage(secure: Secure) -> None:
    assert await _start(secure.by_key(), secure.namespace, _bearer(secure.key)) in ("OK", "ALREADY_EXISTS")
    async with secure.by_key() as channel:
        stub = CloudServiceStub(channel)  # type: ignore[no-untyped-call]
        answer = await stub.GetUsage(GetUsageRequest(), metadata=_bearer(secure.key), timeout=10)
    (group,) = answer.summaries[-1].record_groups
    assert group.group_bys[0].value == secure.namespace
    # Storage is of whole seconds, which may not have passed.
    assert group.records[0].value >= 1


async def test_they_open_no_other(secure: Secure) -> None:
    account = secure.namespace.partition(".")[2]
    for other in ("default", f"none.{account}", "default.other1", "", " ", secure.namespace.upper()):
        assert await _start(secure.by_certificate(secure.client()), other) == "PERMISSION_DENIED"
        assert await _start(secure.by_key(), other, _bearer(secure.key)) == "PERMISSION_DENIED"


async def test_without_anything_nobody_gets_in(secure: Secure) -> None:
    assert await _start(secure.by_key(), secure.namespace) == "UNAUTHENTICATED"
    assert await _start(secure.by_certificate(None), secure.namespace) == "UNAVAILABLE"
    # TLS is not optional.
    assert await _start(grpc.aio.insecure_channel(secure.address), secure.namespace) == "UNAVAILABLE"


@pytest.mark.parametrize("change", ["another letter", "another kind", "cut off", "no scheme", "twice", "nothing"])
async def test_an_api_key_must_be_whole(secure: Secure, change: str) -> None:
    key = secure.key
    metadata = {
        "another letter": _bearer(key[:40] + ("a" if key[40] != "a" else "b") + key[41:]),
        "another kind": _bearer(key.replace("pdk_", "pds_")),
        "cut off": _bearer(key[:-1]),
        "no scheme": [("authorization", key)],
        "twice": _bearer(f"{key} {key}"),
        "nothing": _bearer(""),
    }[change]
    assert await _start(secure.by_key(), secure.namespace, metadata) == "UNAUTHENTICATED"


async def test_a_header_cannot_name_another_namespace(secure: Secure) -> None:
    smuggled = [*_bearer(secure.key), ("temporal-namespace", "default.other1")]
    assert await _start(secure.by_key(), secure.namespace, smuggled) == "INVALID_ARGUMENT"
    assert await _start(
        secure.by_key(), "default.other1", [*_bearer(secure.key), ("temporal-namespace", secure.namespace)]
    ) in (
        "INVALID_ARGUMENT",
        "PERMISSION_DENIED",
    )


async def test_a_forwarded_certificate_is_not_believed_of_anybody(secure: Secure) -> None:
    header = f'Cert="{quote(secure.client().certificate_pem.decode())}"'
    metadata = [("x-forwarded-client-cert", header)]
    assert await _start(secure.by_key(), secure.namespace, metadata) == "UNAUTHENTICATED"


def _now() -> datetime:
    return datetime.now(UTC)


async def test_certificates_of_others_do_not_open_it(secure: Secure) -> None:
    stranger = generate_authority("Perdure development client", timedelta(days=9), _now())
    # It is called like the authority that is trusted, and has another key.
    look_alike = generate_leaf(stranger, _now(), organization="perdure")
    assert await _start(secure.by_certificate(look_alike), secure.namespace) == "UNAVAILABLE"
    # The authority itself is nobody's client.
    assert await _start(secure.by_certificate(secure.authority), secure.namespace) != "OK"


async def test_a_certificate_that_has_ended_does_not_open_it(secure: Secure) -> None:
    past = _now() - timedelta(days=3)
    ended = generate_leaf(secure.authority, past, organization="perdure", validity=timedelta(days=1))
    assert await _start(secure.by_certificate(ended), secure.namespace) == "UNAVAILABLE"


async def test_a_certificate_for_servers_does_not_open_it(secure: Secure) -> None:
    assert (
        await _start(secure.by_certificate(generate_server(secure.authority, _now(), ["w"])), secure.namespace) != "OK"
    )


async def test_through_an_intermediate_authority(secure: Secure) -> None:
    """The bundle's authority signs no further authorities, so a chain through one is refused; and chains are read."""
    root = trustme.CA()
    leaf = root.create_child_ca().issue_cert("worker@example.com")
    shown = load_issued(leaf.cert_chain_pems[0].bytes(), leaf.private_key_pem.bytes())
    channel = secure.by_certificate(shown, leaf.cert_chain_pems[1].bytes())
    assert await _start(channel, secure.namespace) == "UNAVAILABLE"


async def test_what_names_no_namespace(secure: Secure) -> None:
    """Clients ask for these when they connect; the rest is not for tenants."""
    for channel, metadata in ((secure.by_key(), _bearer(secure.key)), (secure.by_certificate(secure.client()), [])):
        async with channel:
            stub = WorkflowServiceStub(channel)  # type: ignore[no-untyped-call]
            await stub.GetSystemInfo(GetSystemInfoRequest(), metadata=metadata, timeout=10)
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.ListNamespaces(ListNamespacesRequest(), metadata=metadata, timeout=10)
            assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.DescribeNamespace(DescribeNamespaceRequest(id="none"), metadata=metadata, timeout=10)
            assert refused.value.code() in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.PERMISSION_DENIED)
            listed = ListWorkflowExecutionsRequest(namespace=secure.namespace)
            await stub.ListWorkflowExecutions(listed, metadata=metadata, timeout=10)


async def test_credentials_outlive_a_data_plane_that_keeps_nothing(tmp_path: Path) -> None:
    arguments = [*ANY_PORTS, "--mtls-port", "0", "--ephemeral", "--secure", "--secure-dir", str(tmp_path)]
    keys = []
    for _ in range(2):
        async with dev(*arguments) as server:
            secure = Secure(server.address, server.mutual_address, tmp_path)
            keys.append(secure.key)
            assert await _start(secure.by_certificate(secure.client()), secure.namespace) == "OK"
            assert await _start(secure.by_key(), secure.namespace, _bearer(secure.key)) == "OK"
            await server.stop()
    assert keys[0] == keys[1]


async def test_a_worker_is_not_sent_into_other_namespaces(secure: Secure) -> None:
    """Whoever works in one namespace would act in another by commands, with whatever the server may do."""
    account = secure.namespace.partition(".")[2]
    metadata = _bearer(secure.key)
    async with secure.by_key() as channel:
        cloud: Any = CloudServiceStub(cast(Any, channel))
        spec = NamespaceSpec(name="second", api_key_auth=ApiKeyAuthSpec(enabled=True))
        await cloud.CreateNamespace(CreateNamespaceRequest(spec=spec), metadata=metadata, timeout=10)
        stub: Any = WorkflowServiceStub(cast(Any, channel))
        for other in (f"second.{account}", f"none.{account}", "default.other1"):
            child = StartChildWorkflowExecutionCommandAttributes(namespace=other, workflow_id="c")
            child.workflow_type.name = child.task_queue.name = "c"
            target = WorkflowExecution(workflow_id="w")
            commands = [
                Command(
                    command_type=CommandType.COMMAND_TYPE_START_CHILD_WORKFLOW_EXECUTION,
                    start_child_workflow_execution_command_attributes=child,
                ),
                Command(
                    command_type=CommandType.COMMAND_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION,
                    signal_external_workflow_execution_command_attributes={
                        "namespace": other,
                        "execution": target,
                        "signal_name": "s",
                    },
                ),
                Command(
                    command_type=CommandType.COMMAND_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION,
                    request_cancel_external_workflow_execution_command_attributes={
                        "namespace": other,
                        "workflow_id": "w",
                    },
                ),
            ]
            for command in commands:
                start = StartWorkflowExecutionRequest(
                    namespace=secure.namespace, workflow_id="deputy", request_id=str(command.command_type) + other
                )
                start.workflow_type.name = start.task_queue.name = "deputy"
                start.workflow_id_conflict_policy = 3
                await stub.StartWorkflowExecution(start, metadata=metadata, timeout=10)
                poll = PollWorkflowTaskQueueRequest(namespace=secure.namespace)
                poll.task_queue.name = "deputy"
                task = await stub.PollWorkflowTaskQueue(poll, metadata=metadata, timeout=10)
                completed = RespondWorkflowTaskCompletedRequest(
                    namespace=secure.namespace, task_token=task.task_token, commands=[command]
                )
                with pytest.raises(grpc.aio.AioRpcError, match="cross namespace commands are not allowed"):
                    await stub.RespondWorkflowTaskCompleted(completed, metadata=metadata, timeout=10)
