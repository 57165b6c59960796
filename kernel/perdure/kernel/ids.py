"""Typed ids and composite keys. A bare `str` id stops at the request handler."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple, NewType

NamespaceId = NewType("NamespaceId", str)
NamespaceName = NewType("NamespaceName", str)
WorkflowId = NewType("WorkflowId", str)
RunId = NewType("RunId", str)
ShardId = NewType("ShardId", int)


class ExecutionKind(IntEnum):
    """What an execution is. Stored: numbers are never used again for anything else."""

    WORKFLOW = 0
    ACTIVITY = 1
    SCHEDULE = 2
    BATCH = 3
    NEXUS_OPERATION = 4


class WorkflowKey(NamedTuple):
    """A user's id inside its namespace: the unit of routing, of which any number of runs may exist, one at a time.

    `workflow_id` is the id that the user gave: of a workflow, or, by `kind`, of a standalone activity or a schedule.
    Kinds do not share ids: a workflow and a schedule may have the same.
    """

    namespace_id: NamespaceId
    workflow_id: WorkflowId
    kind: ExecutionKind = ExecutionKind.WORKFLOW

    def run(self, run_id: RunId) -> ExecutionKey:
        return ExecutionKey(self.namespace_id, self.workflow_id, run_id, self.kind)


class ExecutionKey(NamedTuple):
    """One run of a workflow, or of an execution of another kind."""

    namespace_id: NamespaceId
    workflow_id: WorkflowId
    run_id: RunId
    kind: ExecutionKind = ExecutionKind.WORKFLOW

    @property
    def workflow(self) -> WorkflowKey:
        return WorkflowKey(self.namespace_id, self.workflow_id, self.kind)


class TaskKind(IntEnum):
    """Which of a task queue's independent queues is meant; the values are those of `TaskQueueType` on the wire."""

    WORKFLOW = 1
    ACTIVITY = 2
    NEXUS = 3


class TaskQueueKey(NamedTuple):
    """One task queue of one kind, or a partition of it. A sticky queue is one whose name a worker made up for itself.

    Partition 0 is the root, the only one of a queue that is not partitioned. Where tasks go is decided when they are
    offered: before, they name the root, and no version. `version` is that of the workers who poll here, as text; empty
    for those without one.
    """

    namespace_id: NamespaceId
    name: str
    kind: TaskKind
    partition: int = 0
    version: str = ""

    @property
    def root(self) -> TaskQueueKey:
        return self._replace(partition=0) if self.partition else self

    @property
    def whole(self) -> TaskQueueKey:
        """The queue that this is a part of."""
        return self._replace(partition=0, version="") if self.partition or self.version else self
