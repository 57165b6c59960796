# ruff: noqa: E501  a table reads best with a case per line
"""What queries find: the parser and each driver's compiler together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from perdure.kernel.errors import InvalidArgument
from perdure.kernel.ids import ExecutionKind
from perdure.kernel.persistence.executions import ExecutionStore
from perdure.kernel.persistence.visibility import CountGroup, VisibilityRecord, VisibilityStore
from perdure.kernel.visibility.attributes import (
    BOOL,
    DATETIME,
    DOUBLE,
    INT,
    KEYWORD,
    KEYWORD_LIST,
    TEXT,
    Text,
    encode_value,
)
from perdure.kernel.visibility.infos import execution_info
from perdure.kernel.visibility.matching import close_times, holds, values_of
from perdure.kernel.visibility.parser import QUERY_VALUES_MAX, parse
from perdure.kernel.visibility.query import Query
from tests.conformance.conftest import Acquire
from tests.support.records import NAMESPACE, SHARD, key, visible, write

ATTRIBUTES = {
    "Customer": KEYWORD,
    "Note": TEXT,
    "Amount": INT,
    "Weight": DOUBLE,
    "Paid": BOOL,
    "Due": DATETIME,
    "Tags": KEYWORD_LIST,
    "odd name": KEYWORD,
}

HOUR_NS = 3600 * 10**9
MOMENT = 1_577_836_800 * 10**9  # 2020-01-01T00:00:00Z

RECORDS = [
    visible("open-old", start_time_ns=MOMENT, history_length=5),
    visible("open-new", start_time_ns=MOMENT + HOUR_NS, workflow_type="Refund", parent_workflow_id="boss"),
    visible(
        "closed",
        start_time_ns=MOMENT,
        close_time_ns=MOMENT + 2 * HOUR_NS,
        status=3,
        history_length=40,
        search_attributes={
            "Customer": "Ann",
            "Note": Text("Fragile: handle with Care, café"),
            "Amount": 10,
            "Weight": 1.5,
            "Paid": True,
            "Due": MOMENT,
            "Tags": ["red", "big"],
            "odd name": "it's",
        },
    ),
    visible(
        "attributed",
        start_time_ns=MOMENT,
        close_time_ns=MOMENT + HOUR_NS,
        search_attributes={
            "Customer": "Anna%",
            "Note": Text("no care"),
            "Amount": 20,
            "Paid": False,
            "Tags": ["blue"],
            "BuildIds": ["current", "v1"],
        },
    ),
    visible("schedule", start_time_ns=MOMENT, search_attributes={"TemporalNamespaceDivision": "TemporalScheduler"}),
    visible("closed", run_id="of another kind", kind=ExecutionKind.SCHEDULE, workflow_type=""),
]

WORKFLOWS = ["open-new", "open-old", "closed", "attributed"]


StoreAll = Callable[[list[VisibilityRecord]], Awaitable[None]]


@pytest.fixture
def store_all(executions: ExecutionStore, acquire: Acquire) -> StoreAll:
    async def store(records: list[VisibilityRecord]) -> None:
        await executions.write([write(visibility=records)], {SHARD: await acquire(SHARD)})

    return store


async def found(visibility: VisibilityStore, text: str) -> list[str]:
    page = await visibility.list(NAMESPACE, parse(text, ATTRIBUTES), 100, b"")
    assert not page.next_page_token
    count, _ = await visibility.count(NAMESPACE, parse(text, ATTRIBUTES))
    assert count == len(page.records)
    return [record.workflow_id for record in page.records]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", WORKFLOWS),
        ("WorkflowId = 'closed'", ["closed"]),
        ("WorkflowId != 'closed'", ["open-new", "open-old", "attributed"]),
        ("WorkflowId STARTS_WITH 'open-'", ["open-new", "open-old"]),
        ("WorkflowId NOT STARTS_WITH 'open-'", ["closed", "attributed"]),
        ("WorkflowId STARTS_WITH ''", WORKFLOWS),
        ("WorkflowId IN ('closed', 'nothing')", ["closed"]),
        ("WorkflowId NOT IN ('closed', 'nothing')", ["open-new", "open-old", "attributed"]),
        ("WorkflowId BETWEEN 'a' AND 'd'", ["closed", "attributed"]),
        ("WorkflowId NOT BETWEEN 'a' AND 'd'", ["open-new", "open-old"]),
        ("WorkflowType = 'Refund' OR WorkflowId = 'closed'", ["open-new", "closed"]),
        ("WorkflowType = 'Refund' AND WorkflowId = 'closed'", []),
        ("NOT (WorkflowType = 'Refund' OR WorkflowId = 'closed')", ["open-old", "attributed"]),
        ("NOT NOT WorkflowId = 'closed'", ["closed"]),
        ("WorkflowId = 'closed' OR WorkflowId = 'open-old' AND WorkflowType = 'Refund'", ["closed"]),
        ("ExecutionStatus = 'Running'", ["open-new", "open-old"]),
        ("ExecutionStatus != 'Running'", ["closed", "attributed"]),
        ("NOT ExecutionStatus = 'Running'", ["closed", "attributed"]),
        ("ExecutionStatus IN ('Completed', 3)", ["closed", "attributed"]),
        ("StartTime > '2020-01-01T00:30:00Z'", ["open-new"]),
        ("StartTime > '2020-01-01T01:30:00+01:00'", ["open-new"]),
        ("StartTime >= '2020-01-01T00:00:00.000000001Z'", ["open-new"]),
        ("StartTime BETWEEN '2019-12-31T00:00:00Z' AND '2020-01-01T00:00:00Z'", ["open-old", "closed", "attributed"]),
        ("StartTime < '9999-01-01T00:00:00Z'", WORKFLOWS),
        ("CloseTime IS NULL", ["open-new", "open-old"]),
        ("CloseTime IS NOT NULL", ["closed", "attributed"]),
        ("NOT CloseTime IS NULL", ["closed", "attributed"]),
        ("CloseTime < '2020-01-01T01:30:00Z'", ["attributed"]),
        ("NOT CloseTime < '2020-01-01T01:30:00Z'", ["closed"]),
        ("ExecutionDuration > '1h30m'", ["closed"]),
        ("ExecutionDuration <= '01:00:00'", ["attributed"]),
        ("ExecutionDuration BETWEEN 0 AND '1d'", ["closed", "attributed"]),
        ("HistoryLength > 4.5", ["open-old", "closed"]),
        ("ParentWorkflowId = 'boss'", ["open-new"]),
        ("ParentWorkflowId != 'boss'", []),
        ("ParentWorkflowId IS NULL", ["open-old", "closed", "attributed"]),
        ("Customer = 'Ann'", ["closed"]),
        ("Customer = 'ann'", []),
        ("Customer != 'Ann'", ["attributed"]),
        ("NOT Customer = 'Ann'", ["attributed"]),
        ("NOT (Customer = 'Ann' AND WorkflowId = 'closed')", ["open-new", "open-old", "attributed"]),
        ("Customer STARTS_WITH 'Ann'", ["closed", "attributed"]),
        ("Customer STARTS_WITH 'Anna%'", ["attributed"]),
        ("Customer NOT STARTS_WITH 'Anna'", ["closed"]),
        ("Customer IN ('Ann', 'Bob')", ["closed"]),
        ("Customer NOT IN ('Ann', 'Bob')", ["attributed"]),
        ("Customer IS NULL", ["open-new", "open-old"]),
        ("Customer IS NOT NULL", ["closed", "attributed"]),
        ("`odd name` = 'it''s'", ["closed"]),
        ("Amount > 10", ["attributed"]),
        ("Amount >= 10 AND Amount < 20", ["closed"]),
        ("Amount BETWEEN 10 AND 20", ["closed", "attributed"]),
        ("Amount NOT BETWEEN 10 AND 15", ["attributed"]),
        ("Weight = 1.5", ["closed"]),
        ("Weight < 2", ["closed"]),
        ("Paid = true", ["closed"]),
        ("Paid = false", ["attributed"]),
        ("Paid != true", ["attributed"]),
        ("Due = '2020-01-01T00:00:00Z'", ["closed"]),
        ("Tags = 'red'", ["closed"]),
        ("Tags IN ('blue', 'big')", ["closed", "attributed"]),
        ("Tags != 'red'", ["open-new", "open-old", "attributed"]),
        ("NOT Tags = 'red'", ["open-new", "open-old", "attributed"]),
        ("Tags NOT IN ('blue', 'big')", ["open-new", "open-old"]),
        ("Tags IS NULL", ["open-new", "open-old"]),
        ("Note = 'care'", ["closed", "attributed"]),
        ("Note = 'FRAGILE'", ["closed"]),
        ("Note = 'cafe'", ["closed"]),
        ("Note = 'absent fragile'", ["closed"]),
        ("Note = 'fragile-no'", []),
        ("Note = 'frag'", []),
        ("Note != 'fragile'", ["open-new", "open-old", "attributed"]),
        ("BuildIds = 'v1'", ["attributed"]),
        ("TemporalNamespaceDivision = 'TemporalScheduler'", ["schedule"]),
        ("TemporalNamespaceDivision IS NULL OR TemporalNamespaceDivision IS NOT NULL", [*WORKFLOWS[:2], "schedule", *WORKFLOWS[2:]]),
        ("ORDER BY StartTime, WorkflowId DESC", ["open-old", "closed", "attributed", "open-new"]),
        ("ORDER BY CloseTime DESC, WorkflowId", ["closed", "attributed", "open-new", "open-old"]),
        ("Amount > 0 ORDER BY Amount DESC", ["attributed", "closed"]),
    ],
)  # fmt: skip
async def test_queries(store_all: StoreAll, visibility: VisibilityStore, text: str, expected: list[str]) -> None:
    await store_all(RECORDS)
    names = await found(visibility, text)
    if "schedule" in expected:
        names.sort()
        expected = sorted(expected)
    assert names == expected
    # What is in the archive is found without a database.
    archived = [each for each in RECORDS if each.close_time_ns is not None]
    in_memory = [each.workflow_id for each in archived if _holds(text, each)]
    assert sorted(in_memory) == sorted(each.workflow_id for each in archived if each.workflow_id in names)


def _holds(text: str, record: VisibilityRecord) -> bool:
    condition, info = parse(text, ATTRIBUTES).condition, execution_info(record)
    for name, value in record.search_attributes.items():
        payload = encode_value(value, ATTRIBUTES.get(name, KEYWORD_LIST))
        info.search_attributes.indexed_fields[name].CopyFrom(payload)
    held = condition is None or holds(condition, values_of(info, ATTRIBUTES)) is True
    earliest, latest = close_times(condition)
    closed_at_ns = record.close_time_ns or 0
    assert not held or (earliest <= closed_at_ns and (latest is None or closed_at_ns <= latest))
    return held


async def test_a_record_comes_back_as_it_was_stored(store_all: StoreAll, visibility: VisibilityStore) -> None:
    record = visible(
        close_time_ns=300,
        execution_time_ns=150,
        history_length=1,
        history_size_bytes=2,
        state_transition_count=3,
        parent_workflow_id="parent",
        parent_run_id="parent-run",
        root_workflow_id="root",
        root_run_id="root-run",
        memo=b"memo",
        indexed_fields=b"fields",
    )
    await store_all([record])
    assert (await visibility.list(NAMESPACE, Query(), 10, b"")).records == [record]


async def test_a_record_replaces_the_one_before_it(store_all: StoreAll, visibility: VisibilityStore) -> None:
    await store_all([visible(search_attributes={"Customer": "Ann", "Tags": ["red"]})])
    await store_all([visible(close_time_ns=200, search_attributes={"Customer": "Bob"})])
    assert await found(visibility, "Customer = 'Bob' AND CloseTime IS NOT NULL") == ["order"]
    assert await found(visibility, "Customer = 'Ann' OR Tags = 'red' OR CloseTime IS NULL") == []


async def test_a_deleted_run_is_not_found(
    executions: ExecutionStore, visibility: VisibilityStore, acquire: Acquire
) -> None:
    epochs = {SHARD: await acquire(SHARD)}
    await executions.write([write(visibility=[visible(search_attributes={"Customer": "Ann"})])], epochs)
    await executions.write([write(deleted=[key()])], epochs)
    assert await found(visibility, "") == []
    assert await found(visibility, "Customer = 'Ann'") == []


async def test_namespaces_do_not_meet(store_all: StoreAll, visibility: VisibilityStore) -> None:
    theirs = visible(namespace_id="namespace-2", search_attributes={"Customer": "Ann"})
    await store_all([theirs, visible(search_attributes={"Customer": "Bob"})])
    assert await found(visibility, "Customer = 'Ann'") == []
    assert await found(visibility, "Customer = 'Ann' OR WorkflowId = 'order'") == ["order"]


@pytest.mark.parametrize("order", ["", "ORDER BY CloseTime", "ORDER BY CloseTime DESC", "ORDER BY Amount, StartTime"])
async def test_pages_are_complete_and_stable(store_all: StoreAll, visibility: VisibilityStore, order: str) -> None:
    records = [
        visible(
            f"order-{number:02}",
            f"run-{number:02}",
            start_time_ns=number // 4,
            close_time_ns=number // 3 if number % 2 else None,
            search_attributes={"Amount": number % 5} if number % 3 else {},
        )
        for number in range(23)
    ]
    await store_all(records)
    query = parse(order, ATTRIBUTES)
    expected = [record.run_id for record in (await visibility.list(NAMESPACE, query, 100, b"")).records]
    assert len(expected) == len(records)

    listed: list[str] = []
    token = b""
    for number in range(8):
        page = await visibility.list(NAMESPACE, query, 3, token)
        listed += [record.run_id for record in page.records]
        token = page.next_page_token
        assert bool(token) == (number < 7)
        if number == 2:  # Ahead of everything listed so far: must not shift what follows.
            await store_all([visible("early", "zzz", start_time_ns=10**15)] if not order else [])
    assert listed == expected


async def test_a_token_belongs_to_its_query(store_all: StoreAll, visibility: VisibilityStore) -> None:
    await store_all(RECORDS)
    query = parse("WorkflowId STARTS_WITH 'open'", ATTRIBUTES)
    token = (await visibility.list(NAMESPACE, query, 1, b"")).next_page_token
    for other, bad in ((parse("", ATTRIBUTES), token), (query, b"garbage"), (query, token[:-1]), (query, b"\x91\x00")):
        with pytest.raises(InvalidArgument):
            await visibility.list(NAMESPACE, other, 1, bad)


async def test_counting_by_group(store_all: StoreAll, visibility: VisibilityStore) -> None:
    await store_all(RECORDS)
    query = parse("GROUP BY ExecutionStatus", ATTRIBUTES)
    assert await visibility.count(NAMESPACE, query) == (
        4,
        [CountGroup((1,), 2), CountGroup((2,), 1), CountGroup((3,), 1)],
    )
    assert await visibility.count(NAMESPACE, parse("WorkflowId = 'x' GROUP BY ExecutionStatus", {})) == (0, [])
    assert await visibility.count(NAMESPACE, parse("WorkflowId = 'closed'", {})) == (1, [])


@pytest.mark.parametrize(
    "text",
    [
        " OR ".join(f"Customer = '{number}'" for number in range(QUERY_VALUES_MAX)),
        "Customer IN (" + ", ".join(f"'{number}'" for number in range(QUERY_VALUES_MAX)) + ")",
        "Note = '" + " ".join(f"w{number}" for number in range(QUERY_VALUES_MAX)) + "'",
        "NOT " * 90 + "Customer = 'Bob'",
    ],
    ids=["or", "in", "words", "nested"],
)
async def test_the_largest_queries_run(store_all: StoreAll, visibility: VisibilityStore, text: str) -> None:
    await store_all([visible(search_attributes={"Customer": "Ann"})])
    assert await found(visibility, text) == []


async def test_a_query_finds_executions_of_one_kind(store_all: StoreAll, visibility: VisibilityStore) -> None:
    await store_all(RECORDS)
    query = Query(parse("WorkflowId = 'closed'", {}).condition, kind=ExecutionKind.SCHEDULE)
    page = await visibility.list(NAMESPACE, query, 10, b"")
    assert [(each.run_id, each.kind) for each in page.records] == [("of another kind", ExecutionKind.SCHEDULE)]
    assert (await visibility.count(NAMESPACE, query))[0] == 1
