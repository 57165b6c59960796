"""Which version of its workers a run goes on with: transitions from one to another, and what its next runs inherit."""

from __future__ import annotations

from enum import Enum, auto

from temporalio.api.enums.v1 import ContinueAsNewInitiator
from temporalio.api.history.v1 import WorkflowExecutionStartedEventAttributes

from perdure.history.effects import OfferWorkflowTask
from perdure.history.machines import workflow_task
from perdure.history.state import versioning
from perdure.history.state.changes import TargetNotified, TransitionStarted
from perdure.history.state.execution import Execution, WorkflowTask, WorkflowTaskType
from perdure.history.transition import Transition
from perdure.kernel.deployments.records import UNVERSIONED, VersionId, parse_version

_INHERITED = (
    "versioning_override",
    "inherited_pinned_version",
    "inherited_auto_upgrade_info",
    "declined_target_version_upgrade",
)


class ActivityStart(Enum):
    """What to do with an activity task that a worker of some version wants to start."""

    #: It is his.
    NOW = auto()
    #: It waits until a workflow task has brought the run to another version.
    LATER = auto()
    #: It belongs to other workers.
    ELSEWHERE = auto()
    #: The run has to come to his version first.
    TRANSITION = auto()


def wants_other_worker(state: Execution, worker: VersionId | None) -> bool:
    """Whether a workflow task is not for workers of this version: its run is pinned to another one."""
    info = state.versioning
    return versioning.behavior(info) == versioning.PINNED and versioning.version(info) != worker


def activity_start(
    state: Execution, worker: VersionId | None, target: VersionId | None, *, version_has_queue: bool
) -> ActivityStart:
    """`target` is where the queue of the run's workflow tasks sends it now; `version_has_queue` says of the run's own
    version whether its workers poll the activity's queue.
    """
    info = state.versioning
    if versioning.in_transition(info):
        return ActivityStart.LATER
    if worker == versioning.version(info):
        return ActivityStart.NOW
    if versioning.behavior(info) == versioning.PINNED:
        # Activities on queues that the version has nothing to do with are nobody's business.
        return ActivityStart.ELSEWHERE if version_has_queue else ActivityStart.NOW
    return ActivityStart.TRANSITION if worker == target else ActivityStart.NOW


def target_changed(state: Execution, target: VersionId | None) -> bool:
    """Whether the worker of a run that stays with its version is to know that the queue goes to another one. Not if an
    operator has decided on the version, nor if the run before has gone on without that other version.
    """
    info, started = state.versioning, state.started
    if info is None or info.HasField("versioning_override") or versioning.behavior(info) != versioning.PINNED:
        return False
    if target == versioning.version(info):
        return False
    declined = started.declined_target_version_upgrade.deployment_version
    return not started.HasField("declined_target_version_upgrade") or versioning.id_of(declined) != target


def task_started(
    tx: Transition, task: WorkflowTask, worker: VersionId | None, target: VersionId | None, revision: int
) -> None:
    """A worker of this version has the workflow task: the run comes to that version, if it is of another one."""
    notified = str(target or "") if task.version_changed else None
    if notified != tx.state.notified_target:
        tx.change(TargetNotified(notified))
    if task.type is not WorkflowTaskType.SPECULATIVE and worker != versioning.version(tx.state.versioning):
        _start_transition(tx, worker, revision)


def follow_activity(tx: Transition, worker: VersionId | None, revision: int) -> None:
    """An activity is ahead of its run: a workflow task is to bring the run to the activity's version."""
    _start_transition(tx, worker, revision)
    task = tx.state.workflow_task
    if task is None:
        workflow_task.schedule(tx)
    elif not task.started_event_id:
        tx.effect(OfferWorkflowTask())


def _start_transition(tx: Transition, worker: VersionId | None, revision: int) -> None:
    name, build_id = worker or ("", "")
    tx.change(TransitionStarted(name, build_id, revision if worker else 0))


def inherit(
    attributes: WorkflowExecutionStartedEventAttributes,
    state: Execution,
    initiator: ContinueAsNewInitiator.ValueType,
    *,
    as_new_behavior: int = 0,
) -> None:
    """What the next run of the same workflow has from this one.

    Cron runs inherit no version, and retries only what their run has inherited itself. A run that continues on another
    queue inherits nothing. `as_new_behavior` is what continue-as-new asks for.
    """
    for name in _INHERITED:
        attributes.ClearField(name)  # type: ignore[arg-type]
    info = state.versioning
    if info is None or attributes.task_queue.name != state.task_queue:
        return
    behavior, version = versioning.behavior(info), versioning.version(info)
    if info.versioning_override.HasField("pinned"):
        attributes.versioning_override.CopyFrom(info.versioning_override)
    message = versioning.message_of(version)
    if initiator == ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_CRON_SCHEDULE or message is None:
        return
    is_retry = initiator == ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_RETRY
    if behavior == versioning.PINNED and not as_new_behavior:
        if not is_retry or state.started.HasField("inherited_pinned_version"):
            attributes.inherited_pinned_version.CopyFrom(message)
            if state.notified_target is not None:
                attributes.declined_target_version_upgrade.SetInParent()
                if target := versioning.message_of(parse_version(state.notified_target or UNVERSIONED)):
                    attributes.declined_target_version_upgrade.deployment_version.CopyFrom(target)
    elif behavior != versioning.UNSPECIFIED and info.revision_number:
        inherited = attributes.inherited_auto_upgrade_info
        inherited.source_deployment_version.CopyFrom(message)
        inherited.source_deployment_revision_number = info.revision_number
        kept = info.continue_as_new_initial_versioning_behavior if is_retry else as_new_behavior
        inherited.continue_as_new_initial_versioning_behavior = kept  # type: ignore[assignment]
