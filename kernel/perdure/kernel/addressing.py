"""Which execution or task queue a public request is about: what it is routed by."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from google.protobuf.message import Message
from temporalio.api.workflowservice.v1 import (
    CountWorkersRequest,
    DescribeWorkerRequest,
    ExecuteMultiOperationRequest,
    ListWorkersRequest,
    RecordWorkerHeartbeatRequest,
)

from perdure.kernel import tokens
from perdure.kernel.ids import WorkflowId
from perdure.kernel.options import RESERVED_TASK_QUEUE_PREFIX

_Reader = Callable[[Any], str]

#: Whoever owns this queue, which nobody can use as one, knows the workers of the namespace.
WORKERS = f"{RESERVED_TASK_QUEUE_PREFIX}workers"
_ABOUT_WORKERS = (CountWorkersRequest, DescribeWorkerRequest, ListWorkersRequest, RecordWorkerHeartbeatRequest)

#: By the field that a request has, in the order in which they are looked for.
_EXECUTIONS: dict[str, _Reader] = {
    "task_token": lambda request: tokens.workflow_of(request.task_token),
    "workflow_execution": attrgetter("workflow_execution.workflow_id"),
    "execution": attrgetter("execution.workflow_id"),
    "update_ref": attrgetter("update_ref.workflow_execution.workflow_id"),
    "schedule_id": attrgetter("schedule_id"),
    "job_id": attrgetter("job_id"),
}
_TASK_QUEUES: dict[str, _Reader] = {
    "task_token": lambda request: tokens.queue_of(request.task_token),
    "task_queue": lambda request: (
        request.task_queue if isinstance(request.task_queue, str) else request.task_queue.name
    ),
}
_readers: dict[tuple[bool, type[Message]], _Reader] = {}


def workflow_id_of(request: Message) -> WorkflowId:
    """The id of the execution that a request to history is about, which places it on a shard.

    Raises:
        InvalidArgument: the request has a task token that is not one.
    """
    kind = type(request)
    reader = _readers.get((False, kind)) or _readers.setdefault((False, kind), _execution_reader(kind))
    return WorkflowId(reader(request))


def task_queue_of(request: Message) -> str:
    """The name of the task queue that a request to matching is about; `WORKERS` if it is about workers.

    Raises:
        InvalidArgument: the request has a task token that is not one.
    """
    kind = type(request)
    reader = _readers.get((True, kind)) or _readers.setdefault((True, kind), _queue_reader(kind))
    return reader(request)


def _execution_reader(kind: type[Message]) -> _Reader:
    if kind is ExecuteMultiOperationRequest:
        return _of_first_operation
    fields = kind.DESCRIPTOR.fields_by_name
    if "workflow_id" in fields and "activity_id" in fields:
        # An activity is addressed by its workflow, or by itself if it has none.
        return lambda request: request.workflow_id or request.activity_id
    for name in ("workflow_id", "activity_id", "operation_id"):
        if name in fields:
            return attrgetter(name)
    return _find(kind, _EXECUTIONS)


def _queue_reader(kind: type[Message]) -> _Reader:
    return (lambda request: WORKERS) if kind in _ABOUT_WORKERS else _find(kind, _TASK_QUEUES)


def _of_first_operation(request: ExecuteMultiOperationRequest) -> str:
    """All operations are on one workflow; that this is so is checked by whoever serves them."""
    return request.operations[0].start_workflow.workflow_id if request.operations else ""


def _find(kind: type[Message], readers: dict[str, _Reader]) -> _Reader:
    for name, reader in readers.items():
        if name in kind.DESCRIPTOR.fields_by_name:
            return reader
    raise LookupError(f"nothing in {kind.__name__} says whom it is for")
