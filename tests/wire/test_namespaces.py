"""Namespaces over the wire: their whole life."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceResponse,
    ListNamespacesResponse,
    UpdateNamespaceResponse,
)

from tests.support.gateway import DEFAULT_NAMESPACE, GatewayBench, running
from tests.support.rpc import Client

REGISTER = {"namespace": "orders", "workflowExecutionRetentionPeriod": "86400s", "data": {"team": "a"}}
START = {
    "namespace": "orders",
    "workflowId": "w",
    "workflowType": {"name": "T"},
    "taskQueue": {"name": "q"},
}


async def registered(client: Client) -> None:
    assert (await client.call("RegisterNamespace", REGISTER)).code == "OK"


async def described(client: Client, **fields: Any) -> DescribeNamespaceResponse:
    answer = await client.call("DescribeNamespace", fields or {"namespace": "orders"})
    assert isinstance(answer.response, DescribeNamespaceResponse), answer
    return answer.response


async def test_register_and_describe() -> None:
    async with running(GatewayBench()) as client:
        await registered(client)
        by_name = await described(client)
        assert by_name == await described(client, id=by_name.namespace_info.id)
        assert by_name.namespace_info.data == {"team": "a"}
        assert by_name.config.workflow_execution_retention_ttl.ToSeconds() == 86_400
        assert by_name.namespace_info.supports_schedules
        assert (await client.call("StartWorkflowExecution", START)).code == "OK"


async def test_update_merges_and_shows_at_once() -> None:
    async with running(GatewayBench()) as client:
        await registered(client)
        change = {
            "namespace": "orders",
            "updateInfo": {"description": "new", "ownerEmail": "o@example.com", "data": {"tier": "1"}},
            "config": {"workflowExecutionRetentionTtl": "7200s", "badBinaries": {"binaries": {"b1": {"reason": "r"}}}},
        }
        answer = await client.call("UpdateNamespace", change)
        assert isinstance(answer.response, UpdateNamespaceResponse)
        shown = await described(client)
        assert shown.namespace_info == answer.response.namespace_info
        assert shown.namespace_info.data == {"team": "a", "tier": "1"}
        assert shown.config.workflow_execution_retention_ttl.ToSeconds() == 7200
        poll = {"namespace": "orders", "taskQueue": {"name": "q"}, "binaryChecksum": "b1"}
        refused = await client.call("PollWorkflowTaskQueue", poll)
        assert (refused.code, refused.message) == ("INVALID_ARGUMENT", "Binary b1 already marked as bad deployment.")
        await client.call("UpdateNamespace", {"namespace": "orders", "deleteBadBinary": "b1"})
        assert (await client.call("PollWorkflowTaskQueue", poll)).code == "OK"


async def test_a_deprecated_namespace_starts_nothing_new() -> None:
    async with running(GatewayBench()) as client:
        await registered(client)
        assert (await client.call("DeprecateNamespace", {"namespace": "orders"})).code == "OK"
        refused = await client.call("StartWorkflowExecution", START)
        assert refused.code == "FAILED_PRECONDITION"
        assert refused.message == "Namespace has invalid state: Deprecated. Must be Registered."
        assert refused.details == ("temporal.api.errordetails.v1.NamespaceInvalidStateFailure",)
        execution = {"namespace": "orders", "execution": {"workflowId": "w"}}
        assert (await client.call("DescribeWorkflowExecution", execution)).code == "OK"
        back = {"namespace": "orders", "updateInfo": {"state": "NAMESPACE_STATE_REGISTERED"}}
        assert (await client.call("UpdateNamespace", back)).message == "Invalid namespace state update."


async def test_delete_frees_the_name_and_reclaims() -> None:
    bench = GatewayBench()
    async with running(bench) as client:
        await registered(client)
        namespace_id = (await described(client)).namespace_info.id
        answer = await client.call("DeleteNamespace", {"namespace": "orders"})
        assert f'"orders-deleted-{namespace_id[:5]}"' in str(answer.response)
        assert (await client.call("DescribeNamespace", {"namespace": "orders"})).code == "NOT_FOUND"
        await registered(client)
        await bench.store.deleted.wait()
        assert namespace_id not in bench.store.records
    assert bench.reclaimer.reclaimed == [namespace_id]


async def test_a_delayed_deletion_keeps_the_record_for_now() -> None:
    bench = GatewayBench()
    async with running(bench) as client:
        await registered(client)
        namespace_id = (await described(client)).namespace_info.id
        request = {"namespaceId": namespace_id, "namespaceDeleteDelay": "3600s"}
        first = await client.call("DeleteNamespace", request)
        again = await client.call("DeleteNamespace", request)
        assert first.response == again.response
        shown = await described(client, id=namespace_id)
        refused = await client.call("QueryWorkflow", {"namespace": shown.namespace_info.name})
        assert refused.message == "Namespace has invalid state: Deleted. Must be Registered or Deprecated."
    # A process that starts on the same store goes on with it.
    second = GatewayBench()
    second.store.records.update(bench.store.records)
    async with running(second):
        await second.reclaimer.asked.wait()
    assert second.reclaimer.reclaimed == [namespace_id]


async def test_list_pages_and_hides_the_deleted() -> None:
    async with running(GatewayBench()) as client:
        for name in ("a", "b", "c"):
            await client.call("RegisterNamespace", {**REGISTER, "namespace": name})
        await client.call("UpdateNamespace", {"namespace": "b", "updateInfo": {"state": "NAMESPACE_STATE_DELETED"}})
        names: list[str] = []
        token = ""
        while True:
            answer = await client.call("ListNamespaces", {"pageSize": 2, "nextPageToken": token})
            assert isinstance(answer.response, ListNamespacesResponse)
            names += [described.namespace_info.name for described in answer.response.namespaces]
            if not answer.response.next_page_token:
                break
            token = b64encode(answer.response.next_page_token).decode()
        assert names == ["a", "c", DEFAULT_NAMESPACE.name]
        assert (await client.call("ListNamespaces", {"pageSize": -1})).code == "INVALID_ARGUMENT"
        assert (await client.call("ListNamespaces", {"nextPageToken": "/w=="})).code == "INVALID_ARGUMENT"


async def test_search_attributes_of_a_namespace() -> None:
    async with running(GatewayBench()) as client:
        await registered(client)
        mine = {"namespace": "orders"}
        added = {**mine, "searchAttributes": {"Customer": "INDEXED_VALUE_TYPE_KEYWORD"}}
        assert (await client.call("AddSearchAttributes", added)).code == "OK"
        assert (await client.call("AddSearchAttributes", added)).code == "OK"
        listed = str((await client.call("ListSearchAttributes", mine)).response)
        assert '"Customer"' in listed
        assert '"WorkflowId"' in listed
        value = {"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": "NQ=="}
        start = {**START, "searchAttributes": {"indexedFields": {"Customer": value}}}
        refused = await client.call("StartWorkflowExecution", start)
        assert refused.message == "invalid value for search attribute Customer of type Keyword: 5"
        await client.call("RemoveSearchAttributes", {**mine, "searchAttributes": ["Customer"]})
        refused = await client.call("StartWorkflowExecution", start)
        assert refused.message == "Namespace orders has no mapping defined for search attribute Customer"
