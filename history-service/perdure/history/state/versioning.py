"""PURE: which version of its workers a run belongs to, and how it is bound to that.

What is kept is what clients see of it, `WorkflowExecutionVersioningInfo`. A transition to another version, while a
workflow task brings it about, goes before an override, and that before what the worker has said.
"""

from __future__ import annotations

from temporalio.api.deployment.v1 import WorkerDeploymentOptions, WorkerDeploymentVersion
from temporalio.api.enums.v1 import VersioningBehavior, WorkerVersioningMode
from temporalio.api.workflow.v1 import VersioningOverride, WorkflowExecutionVersioningInfo

from perdure.kernel.deployments.records import VersionId, parse_version

UNSPECIFIED = VersioningBehavior.VERSIONING_BEHAVIOR_UNSPECIFIED
PINNED = VersioningBehavior.VERSIONING_BEHAVIOR_PINNED
AUTO_UPGRADE = VersioningBehavior.VERSIONING_BEHAVIOR_AUTO_UPGRADE
_PINNED_OVERRIDE = VersioningOverride.PinnedOverrideBehavior.PINNED_OVERRIDE_BEHAVIOR_PINNED


def id_of(version: WorkerDeploymentVersion) -> VersionId | None:
    """None for workers without a version."""
    return VersionId(version.deployment_name, version.build_id) if version.build_id else None


def message_of(version: VersionId | None) -> WorkerDeploymentVersion | None:
    if version is None:
        return None
    return WorkerDeploymentVersion(deployment_name=version.deployment, build_id=version.build_id)


def of_worker(options: WorkerDeploymentOptions) -> VersionId | None:
    """The version that a worker says it is of."""
    if options.worker_versioning_mode != WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED:
        return None
    return VersionId(options.deployment_name, options.build_id)


def override_target(override: VersioningOverride) -> VersionId | None:
    """The version that an override binds a run to, for good or for once."""
    if override.HasField("one_time"):
        return id_of(override.one_time.target_deployment_version)
    return id_of(override.pinned.version) if override.HasField("pinned") else None


def normalised(override: VersioningOverride) -> VersioningOverride:
    """An override in today's form, whichever it was given in."""
    if override.HasField("deployment"):
        version: VersionId | None = VersionId(override.deployment.series_name, override.deployment.build_id)
    else:
        version = parse_version(override.pinned_version) if override.pinned_version else None
    if version is not None:
        pinned = VersioningOverride.PinnedOverride(behavior=_PINNED_OVERRIDE, version=message_of(version))
        return VersioningOverride(pinned=pinned)
    if override.behavior == AUTO_UPGRADE:
        return VersioningOverride(auto_upgrade=True)
    return override


def base_behavior(info: WorkflowExecutionVersioningInfo | None) -> VersioningBehavior.ValueType:
    """How the run is bound if no transition is under way."""
    if info is None:
        return UNSPECIFIED
    if info.HasField("versioning_override"):
        return PINNED if override_target(info.versioning_override) else AUTO_UPGRADE
    return info.behavior


def base_version(info: WorkflowExecutionVersioningInfo | None) -> VersionId | None:
    """What the run belongs to if no transition is under way."""
    if info is None:
        return None
    if info.HasField("versioning_override") and (target := override_target(info.versioning_override)):
        return target
    return id_of(info.deployment_version)


def behavior(info: WorkflowExecutionVersioningInfo | None) -> VersioningBehavior.ValueType:
    return AUTO_UPGRADE if in_transition(info) else base_behavior(info)


def version(info: WorkflowExecutionVersioningInfo | None) -> VersionId | None:
    if info is not None and info.HasField("version_transition"):
        return id_of(info.version_transition.deployment_version)
    return base_version(info) if base_behavior(info) != UNSPECIFIED else None


def in_transition(info: WorkflowExecutionVersioningInfo | None) -> bool:
    return info is not None and info.HasField("version_transition")


def directive(info: WorkflowExecutionVersioningInfo | None) -> tuple[str, int]:
    """What matching is to know with each task: the version as text, and the behaviour."""
    if info is None:
        return "", UNSPECIFIED
    return str(version(info) or ""), behavior(info)


def shown(info: WorkflowExecutionVersioningInfo) -> WorkflowExecutionVersioningInfo:
    """What clients see, with an override in its older form as well."""
    seen = WorkflowExecutionVersioningInfo()
    seen.CopyFrom(info)
    override = seen.versioning_override
    if override.HasField("pinned"):
        override.behavior = PINNED
        override.pinned_version = (id_of(override.pinned.version) or VersionId("", "")).old_form
    elif override.HasField("auto_upgrade"):
        override.behavior = AUTO_UPGRADE
    return seen
