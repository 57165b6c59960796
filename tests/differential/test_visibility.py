"""Listing and counting: the query language, order, pages, and what is refused."""

from datetime import timedelta

from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import IndexedValueType

from tests.differential import commands as c
from tests.differential.compare import scenario
from tests.differential.script import Script, payload


def _json(value: bytes) -> Payload:
    return Payload(metadata={"encoding": b"json/plain"}, data=value)


def _populate(s: Script) -> str:
    """Seven workflows in all states; returns a filter that names them alone."""
    names = ("alpha", "beta", "gamma", "delta", "omega", "late", "plain")
    for number, name in enumerate(names):
        attributes = {
            "CustomKeyword": payload(name),
            "CustomText": payload(f"the quick {name} fox"),
            "CustomInt": _json(str(number).encode()),
            "CustomDouble": _json(str(number / 2).encode()),
            "CustomBool": _json(b"true" if number % 2 else b"false"),
            "CustomDatetime": payload(f"2024-01-0{number + 1}T00:00:00Z"),
            "CustomList": _json(f'["x", "{name}"]'.encode()),
        }
        s.start(
            name,
            queue=name,
            workflow_type={"name": "Even" if number % 2 == 0 else "Odd"},
            search_attributes={"indexed_fields": attributes} if name != "plain" else None,
            memo={"fields": {"m": payload(name)}},
            silent=True,
            **({"workflow_start_delay": timedelta(hours=1)} if name == "late" else {}),
        )
    endings = {"alpha": c.complete(), "beta": c.fail(), "gamma": c.cancel()}
    for name, ending in endings.items():
        s.complete(s.poll(name, silent=True), ending, silent=True)
    s.terminate("delta", silent=True)
    mine = f"WorkflowId STARTS_WITH '{s.name('x')[:-1]}'"
    closed = f"{mine} AND ExecutionStatus != 'Running'"
    s.await_until(lambda: s.call("CountWorkflowExecutions", query=mine, silent=True).count == len(names))
    s.await_until(lambda: s.call("CountWorkflowExecutions", query=closed, silent=True).count == 4)
    return mine


def _ids(s: Script, note: str, query: str) -> None:
    """Record which workflows match."""
    response = s.call("ListWorkflowExecutions", query=query, refused=True, silent=True)
    names = [each.execution.workflow_id.rpartition("-")[2] for each in response.executions]
    s.note(f"{note}: {names}")


def _accepted(s: Script, rpc: str, query: str) -> None:
    """Record whether a query is understood; what it finds depends on the other scenarios."""
    s.note(f"# {rpc} {query}")
    s.call(rpc, query=query, refused=True, silent=True)


@scenario
def test_list_and_count(s: Script) -> None:
    mine = _populate(s)
    s.call("ListWorkflowExecutions", query=mine)
    s.call("CountWorkflowExecutions", query=mine)
    s.call("CountWorkflowExecutions", query=f"{mine} GROUP BY ExecutionStatus")


@scenario
def test_conditions(s: Script) -> None:
    mine = _populate(s)
    for condition in (
        "WorkflowType = 'Even'",
        "WorkflowType != 'Even'",
        "WorkflowType IN ('Even', 'Nope')",
        "WorkflowType NOT IN ('Even')",
        "ExecutionStatus = 'Running'",
        "ExecutionStatus = 1",
        "ExecutionStatus IN ('Completed', 'Failed')",
        "ExecutionStatus != 'Completed'",
        "ExecutionStatus = 'TimedOut' OR ExecutionStatus = 'Terminated'",
        "(ExecutionStatus = 'Completed' OR WorkflowType = 'Odd') AND CustomInt > 0",
        "CustomInt = 3",
        "CustomInt > 3",
        "CustomInt >= 3 AND CustomInt < 5",
        "CustomInt BETWEEN 1 AND 3",
        "CustomInt NOT BETWEEN 1 AND 3",
        "CustomInt IN (1, 2)",
        "CustomInt IS NULL",
        "CustomInt IS NOT NULL",
        "CustomDouble = 1.5",
        "CustomDouble > 1",
        "CustomBool = true",
        "CustomBool = false",
        "CustomDatetime > '2024-01-02T12:00:00Z'",
        # Not on the edge of a day: the SQLite store of the real server compares different ways to write one instant.
        "CustomDatetime BETWEEN '2024-01-01T12:00:00Z' AND '2024-01-03T12:00:00Z'",
        "CustomKeyword = 'beta'",
        "CustomKeyword STARTS_WITH 'be'",
        "CustomKeyword NOT STARTS_WITH 'be'",
        "CustomKeyword IN ('alpha', 'gamma')",
        "CustomKeyword IS NULL",
        "CustomText = 'quick'",
        "CustomText = 'delta'",
        "CustomList = 'alpha'",
        "CustomList = 'x'",
        "CustomList IN ('beta', 'gamma')",
        "CustomList != 'alpha'",
        "StartTime > '2020-01-01T00:00:00Z'",
        "StartTime < '2020-01-01T00:00:00Z'",
        "CloseTime IS NULL",
        "CloseTime IS NOT NULL",
        "ExecutionTime > '2020-01-01T00:00:00Z'",
        "ExecutionDuration < '1h'",
        "HistoryLength > 3",
        "HistoryLength = 2",
        f"TaskQueue = '{s.name('alpha')}'",
        f"WorkflowId = '{s.name('beta')}'",
        "RunId = 'nope'",
        "`CustomInt` = 3",
        'CustomKeyword = "beta"',
        "CustomKeyword = 'it''s'",
        "NOT CustomInt = 3",
        "ParentWorkflowId IS NULL",
        f"RootWorkflowId = '{s.name('alpha')}'",
    ):
        _ids(s, condition, f"{mine} AND ({condition})")


