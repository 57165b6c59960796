"""The kinds of executions that a shard can hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perdure.history.kind import Loaded
from perdure.history.loaded import LoadedExecution
from perdure.history.loaded_activity import LoadedActivity
from perdure.history.schedules.loaded import LoadedSchedule
from perdure.kernel.ids import ExecutionKind

KINDS: Mapping[ExecutionKind, type[Loaded[Any]]] = {
    ExecutionKind.WORKFLOW: LoadedExecution,
    ExecutionKind.ACTIVITY: LoadedActivity,
    ExecutionKind.SCHEDULE: LoadedSchedule,
}
