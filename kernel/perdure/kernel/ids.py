"""Typed ids and composite keys. A bare `str` id stops at the request handler."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple, NewType

NamespaceId = NewType("NamespaceId", str)
NamespaceName = NewType("NamespaceName", str)
WorkflowId = NewType("WorkflowId", str)
RunId = NewType("RunId", str)
ShardId = NewType("ShardId", int)


class WorkflowKey(NamedTuple):
    """A workflow id inside its namespace: the unit of routing, of which any number of runs may exist, one at a time."""

    namespace_id: NamespaceId
    workflow_id: WorkflowId


class ExecutionKey(NamedTuple):
    """One run of a workflow."""

    namespace_id: NamespaceId
    workflow_id: WorkflowId
    run_id: RunId

    @property
    def workflow(self) -> WorkflowKey:
        return WorkflowKey(self.namespace_id, self.workflow_id)


class TaskKind(IntEnum):
    """Which of a task queue's two independent queues is meant; the values are those of `TaskQueueType` on the wire."""

    WORKFLOW = 1
    ACTIVITY = 2


class TaskQueueKey(NamedTuple):
    """One task queue of one kind. A sticky queue is a task queue whose name a worker made up for itself."""

    namespace_id: NamespaceId
    name: str
    kind: TaskKind
