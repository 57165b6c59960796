"""The kinds of executions that a shard can hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perdure.history.kinds.activity import LoadedActivity
from perdure.history.kinds.batch import LoadedBatch
from perdure.history.kinds.kind import Loaded
from perdure.history.kinds.operation import LoadedOperation
from perdure.history.kinds.schedule import LoadedSchedule
from perdure.history.kinds.workflow import LoadedExecution
from perdure.kernel.ids import ExecutionKind

KINDS: Mapping[ExecutionKind, type[Loaded[Any]]] = {
    ExecutionKind.WORKFLOW: LoadedExecution,
    ExecutionKind.ACTIVITY: LoadedActivity,
    ExecutionKind.SCHEDULE: LoadedSchedule,
    ExecutionKind.BATCH: LoadedBatch,
    ExecutionKind.NEXUS_OPERATION: LoadedOperation,
}
