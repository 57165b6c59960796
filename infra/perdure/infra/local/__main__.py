"""`make cluster`: two processes of each role on this machine, with two databases and Redis, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

import grpc.aio
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest, RegisterNamespaceResponse

from perdure.infra.local.cluster import LocalCluster, ProcessFailed
from perdure.infra.local.debian import NotInstalled
from perdure.infra.local.postgres import PostgresFailed
from perdure.infra.local.proxy import proxy
from perdure.infra.local.redis import RedisFailed

PORT = 7233
ROLES = ("gateway", "history", "matching") * 2
_REGISTER = "/temporal.api.workflowservice.v1.WorkflowService/RegisterNamespace"


async def main(port: int, *, secure: bool) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with LocalCluster(environment={"PERDURE_LOG_LEVEL": "warn"}) as cluster:
        if secure:
            # Late, because it loads a lot that an open cluster does without.
            from perdure.infra.tenancy import local

            await local.run(cluster, port, stopping)
            return
        for role in ROLES:
            node = await cluster.start(role)
            print(f"{role:9} {node.address or node.internal:22} {node.http}/metrics", flush=True)
        gateways = cluster.with_role("gateway")
        await _register_default(gateways[0].address)
        async with proxy(lambda: [node.address for node in gateways if node.alive], port) as balancer:
            print(
                f"Perdure ready: gRPC {balancer.address}, namespace default. Ctrl-C ends it, with its data.", flush=True
            )
            await stopping.wait()


async def _register_default(address: str) -> None:
    request = RegisterNamespaceRequest(
        namespace="default", workflow_execution_retention_period=Duration(seconds=24 * 3600)
    )
    async with grpc.aio.insecure_channel(address) as channel:
        register = channel.unary_unary(
            _REGISTER,
            request_serializer=RegisterNamespaceRequest.SerializeToString,
            response_deserializer=RegisterNamespaceResponse.FromString,
        )
        await register(request, timeout=30, wait_for_ready=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=PORT, help="where clients connect to")
    parser.add_argument("--secure", action="store_true", help="with tenants: clients have to show who they are")
    arguments = parser.parse_args()
    try:
        asyncio.run(main(arguments.port, secure=arguments.secure))
    except (NotInstalled, PostgresFailed, RedisFailed, ProcessFailed, OSError) as error:
        sys.exit(f"perdure: {error}")
