"""A cluster as the server that is put to the test: two processes of each role, two databases, and Redis."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict

import grpc
from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.operatorservice.v1.service_pb2_grpc import OperatorServiceStub
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.api.workflowservice.v1.service_pb2_grpc import WorkflowServiceStub

from perdure.infra.local.cluster import LocalCluster
from perdure.kernel.limits import DEVELOPMENT

_ROLES = ("gateway", "history", "matching") * 2
#: The limits of `perdure dev`: scenarios follow each other faster than a tenant may ask.
_ENVIRONMENT = {
    "PERDURE_LOG_LEVEL": "warn",
    "PERDURE_NAMESPACE_LIMITS": json.dumps(asdict(DEVELOPMENT)),
}


@contextmanager
def cluster(search_attributes: Mapping[str, str]) -> Iterator[str]:
    """Runs one with the namespace `default`. Yields a gRPC target: all its gateways."""
    # Nothing has to happen in the loop while scenarios run, which are synchronous and in threads.
    with asyncio.Runner() as runner:
        local = LocalCluster(durable=False, environment=_ENVIRONMENT)
        runner.run(local.__aenter__())
        try:
            for role in _ROLES:
                runner.run(local.start(role))
            gateways = [node.address for node in local.with_role("gateway")]
            _prepare(gateways[0], search_attributes)
            yield "ipv4:" + ",".join(gateways)
        finally:
            runner.run(local.__aexit__(None, None, None))


def _prepare(address: str, search_attributes: Mapping[str, str]) -> None:
    kinds = {name: _kind(kind) for name, kind in search_attributes.items()}
    with grpc.insecure_channel(address) as channel:
        WorkflowServiceStub(channel).RegisterNamespace(
            RegisterNamespaceRequest(
                namespace="default", workflow_execution_retention_period=Duration(seconds=24 * 3600)
            )
        )
        OperatorServiceStub(channel).AddSearchAttributes(
            AddSearchAttributesRequest(namespace="default", search_attributes=kinds)
        )


def _kind(name: str) -> IndexedValueType.ValueType:
    words = "KEYWORD_LIST" if name == "KeywordList" else name.upper()
    return IndexedValueType.Value(f"INDEXED_VALUE_TYPE_{words}")
