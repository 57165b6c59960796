"""What a later version sends, with fields that this one does not know."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.workflowservice.v1 import PollWorkflowTaskQueueRequest, TerminateWorkflowExecutionRequest

from perdure.infra.cluster import history_wire, matching_wire, wire
from perdure.kernel.ids import (
    ExecutionKey,
    ExecutionKind,
    NamespaceId,
    RunId,
    ShardId,
    TaskKind,
    TaskQueueKey,
    WorkflowId,
)
from perdure.kernel.mail import Terminate
from perdure.kernel.rpc import QueryTask, Task

QUEUE = TaskQueueKey(NamespaceId("ns"), "orders", TaskKind.ACTIVITY, 2)
KEY = ExecutionKey(NamespaceId("ns"), WorkflowId("order"), RunId("run"), ExecutionKind.SCHEDULE)
TASK = Task(QUEUE, KEY, 5, 1, 10**18, fairness_weight=0.5, epoch=7)
QUERY = QueryTask(QUEUE, KEY, WorkflowQuery(query_type="state"))
POLL = PollWorkflowTaskQueueRequest(identity="worker")

TRAVELLING: dict[str, tuple[Callable[[bytes], Any], Any]] = {
    "start workflow task": (history_wire._workflow_task.decode, (TASK, POLL)),
    "query task": (history_wire._query_task.decode, (QUERY, POLL)),
    "deliver": (
        history_wire._letter.decode,
        (KEY.workflow, Terminate(TerminateWorkflowExecutionRequest(reason="why"))),
    ),
    "redispatch": (history_wire._queue.decode, QUEUE),
    "reclaim": (history_wire._namespace_on_shard.decode, (NamespaceId("ns"), ShardId(3))),
    "offer": (matching_wire._tasks.decode, [TASK, TASK]),
    "query": (matching_wire._query.decode, QUERY),
    "fetch": (matching_wire._root.decode, QUEUE),
    "fetched": (matching_wire._fetched.decode, TASK),
    "not fetched": (matching_wire._fetched.decode, None),
}


def longer(value: Any) -> Iterator[Any]:
    """The value with one element more, in each of the places where there may be one."""
    if isinstance(value, list | tuple):
        # A list of ours is one of things of the same kind.
        if not isinstance(value, list):
            yield [*value, "new"]
        for number, inner in enumerate(value):
            for each in longer(inner):
                yield [*value[:number], each, *value[number + 1 :]]
    elif isinstance(value, QueryTask):
        fields = {name: getattr(value, name) for name in QueryTask.__slots__}
        yield {**fields, "new": "new"}
        for name, inner in fields.items():
            for each in longer(inner):
                yield {**fields, name: each}
    elif isinstance(value, msgspec.Struct):
        plain = msgspec.msgpack.decode(wire.encode(value))
        # What is optional is there as None.
        yield [*plain, "new"]


@pytest.mark.parametrize("what", TRAVELLING)
def test_what_is_new_to_us_is_left_out(what: str) -> None:
    decode, value = TRAVELLING[what]
    assert decode(wire.encode(value)) == value
    later = list(longer(value))
    assert bool(later) == (value is not None)
    for each in later:
        decoded = decode(wire.encode(each))
        assert decoded == value
        assert type(decoded) is type(value)


def test_what_cannot_be_understood_is_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        history_wire._queue.decode(wire.encode(("ns", "orders", "not a kind", 0, "new")))
    with pytest.raises(msgspec.DecodeError):
        history_wire._queue.decode(wire.encode(("ns",)))
