"""`make cluster FLAGS=--secure`: the same with tenants. There is an account, and what opens its first namespace."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import grpc
import grpc.aio
from temporalio.api.cloud.cloudservice.v1 import (
    CreateNamespaceRequest,
    CreateNamespaceResponse,
    GetAsyncOperationRequest,
    GetAsyncOperationResponse,
)
from temporalio.api.cloud.operation.v1 import AsyncOperation

from perdure.infra.local.cluster import LocalCluster, Node, ProcessFailed
from perdure.infra.local.postgres import LocalPostgres
from perdure.infra.local.proxy import proxy
from perdure.infra.tenancy import accounts, sealing_keys, server_certificate
from perdure.infra.tenancy.credentials import KEY_DAYS, OWNER, Credentials, first_authority, first_namespace
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.runtime import Runtime

ROLES = ("gateway", "history", "matching", "control-plane") * 2
#: How far from the port of API keys the others are: of certificates, of the control plane's gRPC, of its REST API.
MUTUAL, CLOUD, WEB = 2, 20, 1001
_SERVICE = "/temporal.api.cloud.cloudservice.v1.CloudService/"
_CALL_S = 30
_LOOK_S = 0.05


async def run(cluster: LocalCluster, port: int, stopping: asyncio.Event) -> None:
    """Start the processes and say how to connect; returns when asked to stop. Port 0 is any that is free.

    Raises:
        ProcessFailed: one did not get ready.
        OSError: a port cannot be had.
    """
    async with AsyncExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="perdure-secure-"))
        credentials = Credentials(Path(directory))
        token, url = await prepare(cluster, credentials, cluster.postgres)
        ports = [port and port + offset for offset in (0, MUTUAL, CLOUD, WEB)]

        async def balanced(at: int, role: str, address_of: Callable[[Node], str]) -> str:
            front = await stack.enter_async_context(
                proxy(lambda: [address_of(node) for node in cluster.with_role(role)], at)
            )
            return front.address

        address = await balanced(ports[0], "gateway", lambda node: node.address)
        mutual = await balanced(ports[1], "gateway", lambda node: node.mutual_address)
        cloud = await balanced(ports[2], "control-plane", lambda node: node.address)
        web = await balanced(ports[3], "control-plane", lambda node: node.web.rpartition("/")[2])
        for name, value in (
            ("API_KEYS", address),
            ("CLOUD", cloud),
            ("CERTIFICATES", mutual),
            ("WEB", f"https://{web}"),
        ):
            cluster.set_environment(f"PERDURE_CONTROL_PLANE__ADDRESSES__{name}", value)
        for role in ROLES:
            node = await cluster.start(role)
            print(f"{role:13} {node.address or node.internal:22} {node.http}/metrics", flush=True)
        await make_namespace(cloud, credentials, token)
        print(f"Perdure ready: gRPC {address}, mTLS {mutual}, control plane {cloud} and https://{web}/cloud/docs.")
        print("Ctrl-C ends it, with its data. In another shell:")
        print(credentials.how_to_connect(address, mutual))
        print(f"export PERDURE_CLOUD_ADDRESS={cloud}  # for `perdure cloud`, which takes the rest from above")
        print(f"export PERDURE_CONTROL_PLANE__DATABASE='{url}'  # for `perdure admin verify-audit`", flush=True)
        await stopping.wait()


async def prepare(cluster: LocalCluster, credentials: Credentials, server: LocalPostgres) -> tuple[str, str]:
    """Let processes that are started from now on ask who calls: a certificate for them, the control plane's database
    on this server, an account. Returns an API key of its owner, and the database's address.

    Raises:
        StoreError: the database cannot be used.
        OSError: the directory cannot be used.
    """
    server_certificate.make(credentials.directory, ["localhost", "127.0.0.1"], Runtime())
    url = server.create_database("control_plane")
    await accounts.migrate(url)
    _, token = await accounts.create(url, OWNER, KEY_DAYS)
    sealing_keys.make(credentials.sealing_keys, Runtime())
    cluster.set_environment("PERDURE_CONTROL_PLANE__DATABASE", url)
    cluster.set_environment("PERDURE_CONTROL_PLANE__SEALING_KEYS", str(credentials.sealing_keys))
    cluster.set_environment("PERDURE_CONTROL_PLANE__MAIL__PRINTED", "true")
    cluster.set_environment("PERDURE_TLS__CERTIFICATE", str(credentials.server))
    cluster.set_environment("PERDURE_TLS__KEY", str(credentials.server.with_suffix(".key")))
    return token, url


async def make_namespace(address: str, credentials: Credentials, token: str) -> None:
    """Make the first namespace, and write down what opens it.

    Raises:
        ProcessFailed: it could not be made.
    """
    now = datetime.fromtimestamp(Runtime().clock.now_ns() // SECOND_NS, UTC)
    authority = first_authority(now)
    metadata = (("authorization", f"Bearer {token}"),)
    trusted = grpc.ssl_channel_credentials(credentials.server_authority.read_bytes())
    async with grpc.aio.secure_channel(address, trusted) as channel:
        create = channel.unary_unary(
            f"{_SERVICE}CreateNamespace",
            request_serializer=CreateNamespaceRequest.SerializeToString,
            response_deserializer=CreateNamespaceResponse.FromString,
        )
        look = channel.unary_unary(
            f"{_SERVICE}GetAsyncOperation",
            request_serializer=GetAsyncOperationRequest.SerializeToString,
            response_deserializer=GetAsyncOperationResponse.FromString,
        )
        request = CreateNamespaceRequest(spec=first_namespace(authority))
        created = await create(request, metadata=metadata, timeout=_CALL_S, wait_for_ready=True)
        asked = GetAsyncOperationRequest(async_operation_id=created.async_operation.id)
        operation = created.async_operation
        while operation.state != AsyncOperation.STATE_FULFILLED:
            if operation.failure_reason:
                raise ProcessFailed(f"the first namespace could not be made: {operation.failure_reason}")
            await asyncio.sleep(_LOOK_S)
            operation = (await look(asked, metadata=metadata, timeout=_CALL_S)).async_operation
    credentials.keep(authority, token, created.namespace, now)
