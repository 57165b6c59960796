"""The servers that scenarios run on. Each is started with the namespace `default` and yields a gRPC target."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import grpc
from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.operatorservice.v1.service_pb2_grpc import OperatorServiceStub
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.api.workflowservice.v1.service_pb2_grpc import WorkflowServiceStub

from loadtests.servers import free_port, real_command, running
from perdure.infra.local.cluster import LocalCluster
from perdure.kernel.limits import DEVELOPMENT

_SEARCH_ATTRIBUTES = {
    "CustomKeyword": "Keyword",
    "CustomText": "Text",
    "CustomInt": "Int",
    "CustomDouble": "Double",
    "CustomBool": "Bool",
    "CustomDatetime": "Datetime",
    "CustomList": "KeywordList",
}
_FLAGS = [flag for name, kind in _SEARCH_ATTRIBUTES.items() for flag in ("--search-attribute", f"{name}={kind}")]

_ROLES = ("gateway", "history", "matching") * 2
_CLUSTER_ENVIRONMENT = {
    "PERDURE_LOG_LEVEL": "warn",
    # Those of `perdure dev`: scenarios follow each other faster than a tenant may ask.
    "PERDURE_NAMESPACE_LIMITS": json.dumps(asdict(DEVELOPMENT)),
}


@contextmanager
def real() -> Iterator[str]:
    """The real development server."""
    settings = (
        # With its usual four partitions, which task meets which poll is chance; the rate is that of four.
        "matching.numTaskqueueReadPartitions=1",
        "matching.numTaskqueueWritePartitions=1",
        "admin.matchingNamespaceTaskqueueToPartitionDispatchRate=4000",
        "activity.enableStandalone=true",
        "nexusoperation.enableStandalone=true",
        'system.refreshNexusEndpointsMinWait="0s"',
        "frontend.WorkflowPauseEnabled=true",
        "frontend.WorkflowTimeSkippingEnabled=true",
        "history.enableStandaloneActivityOperatorCommands=true",
    )
    flags = [flag for setting in settings for flag in ("--dynamic-config-value", setting)]

    def command(port: int, directory: Path) -> list[str]:
        return [*real_command(port, directory), *flags, *_FLAGS]

    with running("real", command) as server:
        yield server.address


def version_of_real() -> str:
    """What it says about itself, such as "Server 1.32.0"."""
    binary = real_command(0, Path())[0]
    said = subprocess.run([binary, "--version"], check=True, capture_output=True, text=True).stdout
    return said.partition("(")[2].partition(",")[0]


@contextmanager
def perdure() -> Iterator[str]:
    """`perdure dev`."""

    def command(port: int, directory: Path) -> list[str]:
        server = [sys.executable, "-m", "perdure.infra.cli", "dev", "--ephemeral"]
        return [*server, "--port", str(port), "--http-port", str(free_port()), *_FLAGS]

    with running("perdure", command) as server:
        yield server.address


@contextmanager
def cluster() -> Iterator[str]:
    """Two processes of each role, two databases, and Redis. The target is both gateways."""
    # Nothing has to happen in the loop while scenarios run, which are synchronous and in threads.
    with asyncio.Runner() as runner:
        local = LocalCluster(durable=False, environment=_CLUSTER_ENVIRONMENT)
        runner.run(local.__aenter__())
        try:
            for role in _ROLES:
                runner.run(local.start(role))
            gateways = [node.address for node in local.with_role("gateway")]
            _prepare(gateways[0])
            yield "ipv4:" + ",".join(gateways)
        finally:
            runner.run(local.__aexit__(None, None, None))


def _prepare(address: str) -> None:
    day = Duration(seconds=24 * 3600)
    kinds = {name: _kind(kind) for name, kind in _SEARCH_ATTRIBUTES.items()}
    with grpc.insecure_channel(address) as channel:
        WorkflowServiceStub(channel).RegisterNamespace(
            RegisterNamespaceRequest(namespace="default", workflow_execution_retention_period=day)
        )
        OperatorServiceStub(channel).AddSearchAttributes(
            AddSearchAttributesRequest(namespace="default", search_attributes=kinds)
        )


def _kind(name: str) -> IndexedValueType.ValueType:
    words = "KEYWORD_LIST" if name == "KeywordList" else name.upper()
    return IndexedValueType.Value(f"INDEXED_VALUE_TYPE_{words}")
