"""Archival as namespaces have it, and lists of what is in the archive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import replace
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import ListArchivedWorkflowExecutionsRequest

from perdure.frontend import archival
from perdure.frontend.handlers import archived_lists
from perdure.frontend.handlers.archived_lists import ArchivedLists
from perdure.kernel.archive import files
from perdure.kernel.archive.store import NoArchive
from perdure.kernel.call import Call
from perdure.kernel.errors import InvalidArgument, Unavailable
from perdure.kernel.limits import Limits
from perdure.kernel.namespace import DAY_NS, Archival, Namespace
from tests.simulation.cluster import NAMESPACE
from tests.support.archive import URI, MemoryArchive

DISABLED, ENABLED = 1, 2
ARCHIVED = replace(NAMESPACE, visibility_archival=Archival(True, URI))
MOMENT = 19_000 * DAY_NS


@pytest.mark.parametrize(
    ("current", "state", "uri", "expected"),
    [
        (Archival(), 0, "", Archival()),
        (Archival(), DISABLED, "", Archival()),
        (Archival(), ENABLED, "", Archival(True, URI)),
        (Archival(), ENABLED, "file:///mine", Archival(True, "file:///mine")),
        (Archival(), DISABLED, "file:///mine", Archival(False, "file:///mine")),
        (Archival(), 0, "file:///mine", Archival(False, "file:///mine")),
        (Archival(False, "file:///mine"), ENABLED, "", Archival(True, "file:///mine")),
        (Archival(True, "file:///mine"), 0, "", Archival(True, "file:///mine")),
        (Archival(True, "file:///mine"), ENABLED, "file:///mine", Archival(True, "file:///mine")),
        (Archival(True, "file:///mine"), DISABLED, "", Archival(False, "file:///mine")),
    ],
)
def test_what_becomes_of_it(current: Archival, state: int, uri: str, expected: Archival) -> None:
    assert archival.changed(current, state, uri, MemoryArchive()) == expected
    assert archival.changed(current, state, uri, NoArchive()) == current


def test_a_place_that_is_named_stays() -> None:
    with pytest.raises(InvalidArgument, match="Cannot update existing archival URI"):
        archival.changed(Archival(False, URI), ENABLED, "file:///other", MemoryArchive())
    with pytest.raises(InvalidArgument):
        archival.changed(Archival(), 7, "", MemoryArchive())


@dataclass
class Bench:
    archive: MemoryArchive
    namespace: Namespace = ARCHIVED

    async def add(self, number: int, namespace_id: str = ARCHIVED.id, **fields: Any) -> None:
        """A workflow that closed as many days after the first."""
        run_id = f"018bcfe5-6800-7226-b63c-{number:012x}"
        info = WorkflowExecutionInfo(execution={"workflow_id": f"w{number}", "run_id": run_id}, **fields)
        info.close_time.FromNanoseconds(MOMENT + number * DAY_NS)
        name = files.listing(namespace_id) + files.listed_name(MOMENT + number * DAY_NS, run_id)  # type: ignore[arg-type]
        await self.archive.put(URI, name, info.SerializeToString())

    async def page(self, **fields: Any) -> tuple[list[str], bytes]:
        request = ListArchivedWorkflowExecutionsRequest(**fields)
        response = await ArchivedLists(self.archive, Limits()).list("", Call(self.namespace), request)
        return [each.execution.workflow_id for each in response.executions], response.next_page_token

    async def all(self, query: str = "", page_size: int = 2) -> list[str]:
        found, token = await self.page(query=query, page_size=page_size)
        while token:
            page, token = await self.page(query=query, page_size=page_size, next_page_token=token)
            found += page
        return found


@pytest.fixture
async def bench() -> Bench:
    bench = Bench(MemoryArchive())
    for number in range(50):
        await bench.add(number, status=3 if number % 10 == 0 else 2, type={"name": "Order"})
    await bench.add(7, namespace_id="another")
    return bench


async def test_all_are_listed_with_the_newest_first(bench: Bench) -> None:
    assert await bench.all(page_size=7) == [f"w{number}" for number in range(49, -1, -1)]


async def test_queries_find_what_they_find_elsewhere(bench: Bench) -> None:
    assert await bench.all("ExecutionStatus = 'Failed' AND WorkflowType = 'Order'") == [
        "w40",
        "w30",
        "w20",
        "w10",
        "w0",
    ]
    assert await bench.all("WorkflowId = 'w3' OR RunId = '018bcfe5-6800-7226-b63c-000000000004'") == ["w4", "w3"]
    assert await bench.all("WorkflowType = 'Refund'") == []


async def test_times_of_close_bound_what_is_read(bench: Bench) -> None:
    day = [f"CloseTime {operator} {MOMENT + number * DAY_NS}" for operator, number in ((">", 20), ("<=", 24))]
    read: list[str] = []
    get = bench.archive.get

    async def counted(uri: str, name: str) -> bytes | None:
        read.append(name)
        return await get(uri, name)

    bench.archive.get = counted  # type: ignore[method-assign]
    assert await bench.all(" AND ".join(day), page_size=10) == ["w24", "w23", "w22", "w21"]
    assert len(read) <= 20


async def test_a_search_for_little_among_much_comes_back_now_and_then(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archived_lists, "LOOKED_AT_MAX", 20)
    found, token = await bench.page(query="WorkflowId = 'w0'", page_size=1)
    assert (found, bool(token)) == ([], True)
    assert await bench.all("WorkflowId = 'w0'", page_size=1) == ["w0"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"page_size": 10_001}, "PageSize is larger than allowed 10000"),
        ({"query": "WorkflowId ="}, "invalid query"),
        ({"query": "ORDER BY StartTime"}, "ORDER BY"),
        ({"next_page_token": b"../../x"}, "Invalid NextPageToken"),
    ],
)
async def test_what_is_refused(bench: Bench, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        await bench.page(**fields)


async def test_without_an_archive_there_is_no_list(bench: Bench) -> None:
    bench.namespace = NAMESPACE
    with pytest.raises(InvalidArgument, match="Namespace is not configured for visibility archival"):
        await bench.page()
    with pytest.raises(InvalidArgument, match="Cluster is not configured for visibility archival"):
        await Bench(NoArchive()).page()  # type: ignore[arg-type]


async def test_an_archive_that_cannot_be_read_is_unavailable(bench: Bench) -> None:
    bench.archive.broken = ""
    with pytest.raises(Unavailable):
        await bench.page()
