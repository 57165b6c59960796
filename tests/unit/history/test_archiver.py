"""Closed workflows go to the archive before retention removes them: on any failure they are kept, and tried again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace
from temporalio.api.export.v1 import WorkflowExecutions
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import WorkflowExecutionInfo

from perdure.kernel.archive import files
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.errors import NotFound, Unavailable
from perdure.kernel.ids import ExecutionKey
from perdure.kernel.metering import actions
from perdure.kernel.namespace import Archival
from perdure.kernel.persistence.executions import DamagedRecord, StoreUnavailable
from tests.simulation.cluster import NAMESPACE
from tests.support.archive import URI
from tests.support.history import HistoryBench, with_history

RETENTION_S = 3600
ARCHIVED = replace(
    NAMESPACE,
    retention_ns=RETENTION_S * SECOND_NS,
    history_archival=Archival(True, URI),
    visibility_archival=Archival(True, URI),
)
#: Virtual seconds that a test may take.
PATIENCE_S = 30_000


async def closed(bench: HistoryBench, workflow_id: str = "order") -> ExecutionKey:
    bench.namespace = ARCHIVED
    key = await bench.start(workflow_id)
    await bench.call("TerminateWorkflowExecution", workflow_execution={"workflow_id": workflow_id})
    return key


async def there(bench: HistoryBench, key: ExecutionKey) -> bool:
    try:
        await bench.loaded(key)
    except NotFound:
        return False
    return True


async def history(bench: HistoryBench, key: ExecutionKey, **fields: Any) -> Any:
    execution = {"workflow_id": key.workflow_id, "run_id": key.run_id}
    return await bench.call("GetWorkflowExecutionHistory", execution=execution, **fields)


async def gone(bench: HistoryBench, key: ExecutionKey) -> None:
    while await there(bench, key):  # noqa: ASYNC110  the time is virtual
        await asyncio.sleep(1)


def test_it_is_archived_when_its_retention_ends_and_read_from_there() -> None:
    async def main(bench: HistoryBench) -> None:
        key = await closed(bench)
        before: list[HistoryEvent] = await bench.events(key)
        await asyncio.sleep(RETENTION_S - 1)
        assert not bench.archive.files
        await gone(bench, key)
        archived = await history(bench, key)
        assert archived.archived
        assert list(archived.history.events) == before
        file = WorkflowExecutions.FromString(bench.archive.files[URI, files.history_name(key)])
        assert [list(each.history.events) for each in file.items] == [before]
        (listed,) = await bench.archive.names(URI, files.listing(NAMESPACE.id), "", 9)
        info = WorkflowExecutionInfo.FromString(bench.archive.files[URI, listed])
        assert (info.execution.run_id, info.history_length) == (key.run_id, len(before))
        assert (await bench.actions())[actions.EXPORT] == 1

    with_history(main, PATIENCE_S)


def test_the_archive_is_read_page_by_page_and_only_if_the_run_is_named() -> None:
    async def main(bench: HistoryBench) -> None:
        key = await closed(bench)
        before = await bench.events(key)
        await gone(bench, key)
        events, token = [], b""
        for _ in before:
            page = await history(bench, key, maximum_page_size=1, next_page_token=token)
            assert page.archived
            events += page.history.events
            token = page.next_page_token
        assert events == before
        assert not token
        last = await history(bench, key, history_event_filter_type="HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT")
        assert list(last.history.events) == before[-1:]
        for fields in ({"skip_archival": True}, {"execution": {"workflow_id": "order"}}):
            with pytest.raises(NotFound):
                await bench.call(
                    "GetWorkflowExecutionHistory",
                    **{"execution": {"workflow_id": "order", "run_id": key.run_id}, **fields},
                )
        with pytest.raises(NotFound):
            await history(bench, key._replace(workflow_id="another"))  # type: ignore[arg-type]

    with_history(main, PATIENCE_S)


@pytest.mark.parametrize("broken", ["", "/histories/", "/closed/"])
def test_it_is_kept_until_all_of_it_is_in_the_archive(broken: str) -> None:
    async def main(bench: HistoryBench) -> None:
        key = await closed(bench)
        bench.archive.broken = broken
        await asyncio.sleep(RETENTION_S + 600)
        assert await there(bench, key)
        metrics = bench.service.engine.metrics
        assert metrics.archive_failures > 2
        # It waits longer each time, up to a minute.
        assert len(bench.archive.asked) < 60
        bench.archive.broken = None
        await gone(bench, key)
        assert {name for _, name in bench.archive.files} == set(bench.archive.asked)
        assert (metrics.archived, (await bench.actions())[actions.EXPORT]) == (1, 1)

    with_history(main, PATIENCE_S)


def test_a_crash_between_archive_and_deletion_archives_it_once_more() -> None:
    async def main(bench: HistoryBench) -> None:
        key = await closed(bench)
        # The history is there, the list is not: the process ends, and begins again.
        bench.archive.broken = "/closed/"
        await asyncio.sleep(RETENTION_S + 5)
        assert (URI, files.history_name(key)) in bench.archive.files
        await bench.restart()
        assert await there(bench, key)
        bench.archive.broken = None
        await gone(bench, key)
        assert len(bench.archive.files) == 2

    with_history(main, PATIENCE_S)


def test_a_store_that_fails_to_delete_it_is_asked_again() -> None:
    async def main(bench: HistoryBench) -> None:
        key = await closed(bench)
        await asyncio.sleep(RETENTION_S - 5)
        await bench.loaded(key)
        bench.store.failures["write"].append(StoreUnavailable("no"))
        await gone(bench, key)
        assert len(bench.archive.files) == 2

    with_history(main, PATIENCE_S)


def test_one_that_cannot_be_read_is_kept_and_holds_up_no_other() -> None:
    async def main(bench: HistoryBench) -> None:
        keys = [await closed(bench, "bad"), await closed(bench, "good")]
        bench.store.failures["read_history"].append(DamagedRecord(keys[0], "history"))
        await asyncio.sleep(RETENTION_S + 60)
        assert sorted([await there(bench, key) for key in keys]) == [False, True]
        for key in keys:
            await gone(bench, key)

    with_history(main, PATIENCE_S)


def test_archival_that_is_enabled_late_and_retention_that_is_prolonged_count() -> None:
    async def main(bench: HistoryBench) -> None:
        key = await closed(bench)
        bench.namespace = replace(ARCHIVED, history_archival=Archival(), retention_ns=2 * RETENTION_S * SECOND_NS)
        await asyncio.sleep(RETENTION_S + 60)
        assert await there(bench, key)
        assert not bench.archive.asked
        bench.namespace = replace(ARCHIVED, retention_ns=2 * RETENTION_S * SECOND_NS)
        await asyncio.sleep(RETENTION_S + 600)
        await gone(bench, key)
        assert (await history(bench, key)).archived

    with_history(main, PATIENCE_S)


def test_an_archive_that_cannot_be_read_is_no_reason_to_say_that_there_is_none() -> None:
    async def main(bench: HistoryBench) -> None:
        key = await closed(bench)
        await gone(bench, key)
        bench.archive.broken = ""
        with pytest.raises(Unavailable):
            await history(bench, key)

    with_history(main, PATIENCE_S)
