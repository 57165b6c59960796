"""Which version of its workers a run belongs to, and what lists show of that."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from temporalio.api.common.v1 import WorkerVersionStamp
from temporalio.api.enums.v1 import VersioningBehavior
from temporalio.api.history.v1 import (
    WorkflowExecutionOptionsUpdatedEventAttributes,
    WorkflowExecutionStartedEventAttributes,
    WorkflowTaskCompletedEventAttributes,
)
from temporalio.api.workflow.v1 import WorkflowExecutionVersioningInfo

from perdure.history.state import versioning
from perdure.history.state.changes import TargetNotified, TransitionStarted
from perdure.history.state.execution import Execution
from perdure.kernel.deployments.records import VersionId
from perdure.kernel.visibility import attributes as search_attributes

_BUILD_IDS = "BuildIds"
_USED = "TemporalUsedWorkerDeploymentVersions"
_DEPLOYMENT = "TemporalWorkerDeployment"
_VERSION = "TemporalWorkerDeploymentVersion"
_BEHAVIOR = "TemporalWorkflowVersioningBehavior"
#: The value of `BuildIds` of runs without a version; and what stands before the version of pinned ones.
_UNVERSIONED = "unversioned"
_PINNED = "pinned:"
_VALUE_SIZE_MAX = 2048


def started(state: Execution, attributes: WorkflowExecutionStartedEventAttributes, event_id: int) -> None:
    info = WorkflowExecutionVersioningInfo()
    if attributes.HasField("versioning_override"):
        info.versioning_override.CopyFrom(versioning.normalised(attributes.versioning_override))
    if attributes.HasField("inherited_pinned_version"):
        info.deployment_version.CopyFrom(attributes.inherited_pinned_version)
        info.behavior = versioning.PINNED
    if attributes.HasField("inherited_auto_upgrade_info"):
        inherited = attributes.inherited_auto_upgrade_info
        info.revision_number = inherited.source_deployment_revision_number
        info.deployment_version.CopyFrom(inherited.source_deployment_version)
        info.behavior = versioning.AUTO_UPGRADE
        info.continue_as_new_initial_versioning_behavior = inherited.continue_as_new_initial_versioning_behavior
    if info.ByteSize():
        state.versioning = info
    target = versioning.override_target(info.versioning_override)
    state.worker_deployment_name = target.deployment if target else info.deployment_version.deployment_name
    if versioning.behavior(state.versioning) != versioning.UNSPECIFIED:
        _show(state, event_id, None, None)


def options_updated(
    state: Execution, attributes: WorkflowExecutionOptionsUpdatedEventAttributes, event_id: int
) -> None:
    if not attributes.HasField("versioning_override") and not (
        attributes.unset_versioning_override and state.versioning is not None
    ):
        return
    info = state.versioning or WorkflowExecutionVersioningInfo()
    before = versioning.directive(info)
    if attributes.HasField("versioning_override"):
        info.versioning_override.CopyFrom(versioning.normalised(attributes.versioning_override))
        if target := versioning.override_target(info.versioning_override):
            state.worker_deployment_name = target.deployment
    else:
        info.ClearField("versioning_override")
        state.worker_deployment_name = info.deployment_version.deployment_name
    state.versioning = info
    if versioning.directive(info) != before:
        # Who overrides wants that at once, whatever was under way.
        info.ClearField("version_transition")
        state.sticky_queue = ""
        state.sticky_timeout = 0
    # An event that is held back has no number yet, and is shown with the next.
    _show(state, event_id or state.next_event_id, None, None)


def task_completed(state: Execution, attributes: WorkflowTaskCompletedEventAttributes, event_id: int) -> None:
    version = versioning.id_of(attributes.deployment_version)
    state.worker_deployment_name = attributes.worker_deployment_name
    info = state.versioning
    if info is None and attributes.versioning_behavior:
        info = state.versioning = WorkflowExecutionVersioningInfo()
    if info is not None:
        if info.HasField("version_transition") and versioning.version(info) == version:
            info.ClearField("version_transition")
        info.behavior = attributes.versioning_behavior
        info.ClearField("version")
        info.ClearField("deployment_version")
        if attributes.versioning_behavior and version is not None:
            info.version = version.old_form
            info.deployment_version.CopyFrom(attributes.deployment_version)
        override = info.versioning_override
        if override.HasField("one_time") and versioning.override_target(override) == version:
            info.ClearField("versioning_override")
    stamp = attributes.worker_version if attributes.HasField("worker_version") else None
    if state.versioning is not None or stamp is not None or _BUILD_IDS not in state.search_attributes.indexed_fields:
        _show(state, event_id, stamp, version)


def _show(state: Execution, event_id: int, stamp: WorkerVersionStamp | None, used: VersionId | None) -> None:
    """Keep the search attributes up to date."""
    behavior, version = versioning.base_behavior(state.versioning), versioning.base_version(state.versioning)
    pinned = f"{_PINNED}{version}" if behavior == versioning.PINNED else ""
    before = _list_of(state, _BUILD_IDS)
    build_ids = (
        [] if behavior != versioning.UNSPECIFIED or (stamp is not None and stamp.use_versioning) else [_UNVERSIONED]
    )
    build_ids += [pinned] if pinned else []
    build_ids += [each for each in before if each != _UNVERSIONED and not each.startswith(_PINNED)]
    if stamp is not None and (build_id := _build_id(stamp)) not in build_ids:
        build_ids.append(build_id)
    changed = _set_list(state, _BUILD_IDS, before, build_ids)
    if used is not None:
        before = _list_of(state, _USED)
        changed |= _set_list(state, _USED, before, [*before, str(used)] if str(used) not in before else before)
    name = version.deployment if version else state.worker_deployment_name
    changed |= _set(state, _DEPLOYMENT, name)
    changed |= _set(state, _VERSION, str(version or ""))
    changed |= _set(state, _BEHAVIOR, _name_of(behavior))
    if changed:
        state.versioning_shown_event_id = event_id


def _build_id(stamp: WorkerVersionStamp) -> str:
    if not stamp.build_id:
        return _UNVERSIONED
    return f"{'versioned' if stamp.use_versioning else _UNVERSIONED}:{stamp.build_id}"


def _name_of(behavior: VersioningBehavior.ValueType) -> str:
    if behavior == versioning.UNSPECIFIED:
        return ""
    return "Pinned" if behavior == versioning.PINNED else "AutoUpgrade"


def _list_of(state: Execution, name: str) -> list[str]:
    fields = state.search_attributes.indexed_fields
    return list(msgspec.json.decode(fields[name].data)) if name in fields else []


def _set_list(state: Execution, name: str, before: Sequence[str], after: Sequence[str]) -> bool:
    values = list(after)
    while len(msgspec.json.encode(values)) > _VALUE_SIZE_MAX:
        # The first says what the run is now.
        del values[1 if len(values) > 1 else 0]
    if values == list(before):
        return False
    if values:
        payload = search_attributes.encode_value(values, search_attributes.KEYWORD_LIST)
        state.search_attributes.indexed_fields[name].CopyFrom(payload)
    else:
        del state.search_attributes.indexed_fields[name]
    return True


def _set(state: Execution, name: str, value: str) -> bool:
    fields = state.search_attributes.indexed_fields
    if not value:
        if name not in fields:
            return False
        del fields[name]
        return True
    payload = search_attributes.encode_value(value, search_attributes.KEYWORD)
    if name in fields and fields[name].data == payload.data:
        return False
    fields[name].CopyFrom(payload)
    return True


def _transition_started(state: Execution, change: TransitionStarted) -> None:
    if state.versioning is None:
        state.versioning = WorkflowExecutionVersioningInfo()
    transition = state.versioning.version_transition
    transition.Clear()
    transition.SetInParent()
    if change.build_id:
        transition.deployment_version.deployment_name = change.deployment
        transition.deployment_version.build_id = change.build_id
    state.versioning.revision_number = change.revision
    state.sticky_queue = ""
    state.sticky_timeout = 0


def _target_notified(state: Execution, change: TargetNotified) -> None:
    state.notified_target = change.target


AMEND = {TransitionStarted: _transition_started, TargetNotified: _target_notified}
