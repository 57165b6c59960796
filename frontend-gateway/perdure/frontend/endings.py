"""PURE: which starts end what runs already. Whoever may start and not terminate may not do it that way either."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from temporalio.api.enums.v1 import WorkflowIdConflictPolicy, WorkflowIdReusePolicy

_CONFLICT = WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING
_REUSE = WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING


def _start_ends(request: Any) -> bool:
    return bool(request.workflow_id_conflict_policy == _CONFLICT or request.workflow_id_reuse_policy == _REUSE)


def _any_start_ends(request: Any) -> bool:
    return any(_start_ends(operation.start_workflow) for operation in request.operations)


#: By RPC, for those whose requests can say so.
ENDINGS: Mapping[str, Callable[[Any], bool]] = {
    "StartWorkflowExecution": _start_ends,
    "SignalWithStartWorkflowExecution": _start_ends,
    "ExecuteMultiOperation": _any_start_ends,
}
