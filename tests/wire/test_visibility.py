"""Lists and counts over the wire, with a store that remembers what it was asked."""

from __future__ import annotations

from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflowservice.v1 import (
    CountWorkflowExecutionsResponse,
    ListClosedWorkflowExecutionsResponse,
    ListWorkflowExecutionsResponse,
)

from perdure.kernel.clock import SECOND_NS
from perdure.kernel.ids import ExecutionKind, RunId, WorkflowId
from perdure.kernel.persistence.visibility import CountGroup, VisibilityRecord
from perdure.kernel.visibility.parser import parse
from tests.support.gateway import DEFAULT_NAMESPACE, GatewayBench, running

DEFAULT = {"namespace": "default"}
CLOSED = VisibilityRecord(
    namespace_id=DEFAULT_NAMESPACE.id,
    workflow_id=WorkflowId("w"),
    run_id=RunId("r"),
    kind=ExecutionKind.WORKFLOW,
    workflow_type="T",
    task_queue="q",
    status=WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED,
    start_time_ns=10 * SECOND_NS,
    execution_time_ns=12 * SECOND_NS,
    close_time_ns=15 * SECOND_NS,
    history_length=7,
    parent_workflow_id="p",
    parent_run_id="pr",
)


async def test_records_as_clients_see_them() -> None:
    bench = GatewayBench()
    bench.visibility.records = [CLOSED]
    async with running(bench) as client:
        answer = await client.call("ListWorkflowExecutions", DEFAULT)
    assert isinstance(answer.response, ListWorkflowExecutionsResponse)
    (info,) = answer.response.executions
    assert (info.execution.workflow_id, info.execution.run_id, info.type.name) == ("w", "r", "T")
    assert (info.start_time.seconds, info.close_time.seconds, info.execution_duration.seconds) == (10, 15, 3)
    assert (info.history_length, info.parent_execution.workflow_id) == (7, "p")


async def test_page_sizes_are_bounded() -> None:
    bench = GatewayBench()
    limit = bench.limits.visibility_page_size_max
    async with running(bench) as client:
        for size in (0, 5, limit + 1, -3):
            await client.call("ListWorkflowExecutions", {**DEFAULT, "pageSize": size})
    assert [asked[2] for asked in bench.visibility.asked] == [limit, 5, limit, limit]


async def test_old_lists_become_queries() -> None:
    bench = GatewayBench()
    times = {"earliestTime": "2024-01-01T00:00:00Z", "latestTime": "2024-01-02T00:00:00Z"}
    async with running(bench) as client:
        for rpc, fields in (
            ("ListOpenWorkflowExecutions", {"startTimeFilter": times}),
            ("ListOpenWorkflowExecutions", {"executionFilter": {"workflowId": "it's"}}),
            ("ListClosedWorkflowExecutions", {"typeFilter": {"name": "T"}}),
            ("ListClosedWorkflowExecutions", {"statusFilter": {"status": "WORKFLOW_EXECUTION_STATUS_TIMED_OUT"}}),
        ):
            assert (await client.call(rpc, {**DEFAULT, **fields})).code == "OK"
    assert [query for _, query, _, _ in bench.visibility.asked] == [
        parse(text, {})
        for text in (
            "ExecutionStatus = 'Running' AND StartTime BETWEEN '2024-01-01T00:00:00Z' AND '2024-01-02T00:00:00Z'",
            "ExecutionStatus = 'Running' AND WorkflowId = 'it''s'",
            "ExecutionStatus != 'Running' AND WorkflowType = 'T'",
            "ExecutionStatus != 'Running' AND ExecutionStatus = 'TimedOut'",
        )
    ]


async def test_groups_carry_their_values() -> None:
    bench = GatewayBench()
    bench.visibility.groups = [CountGroup((2,), 3)]
    async with running(bench) as client:
        answer = await client.call("CountWorkflowExecutions", {**DEFAULT, "query": "GROUP BY ExecutionStatus"})
    assert isinstance(answer.response, CountWorkflowExecutionsResponse)
    (group,) = answer.response.groups
    assert (group.count, group.group_values[0].data) == (3, b'"Completed"')


async def test_pages_go_on() -> None:
    bench = GatewayBench()
    bench.visibility.records = [CLOSED, CLOSED]
    async with running(bench) as client:
        answer = await client.call("ListClosedWorkflowExecutions", {**DEFAULT, "maximumPageSize": 1})
        assert isinstance(answer.response, ListClosedWorkflowExecutionsResponse)
        assert (len(answer.response.executions), answer.response.next_page_token) == (1, b"more")
        bad = await client.call("ListWorkflowExecutions", {**DEFAULT, "query": "this is no query"})
    assert bad.code == "INVALID_ARGUMENT"
