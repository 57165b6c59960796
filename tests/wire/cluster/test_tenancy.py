"""A cluster with tenants: what the control plane decides holds at every gateway, whichever process dies."""

from __future__ import annotations

import asyncio
import base64
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import trustme
from google.protobuf.json_format import ParseDict
from google.protobuf.message_factory import GetMessageClass
from temporalio.api.cloud.cloudservice.v1.service_pb2_grpc import CloudServiceStub
from temporalio.api.cloud.operation.v1 import AsyncOperation
from temporalio.api.workflowservice.v1 import StartWorkflowExecutionRequest
from temporalio.api.workflowservice.v1.service_pb2_grpc import WorkflowServiceStub

from perdure.api.service import CLOUD_SERVICE
from perdure.auth.certificates.issuing import Issued, generate_authority, generate_leaf
from perdure.infra.local.cluster import LocalCluster
from perdure.infra.tenancy import accounts

#: What a change may take to hold everywhere.
EFFECT_S_MAX = 2.0
_STEP_S = 0.02
_CALL_S = 10


class Cloud:
    """A client of the control plane."""

    def __init__(self, address: str, authority: bytes, token: str) -> None:
        self._channel = grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(authority))
        self._stub: Any = CloudServiceStub(self._channel)  # type: ignore[no-untyped-call]
        self._metadata = [("authorization", f"Bearer {token}")]

    async def call(self, rpc: str, request: dict[str, Any]) -> Any:
        message = ParseDict(request, GetMessageClass(CLOUD_SERVICE.methods_by_name[rpc].input_type)())
        return await getattr(self._stub, rpc)(message, metadata=self._metadata, timeout=_CALL_S)

    async def done(self, rpc: str, request: dict[str, Any]) -> Any:
        answer = await self.call(rpc, request)
        await self.fulfilled(answer.async_operation.id)
        return answer

    async def fulfilled(self, operation_id: str) -> None:
        while True:
            operation = (await self.call("GetAsyncOperation", {"asyncOperationId": operation_id})).async_operation
            if operation.state == AsyncOperation.STATE_FULFILLED:
                return
            assert not operation.failure_reason, operation.failure_reason
            await asyncio.sleep(_STEP_S)

    async def close(self) -> None:
        await self._channel.close()


async def _start(address: str, credentials: grpc.ChannelCredentials, namespace: str, token: str = "") -> str:
    request = StartWorkflowExecutionRequest(namespace=namespace, workflow_id="w", request_id="r")
    request.workflow_type.name = "W"
    request.task_queue.name = "q"
    metadata = [("authorization", f"Bearer {token}")] if token else []
    async with grpc.aio.secure_channel(address, credentials) as channel:
        stub: Any = WorkflowServiceStub(channel)  # type: ignore[no-untyped-call]
        try:
            await stub.StartWorkflowExecution(request, metadata=metadata, timeout=_CALL_S)
        except grpc.aio.AioRpcError as error:
            return error.code().name
    return "OK"


async def _until(outcome: str, *arguments: Any) -> None:
    """Ask until it is answered so, which must be soon."""
    until_s = time.monotonic() + EFFECT_S_MAX
    while (found := await _start(*arguments)) != outcome:
        assert time.monotonic() < until_s, found
        await asyncio.sleep(_STEP_S)


async def test_what_the_control_plane_decides_holds_everywhere(tmp_path: Path) -> None:
    authority = trustme.CA()
    server = authority.issue_cert("localhost", "127.0.0.1")
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"
    certificate.write_bytes(server.cert_chain_pems[0].bytes())
    key.write_bytes(server.private_key_pem.bytes())
    trusted = authority.cert_pem.bytes()
    environment = {
        "PERDURE_LOG_LEVEL": "error",
        "PERDURE_TLS__CERTIFICATE": str(certificate),
        "PERDURE_TLS__KEY": str(key),
        "PERDURE_LISTEN__MTLS_PORT": "0",
    }
    async with LocalCluster(environment=environment) as cluster:
        url = cluster.servers[0].create_database("control_plane")
        cluster.set_environment("PERDURE_CONTROL_PLANE__DATABASE", url)
        await accounts.migrate(url)
        account_id, token = await accounts.create(url, "owner@example.com", 90)
        data_plane = await cluster.start("history,matching,gateway")
        gateways = [data_plane, await cluster.start("gateway")]
        control_planes = [await cluster.start("control-plane"), await cluster.start("control-plane")]
        cloud = Cloud(control_planes[0].address, trusted, token)

        now = datetime.now(UTC)
        client_authority = generate_authority("orders", timedelta(days=9), now)
        spec = {
            "name": "orders",
            "apiKeyAuth": {"enabled": True},
            "mtlsAuth": {"enabled": True, "acceptedClientCa": _text(client_authority)},
        }
        namespace = (await cloud.done("CreateNamespace", {"spec": spec})).namespace
        assert namespace == f"orders.{account_id}"
        worker = generate_leaf(client_authority, now)
        plain = grpc.ssl_channel_credentials(trusted)
        mutual = grpc.ssl_channel_credentials(trusted, worker.key_pem, worker.certificate_pem)
        for gateway in gateways:
            await _until("OK", gateway.address, plain, namespace, token)
            await _until("OK", gateway.mutual_address, mutual, namespace)
            assert await _start(gateway.address, plain, "orders.other1", token) == "PERMISSION_DENIED"
            assert await _start(gateway.address, plain, namespace) == "UNAUTHENTICATED"

        # Another authority is trusted, and the first one no longer.
        second = generate_authority("orders", timedelta(days=9), now)
        spec["mtlsAuth"]["acceptedClientCa"] = _text(second)  # type: ignore[index]
        version = (await cloud.call("GetNamespace", {"namespace": namespace})).namespace.resource_version
        await cloud.done("UpdateNamespace", {"namespace": namespace, "spec": spec, "resourceVersion": version})
        renewed = generate_leaf(second, now)
        credentials = grpc.ssl_channel_credentials(trusted, renewed.key_pem, renewed.certificate_pem)
        for gateway in gateways:
            await _until("OK", gateway.mutual_address, credentials, namespace)
            assert await _start(gateway.mutual_address, mutual, namespace) != "OK"

        # One control plane dies; what it had begun the other one carries on, and gateways do not notice.
        begun = await cloud.call("CreateNamespace", {"spec": {**spec, "name": "second"}})
        await control_planes[0].kill()
        await cloud.close()
        cloud = Cloud(control_planes[1].address, trusted, token)
        await cloud.fulfilled(begun.async_operation.id)
        await control_planes[1].kill()
        await cloud.close()
        for gateway in gateways:
            await _until("OK", gateway.address, plain, begun.namespace, token)


def _text(authority: Issued) -> str:
    return base64.b64encode(authority.certificate_pem).decode()
