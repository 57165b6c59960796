"""Acts of the data plane on their way into the audit log."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import Any

import pytest

from perdure.api.audit import acts, refusals
from perdure.api.audit.acts import ActWriter
from perdure.api.audit.refusals import LEFT_OUT
from perdure.kernel import errors
from perdure.kernel.acts import OK, Act
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.identity import Principal, PrincipalKind
from perdure.kernel.persistence.executions import StoreError
from tests.support.control_plane import ControlBench, Owner


def _act(bench: ControlBench, owner: Owner, workflow_id: str = "w", result: str = OK) -> Act:
    principal = Principal(PrincipalKind.CERTIFICATE, "fingerprint", "worker", owner.account_id)
    namespace = f"orders.{owner.account_id}"
    return Act(
        bench.runtime.clock.now_ns(), "SignalWorkflowExecution", principal, namespace, workflow_id, "run", "::1", result
    )


async def _acts(bench: ControlBench, owner: Owner) -> list[Any]:
    logs = (await bench.call(owner.token, "GetAuditLogs")).logs
    return [log for log in logs if log.operation == "SignalWorkflowExecution"]


async def test_acts_are_in_the_log_of_their_account(still_bench: ControlBench) -> None:
    bench = still_bench
    owner, stranger = await bench.account(), await bench.account("stranger@example.com")
    writer = ActWriter(bench.database, bench.runtime)
    writer.add(_act(bench, owner))
    writer.add(_act(bench, owner, "v", "NOT_FOUND"))
    await writer.write()
    done, failed = await _acts(bench, owner)
    assert (done.operation, done.status, done.x_forwarded_for) == ("SignalWorkflowExecution", "OK", "::1")
    assert (done.principal.type, done.principal.id, done.principal.name) == ("certificate", "fingerprint", "worker")
    assert dict(done.raw_details) == {"namespace": f"orders.{owner.account_id}", "workflowId": "w", "runId": "run"}
    assert (failed.status, failed.raw_details["error"]) == ("ERROR", "NOT_FOUND")
    assert not await _acts(bench, stranger)


async def test_what_is_left_is_written_when_the_process_stops(still_bench: ControlBench) -> None:
    bench = still_bench
    owner = await bench.account()
    writer = ActWriter(bench.database, bench.runtime)
    writer.start()
    for number in range(10):
        writer.add(_act(bench, owner, f"w{number}"))
    await writer.stop()
    logs = await _acts(bench, owner)
    assert sorted(log.raw_details["workflowId"] for log in logs) == [f"w{number}" for number in range(10)]


async def test_memory_is_bounded_and_calls_wait(still_bench: ControlBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acts, "WAITING_MAX", 3)
    bench = still_bench
    owner = await bench.account()
    writer = ActWriter(bench.database, bench.runtime)
    for _ in range(3):
        assert not writer.is_full
        writer.add(_act(bench, owner))
    assert writer.is_full
    waiting = asyncio.create_task(writer.room())
    await writer.write()
    await waiting
    assert not writer.is_full


async def test_while_nothing_can_be_written_calls_are_refused(
    still_bench: ControlBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acts, "WAITING_MAX", 1)
    monkeypatch.setattr(acts, "_PATIENCE_S", 0.01)
    bench = still_bench
    owner = await bench.account()

    @asynccontextmanager
    async def out_of_order(*, serial: bool):  # type: ignore[no-untyped-def]
        raise StoreError("the disk is full")
        yield

    writer = ActWriter(bench.database, bench.runtime)
    writer.add(_act(bench, owner))
    with monkeypatch.context() as patch:
        patch.setattr(bench.database, "writing", out_of_order)
        with pytest.raises(StoreError):
            await writer.write()
        with pytest.raises(errors.Unavailable, match="audit log"):
            await writer.room()
    # It was kept.
    await writer.write()
    assert len(await _acts(bench, owner)) == 1


async def test_refusals_are_told_in_numbers_only_beyond_some(
    clocked_bench: ControlBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "TOLD_AT_ONCE", 3)
    bench = clocked_bench
    owner, stranger = await bench.account(), await bench.account("stranger@example.com")
    writer = ActWriter(bench.database, bench.runtime)
    for _ in range(3 + 7):
        writer.add_refusal(_act(bench, owner, result="PERMISSION_DENIED"))
    writer.add_refusal(_act(bench, stranger, result="PERMISSION_DENIED"))
    await bench.pass_time(SECOND_NS)
    writer.add_refusal(_act(bench, owner, result="PERMISSION_DENIED"))
    await writer.write()
    told = [dict(log.raw_details) for log in await _acts(bench, owner)]
    assert [details.get(LEFT_OUT) for details in told] == [None, None, None, "7"]
    assert len(await _acts(bench, stranger)) == 1
    assert writer.refusals.left_out == 7


async def test_refusals_leave_room_for_what_is_done(still_bench: ControlBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acts, "WAITING_MAX", 4)
    bench = still_bench
    owner = await bench.account()
    writer = ActWriter(bench.database, bench.runtime)
    for _ in range(10):
        writer.add_refusal(_act(bench, owner, result="PERMISSION_DENIED"))
    assert not writer.is_full
    await writer.write()
    assert len(await _acts(bench, owner)) == 2
