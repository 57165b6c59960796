"""A cluster with tenants, and its clients."""

from __future__ import annotations

import asyncio
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from google.protobuf.json_format import ParseDict
from google.protobuf.message_factory import GetMessageClass
from temporalio.api.cloud.cloudservice.v1.service_pb2_grpc import CloudServiceStub
from temporalio.api.cloud.operation.v1 import AsyncOperation
from temporalio.api.workflowservice.v1 import StartWorkflowExecutionRequest
from temporalio.api.workflowservice.v1.service_pb2_grpc import WorkflowServiceStub

from perdure.api.services import CLOUD_SERVICE
from perdure.infra.local.cluster import COMMAND, LocalCluster, Node
from perdure.infra.local.postgres import LocalPostgres
from perdure.infra.tenancy.credentials import Credentials
from perdure.infra.tenancy.local import make_namespace, prepare

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

    async def change_namespace(self, namespace: str, **changes: Any) -> None:
        """Returns when it is done; `changes` are fields of the specification."""
        found = (await self.call("GetNamespace", {"namespace": namespace})).namespace
        spec = found.spec
        ParseDict(changes, spec)
        message = GetMessageClass(CLOUD_SERVICE.methods_by_name["UpdateNamespace"].input_type)(
            namespace=namespace, spec=spec, resource_version=found.resource_version
        )
        answer = await self._stub.UpdateNamespace(message, metadata=self._metadata, timeout=_CALL_S)
        await self.fulfilled(answer.async_operation.id)

    async def close(self) -> None:
        await self._channel.close()


class Tenants:
    """A cluster with tenants, whose control plane's database is on a server of its own, and its first namespace."""

    def __init__(self, cluster: LocalCluster, credentials: Credentials, token: str) -> None:
        self.cluster = cluster
        self.credentials = credentials
        self.token = token
        self.trusted = credentials.server_authority.read_bytes()

    @property
    def control_database(self) -> LocalPostgres:
        return self.cluster.servers[-1]

    @property
    def namespace(self) -> str:
        return self.credentials.namespace.read_text()

    @property
    def by_key(self) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials(self.trusted)

    @property
    def by_certificate(self) -> grpc.ChannelCredentials:
        client = self.credentials.client
        return grpc.ssl_channel_credentials(self.trusted, client.with_suffix(".key").read_bytes(), client.read_bytes())

    def cloud(self, node: Node) -> Cloud:
        return Cloud(node.address, self.trusted, self.token)

    async def with_key(self, node: Node, token: str | None = None) -> str:
        """What comes of a call with an API key; the owner's if none is given."""
        return await start_workflow(node.address, self.by_key, self.namespace, token or self.token)

    async def with_certificate(self, node: Node) -> str:
        return await start_workflow(node.mutual_address, self.by_certificate, self.namespace)

    async def admin(self, *arguments: str) -> str:
        """What the command prints. It must go well."""
        process = await asyncio.create_subprocess_exec(
            *COMMAND, "admin", *arguments, env=self.cluster.environment, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
        assert process.returncode == 0
        return output.decode()


#: Of their processes.
ENVIRONMENT = {
    "PERDURE_LOG_LEVEL": "error",
    "PERDURE_LEASE_S": "1.5",
    # What is tried is not how often somebody may try.
    "PERDURE_CONTROL_PLANE__LIMITS": '{"namespaces_max": 1000, "user_requests_per_second": 1000}',
}


@asynccontextmanager
async def tenants(directory: Path, *roles: str) -> AsyncIterator[Tenants]:
    """With a process for each of `roles`, one of which is a control plane."""
    async with LocalCluster(databases=1, servers=2, environment=ENVIRONMENT) as cluster:
        credentials = Credentials(directory)
        token, _ = await prepare(cluster, credentials, cluster.servers[-1])
        for each in roles:
            await cluster.start(each)
        await make_namespace(cluster.with_role("control-plane")[0].address, credentials, token)
        yield Tenants(cluster, credentials, token)


async def start_workflow(address: str, credentials: grpc.ChannelCredentials, namespace: str, token: str = "") -> str:
    """The name of the status that this is answered with."""
    async with grpc.aio.secure_channel(address, credentials) as channel:
        return await start_over(channel, namespace, token)


async def start_over(channel: grpc.aio.Channel, namespace: str, token: str = "") -> str:
    """The same over a connection that is there already."""
    request = StartWorkflowExecutionRequest(namespace=namespace, workflow_id="w", request_id="r")
    request.workflow_type.name = "W"
    request.task_queue.name = "q"
    metadata = [("authorization", f"Bearer {token}")] if token else []
    stub: Any = WorkflowServiceStub(channel)  # type: ignore[no-untyped-call]
    try:
        await stub.StartWorkflowExecution(request, metadata=metadata, timeout=_CALL_S)
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return "OK"


async def until(outcome: object, ask: Callable[[], Awaitable[object]], within_s: float = EFFECT_S_MAX) -> None:
    """Ask until it is answered so, which must be soon."""
    until_s = time.monotonic() + within_s
    while (found := await ask()) != outcome:
        assert time.monotonic() < until_s, found
        await asyncio.sleep(_STEP_S)


async def page(node: Node, path: str) -> tuple[int, str]:
    """Of its port for operators: the status, and the text."""

    def read() -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"{node.http}{path}", timeout=_CALL_S) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    return await asyncio.to_thread(read)
