"""A search attribute that was renamed: what was there is found by the new name, and nothing by the old one."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import grpc.aio
import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message_factory import GetMessageClass
from temporalio.api.cloud.cloudservice.v1 import service_pb2 as cloud
from temporalio.api.cloud.cloudservice.v1.service_pb2_grpc import CloudServiceStub
from temporalio.api.workflowservice.v1 import service_pb2 as workflow
from temporalio.api.workflowservice.v1.service_pb2_grpc import WorkflowServiceStub

from tests.support.process import ANY_PORTS, dev

_STEP_S = 0.05
_SERVICES = (
    (cloud.DESCRIPTOR.services_by_name["CloudService"], CloudServiceStub),
    (workflow.DESCRIPTOR.services_by_name["WorkflowService"], WorkflowServiceStub),
)


class Installation(NamedTuple):
    channel: grpc.aio.Channel
    key: str
    namespace: str

    async def call(self, rpc: str, **request: Any) -> dict[str, Any]:
        for service, make in _SERVICES:
            if method := service.methods_by_name.get(rpc):
                stub: Any = make(self.channel)  # type: ignore[no-untyped-call]
                message = ParseDict({"namespace": self.namespace, **request}, GetMessageClass(method.input_type)())
                metadata = [("authorization", f"Bearer {self.key}")]
                return MessageToDict(await getattr(stub, rpc)(message, metadata=metadata, timeout=10))
        raise AssertionError(rpc)

    async def change(self, rpc: str, **request: Any) -> None:
        """Ask, and wait until it has come about."""
        version = (await self.call("GetNamespace"))["namespace"]["resourceVersion"]
        operation = (await self.call(rpc, resourceVersion=version, **request))["asyncOperation"]
        asked = cloud.DESCRIPTOR.services_by_name["CloudService"].methods_by_name["GetAsyncOperation"]
        stub: Any = CloudServiceStub(self.channel)  # type: ignore[no-untyped-call]
        message = GetMessageClass(asked.input_type)(async_operation_id=operation["id"])
        while True:
            found = await stub.GetAsyncOperation(message, metadata=[("authorization", f"Bearer {self.key}")])
            if MessageToDict(found)["asyncOperation"]["state"] == "STATE_FULFILLED":
                return
            await asyncio.sleep(_STEP_S)

    async def set_attributes(self, *names: str) -> None:
        spec = (await self.call("GetNamespace"))["namespace"]["spec"]
        spec = {key: value for key, value in spec.items() if key not in ("regions", "customSearchAttributes")}
        attributes = dict.fromkeys(names, "SEARCH_ATTRIBUTE_TYPE_KEYWORD")
        await self.change("UpdateNamespace", spec={**spec, "searchAttributes": attributes})

    async def start(self, workflow_id: str, **attributes: str) -> None:
        fields = {
            name: {"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": _base64(json.dumps(value))}
            for name, value in attributes.items()
        }
        await self.call(
            "StartWorkflowExecution",
            workflowId=workflow_id,
            requestId=workflow_id,
            workflowType={"name": "W"},
            taskQueue={"name": "q"},
            searchAttributes={"indexedFields": fields},
        )

    async def found(self, query: str) -> dict[str, list[str]]:
        """The names of the attributes of each workflow that is found."""
        executions = (await self.call("ListWorkflowExecutions", query=query)).get("executions", [])
        return {
            each["execution"]["workflowId"]: sorted(each["searchAttributes"]["indexedFields"]) for each in executions
        }


@pytest.fixture
async def installation(tmp_path: Path) -> AsyncIterator[Installation]:
    arguments = [*ANY_PORTS, "--mtls-port", "0", "--ephemeral", "--secure", "--secure-dir", str(tmp_path)]
    async with dev(*arguments) as server:
        trusted = grpc.ssl_channel_credentials((tmp_path / "server-ca.pem").read_bytes())
        async with grpc.aio.secure_channel(server.address, trusted) as channel:
            key, namespace = ((tmp_path / name).read_text() for name in ("api-key", "namespace"))
            yield Installation(channel, key, namespace)


async def test_a_renamed_attribute_is_known_by_its_new_name(installation: Installation) -> None:
    perdure = installation
    await perdure.set_attributes("Customer", "Region")
    await perdure.start("before", Customer="ann", Region="eu")
    rename = {"existingCustomSearchAttributeName": "Customer", "newCustomSearchAttributeName": "Buyer"}
    await perdure.change("RenameCustomSearchAttribute", **rename)

    # The operation has ended: it holds from now on.
    await perdure.start("after", Buyer="ann", Region="us")
    assert await perdure.found("Buyer = 'ann'") == {"before": ["Buyer", "Region"], "after": ["Buyer", "Region"]}
    assert await perdure.found("Buyer = 'ann' AND Region = 'eu'") == {"before": ["Buyer", "Region"]}
    execution = {"workflowId": "before"}
    shown = await perdure.call("DescribeWorkflowExecution", execution=execution)
    assert sorted(shown["workflowExecutionInfo"]["searchAttributes"]["indexedFields"]) == ["Buyer", "Region"]
    history = await perdure.call("GetWorkflowExecutionHistory", execution=execution)
    started = history["history"]["events"][0]["workflowExecutionStartedEventAttributes"]
    assert sorted(started["searchAttributes"]["indexedFields"]) == ["Buyer", "Region"]
    for refused in (perdure.start("refused", Customer="ann"), perdure.found("Customer = 'ann'")):
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await refused
        assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT

    # Another one may have the name that is free now, and is another one.
    await perdure.set_attributes("Buyer", "Region", "Customer")
    await perdure.start("new", Customer="bob", Buyer="ann")
    assert list(await perdure.found("Customer = 'ann'")) == []
    assert await perdure.found("Customer = 'bob'") == {"new": ["Buyer", "Customer"]}
    assert sorted(await perdure.found("Buyer = 'ann'")) == ["after", "before", "new"]


async def test_a_worker_that_uses_the_old_name_fails_its_task_with_a_reason(installation: Installation) -> None:
    perdure = installation
    await perdure.set_attributes("Customer")
    rename = {"existingCustomSearchAttributeName": "Customer", "newCustomSearchAttributeName": "Buyer"}
    await perdure.change("RenameCustomSearchAttribute", **rename)
    await perdure.start("w", Buyer="ann")
    task = await perdure.call("PollWorkflowTaskQueue", taskQueue={"name": "q"}, identity="worker")
    fields = {"Customer": {"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": _base64('"bob"')}}
    upsert = {
        "commandType": "COMMAND_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES",
        "upsertWorkflowSearchAttributesCommandAttributes": {"searchAttributes": {"indexedFields": fields}},
    }
    with contextlib.suppress(grpc.aio.AioRpcError):
        await perdure.call("RespondWorkflowTaskCompleted", taskToken=task["taskToken"], commands=[upsert])
    history = await perdure.call("GetWorkflowExecutionHistory", execution={"workflowId": "w"})
    failed = [each.get("workflowTaskFailedEventAttributes", {}) for each in history["history"]["events"]]
    assert "WORKFLOW_TASK_FAILED_CAUSE_BAD_SEARCH_ATTRIBUTES" in [each.get("cause") for each in failed]
    assert await perdure.found("Buyer = 'ann'") == {"w": ["Buyer"]}


async def test_names_can_be_swapped(installation: Installation) -> None:
    perdure = installation
    await perdure.set_attributes("A", "B")
    await perdure.start("w", A="a", B="b")
    for old, new in (("A", "C"), ("B", "A"), ("C", "B")):
        names = {"existingCustomSearchAttributeName": old, "newCustomSearchAttributeName": new}
        await perdure.change("RenameCustomSearchAttribute", **names)
    assert await perdure.found("A = 'b' AND B = 'a'") == {"w": ["A", "B"]}
    assert await perdure.found("A = 'a'") == {}


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
