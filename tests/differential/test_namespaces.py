"""Namespaces: registering, describing, updating, deprecating."""

from collections.abc import Iterator
from datetime import timedelta

from temporalio.api.workflowservice.v1 import DescribeNamespaceResponse, ListNamespacesResponse

from tests.differential.compare import scenario
from tests.differential.script import Script


@scenario
def test_life(s: Script) -> None:
    name = s.name("ns")
    s.call(
        "RegisterNamespace",
        namespace=name,
        description="first",
        owner_email="a@example.com",
        workflow_execution_retention_period=timedelta(days=3),
        data={"k": "v"},
    )
    s.call("RegisterNamespace", namespace=name, workflow_execution_retention_period=timedelta(days=3), refused=True)
    described = s.call("DescribeNamespace", namespace=name)
    s.call("DescribeNamespace", namespace="", id=described.namespace_info.id)
    s.call(
        "UpdateNamespace",
        namespace=name,
        update_info={"description": "second", "owner_email": "b@example.com", "data": {"l": "w"}},
        config={"workflow_execution_retention_ttl": timedelta(days=5)},
    )
    s.call("DescribeNamespace", namespace=name)
    s.call("DeprecateNamespace", namespace=name)
    s.call("DescribeNamespace", namespace=name)


@scenario
def test_list(s: Script) -> None:
    name = s.name("ns")
    s.call("RegisterNamespace", namespace=name, workflow_execution_retention_period=timedelta(days=3))

    def listed() -> Iterator[DescribeNamespaceResponse]:
        token = b"first"
        while token:
            page = s.call("ListNamespaces", page_size=2, next_page_token=token.removeprefix(b"first"), silent=True)
            assert isinstance(page, ListNamespacesResponse)
            yield from page.namespaces
            token = page.next_page_token

    found = [each for each in listed() if each.namespace_info.name == name]
    s.part("ListNamespaces", f"{len(found)} times", found[0])


@scenario
def test_default_namespace(s: Script) -> None:
    s.call("DescribeNamespace", namespace="default")


@scenario
def test_refused(s: Script) -> None:
    good = timedelta(days=1)
    s.call("RegisterNamespace", namespace="", workflow_execution_retention_period=good, refused=True)
    s.call("RegisterNamespace", namespace="x" * 1001, workflow_execution_retention_period=good, refused=True)
    s.call("RegisterNamespace", namespace=s.name("a"), refused=True)
    negative = timedelta(days=-1)
    s.call("RegisterNamespace", namespace=s.name("b"), workflow_execution_retention_period=negative, refused=True)
    short = timedelta(minutes=1)
    s.call("RegisterNamespace", namespace=s.name("c"), workflow_execution_retention_period=short, refused=True)
    s.call("RegisterNamespace", namespace="default", workflow_execution_retention_period=good, refused=True)
    s.call("DescribeNamespace", namespace="nowhere", refused=True)
    unknown = "11111111-2222-4333-8444-555555555555"
    s.call("DescribeNamespace", namespace="", id=unknown, refused=True)
    s.call("DescribeNamespace", namespace="", refused=True)
    s.call("UpdateNamespace", namespace="nowhere", refused=True)
    s.call("UpdateNamespace", namespace="default", config={"workflow_execution_retention_ttl": negative}, refused=True)
    s.call("DeprecateNamespace", namespace="nowhere", refused=True)
    s.call("StartWorkflowExecution", namespace="nowhere", workflow_id="x", refused=True)


@scenario
def test_archival_where_there_is_none(s: Script) -> None:
    name = s.name("archived")
    s.call(
        "RegisterNamespace",
        namespace=name,
        workflow_execution_retention_period=timedelta(days=1),
        history_archival_state="ARCHIVAL_STATE_ENABLED",
        history_archival_uri="file:///anywhere",
        visibility_archival_state="ARCHIVAL_STATE_ENABLED",
    )
    s.call("DescribeNamespace", namespace=name)
    s.call("UpdateNamespace", namespace=name, config={"history_archival_state": "ARCHIVAL_STATE_ENABLED"})
    s.call("UpdateNamespace", namespace=name, config={"visibility_archival_uri": "nonsense"})
    s.call("DescribeNamespace", namespace=name)
    s.call("ListArchivedWorkflowExecutions", namespace=name, refused=True)
    s.call("ListArchivedWorkflowExecutions", namespace=name, page_size=10_001, refused=True)
    s.call("ListArchivedWorkflowExecutions", namespace=name, page_size=10_000, query="nonsense", refused=True)
    s.call("ListArchivedWorkflowExecutions", namespace="nowhere", refused=True)
