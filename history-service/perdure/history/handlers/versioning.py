"""What is asked of a run's versions that only the records of worker deployments can tell."""

from __future__ import annotations

from temporalio.api.workflow.v1 import VersioningOverride

from perdure.history.engine import Engine
from perdure.history.state import versioning
from perdure.kernel.deployments.records import VersionQueue
from perdure.kernel.errors import FailedPrecondition
from perdure.kernel.ids import NamespaceId, TaskKind


def check_override(engine: Engine, namespace_id: NamespaceId, queue: str, override: VersioningOverride) -> None:
    """Raises FailedPrecondition: no workers of the version that a run is to be bound to have polled its queue."""
    target = versioning.override_target(versioning.normalised(override))
    if target is None or engine.deployments.has(namespace_id, target, VersionQueue(queue, TaskKind.WORKFLOW)):
        return
    raise FailedPrecondition(f"Pinned version '{target}' is not present in task queue '{queue}' of type 'Workflow'")