@scenario
def test_order(s: Script) -> None:
    mine = _populate(s)
    for order in ("StartTime", "StartTime DESC", "CustomInt", "CustomInt DESC", "CloseTime DESC", "CustomKeyword DESC"):
        _ids(s, order, f"{mine} ORDER BY {order}")


@scenario
def test_pages(s: Script) -> None:
    mine = _populate(s)
    token = b""
    for _ in range(10):
        page = s.call("ListWorkflowExecutions", query=mine, page_size=3, next_page_token=token, silent=True)
        s.note(str([each.execution.workflow_id.rpartition("-")[2] for each in page.executions]))
        token = page.next_page_token
        if not token:
            break


@scenario
def test_older_ways_to_list(s: Script) -> None:
    _populate(s)
    s.call("ScanWorkflowExecutions", query=f"WorkflowId = '{s.name('alpha')}'", refused=True)
    since = {"earliest_time": {"seconds": 1}}
    s.call("ListOpenWorkflowExecutions", execution_filter=s.execution("omega"), start_time_filter=since)
    s.call("ListClosedWorkflowExecutions", execution_filter=s.execution("alpha"), start_time_filter=since)
    s.call("ListClosedWorkflowExecutions", execution_filter=s.execution("omega"), start_time_filter=since)


@scenario
def test_refused_queries(s: Script) -> None:
    for query in (
        "Nope = 'x'",
        "WorkflowId",
        "WorkflowId =",
        "WorkflowId = ",
        "= 'x'",
        "WorkflowId = 'x' AND",
        "WorkflowId = x",
        "CustomInt = 'x'",
        "CustomInt = 1.5",
        "CustomBool = 'x'",
        "CustomBool = 1",
        "CustomDatetime = 'x'",
        "CustomDouble = 'x'",
        "CustomKeyword > 'x'",
        "CustomKeyword LIKE 'x%'",
        "CustomText STARTS_WITH 'x'",
        "CustomText > 'x'",
        "CustomInt STARTS_WITH 'x'",
        "CustomList > 'x'",
        "ExecutionStatus = 'Nope'",
        "ExecutionStatus = 99",
        "StartTime = 'x'",
        "StartTime > 5",
        "GROUP BY ExecutionStatus",
        "WorkflowId = 'x' GROUP BY ExecutionStatus",
        "WorkflowId = 'x' LIMIT 5",
        "SELECT * FROM executions",
        "WorkflowId = 'x'; DROP TABLE executions",
        "WorkflowId = 'x' -- comment",
        "CustomText = 'x' ORDER BY CustomText",
        "ORDER BY Nope",
        "(WorkflowId = 'x'",
        "WorkflowId IS TRUE",
        "WorkflowId IN ()",
        "ExecutionDuration > 'x'",
        "WorkflowId = RunId",
    ):
        _accepted(s, "ListWorkflowExecutions", query)
    for query in (
        "GROUP BY ExecutionStatus",
        "GROUP BY WorkflowType",
        "GROUP BY StartTime",
        "GROUP BY ExecutionStatus, WorkflowType",
        "Nope = 1",
    ):
        _accepted(s, "CountWorkflowExecutions", query)
    s.call("ListWorkflowExecutions", page_size=-1, query="WorkflowId = 'nope'", refused=True)
    s.call("ListWorkflowExecutions", page_size=100_000, query="WorkflowId = 'nope'", refused=True)


@scenario
def test_refused_queries_of_odd_form(s: Script) -> None:
    for query in ("1 = 1", "WorkflowId = (SELECT 1)", "lower(WorkflowId) = 'x'", "'x' = WorkflowId"):
        _accepted(s, "ListWorkflowExecutions", query)


@scenario
def test_changes_show(s: Script) -> None:
    s.start(
        "w",
        search_attributes={"indexed_fields": {"CustomKeyword": payload("old")}},
        memo={"fields": {"m": payload("1")}},
    )
    s.step(
        c.upsert_search_attributes(CustomKeyword=payload("new"), CustomInt=_json(b"5")),
        c.modify_properties(m=payload("2")),
    )
    query = f"WorkflowId = '{s.name('w')}' AND CustomKeyword = 'new'"
    s.await_until(lambda: s.call("CountWorkflowExecutions", query=query, silent=True).count == 1)
    s.call("ListWorkflowExecutions", query=query)


@scenario
def test_search_attributes_of_the_system(s: Script) -> None:
    types = s.call("GetSearchAttributes", silent=True).keys
    # The real server's storage has columns of each type in stock, which it lists too.
    names = [name for name in sorted(types) if not name[-2:].isdigit()]
    s.note(str([(name, IndexedValueType.Name(types[name])) for name in names]))
