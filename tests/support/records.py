"""Builders of store records, with everything that a test does not care about filled in."""

from __future__ import annotations

from typing import Any

from perdure.kernel.ids import ExecutionKey, ExecutionKind, NamespaceId, RunId, ShardId, WorkflowId
from perdure.kernel.persistence.executions import Head, JournalRecord, ShardWrite
from perdure.kernel.persistence.usage import Action, BytesChanged, UsageStore
from perdure.kernel.persistence.visibility import VisibilityRecord

NAMESPACE = NamespaceId("namespace-1")
SHARD = ShardId(7)
HOUR = 500_000
START = Action(NAMESPACE, HOUR, "start_workflow", "Order", background=False)
#: What a write says that costs a start.
A_START: dict[str, Any] = {"actions": {START: 1}, "bytes_changed": [BytesChanged(NAMESPACE, HOUR * 3_600_000, 10, 0)]}


def key(workflow_id: str = "order", run_id: str = "run-1", namespace_id: str = NAMESPACE) -> ExecutionKey:
    return ExecutionKey(NamespaceId(namespace_id), WorkflowId(workflow_id), RunId(run_id))


def record(of: ExecutionKey, sequence: int, first_event_id: int, count: int, changes: bytes = b"") -> JournalRecord:
    """A journal record whose event bytes say which events they are."""
    events = f"events {first_event_id}+{count} of {of.run_id}".encode() if count else b""
    return JournalRecord(of, sequence, first_event_id, count, events, changes)


def head(
    of: ExecutionKey, sequence: int = 1, *, wake_at_ns: int | None = None, needs_dispatch: bool = False, status: int = 1
) -> Head:
    return Head(of, sequence, sequence + 1, status, wake_at_ns, needs_dispatch)


def write(**parts: Any) -> ShardWrite:
    return ShardWrite(parts.pop("shard", SHARD), **parts)


def visible(workflow_id: str = "order", run_id: str = "run-1", **fields: Any) -> VisibilityRecord:
    defaults: dict[str, Any] = {
        "namespace_id": NAMESPACE,
        "kind": ExecutionKind.WORKFLOW,
        "workflow_type": "Order",
        "task_queue": "orders",
        "status": 1 if fields.get("close_time_ns") is None else 2,
        "start_time_ns": 100,
        "execution_time_ns": fields.get("start_time_ns", 100),
    }
    return VisibilityRecord(workflow_id=WorkflowId(workflow_id), run_id=RunId(run_id), **(defaults | fields))


async def starts(usage: UsageStore) -> int:
    """How many starts were counted, with the bytes that each of them has brought."""
    counts = dict(await usage.actions(NAMESPACE, HOUR, HOUR + 1, None, 10))
    (kept,) = await usage.storage(NAMESPACE, HOUR, HOUR + 1, (HOUR + 1) * 3_600_000)
    count = counts.get(START, 0)
    assert kept.active_byte_ms == 10 * 3_600_000 * count
    return count
