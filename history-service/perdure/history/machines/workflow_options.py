"""Options of a run that can be changed while it runs."""

from __future__ import annotations

from collections.abc import Collection

from temporalio.api.common.v1 import TimeSkippingConfig
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflow.v1 import WorkflowExecutionOptions

from perdure.history.effects import OfferWorkflowTask
from perdure.history.machines import workflow, workflow_task
from perdure.history.state.versioning import directive, normalised
from perdure.history.transition import Transition
from perdure.kernel.errors import InvalidArgument


def update(
    tx: Transition, given: WorkflowExecutionOptions, mask: Collection[str], identity: str
) -> WorkflowExecutionOptions:
    """Take over the options that the mask names. Returns all of them as they are now.

    Raises:
        NotFound: the run is closed.
        InvalidArgument: the mask names a part of what is changed as a whole.
    """
    state = tx.state
    if not state.running:
        raise workflow.already_completed()
    before, after = WorkflowExecutionOptions(), WorkflowExecutionOptions()
    if state.priority.ByteSize():
        before.priority.CopyFrom(state.priority)
    if state.versioning is not None and state.versioning.HasField("versioning_override"):
        before.versioning_override.CopyFrom(state.versioning.versioning_override)
    if state.time_skipping is not None and state.time_skipping.config is not None:
        before.time_skipping_config.CopyFrom(state.time_skipping.config)
    after.CopyFrom(before)
    for path in mask:
        _merge(after, given, path)
    # A fast-forward begins anew, also if it is the same.
    forward = "time_skipping_config" in mask and after.time_skipping_config.HasField("fast_forward_config")
    if after == before and not forward:
        return after
    skipping_changed = forward or _skipping(after) != _skipping(before)
    bound = directive(state.versioning)
    overridden = after.HasField("versioning_override")
    tx.arrive(
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED,
        versioning_override=after.versioning_override if overridden else None,
        unset_versioning_override=not overridden,
        identity=identity,
        priority=after.priority if after.HasField("priority") else None,
        time_skipping_config=_skipping(after),
        time_skipping_config_updated=skipping_changed,
    )
    if state.workflow_task is not None and not state.workflow_task.started_event_id:
        tx.effect(OfferWorkflowTask())
    if directive(state.versioning) != bound:
        workflow_task.offer_activities(tx)
    return after


def _skipping(options: WorkflowExecutionOptions) -> TimeSkippingConfig | None:
    return options.time_skipping_config if options.HasField("time_skipping_config") else None


def _merge(into: WorkflowExecutionOptions, given: WorkflowExecutionOptions, path: str) -> None:
    option, _, part = path.partition(".")
    if option == "versioning_override":
        if part:
            raise InvalidArgument("versioning_override doesn't support partial updates")
        if given.HasField("versioning_override"):
            into.versioning_override.CopyFrom(normalised(given.versioning_override))
        else:
            into.ClearField("versioning_override")
    if option == "time_skipping_config":
        if part:
            raise InvalidArgument("error applying update_options: time_skipping_config doesn't support partial update")
        if given.HasField("time_skipping_config"):
            into.time_skipping_config.CopyFrom(given.time_skipping_config)
        else:
            into.ClearField("time_skipping_config")
    if option == "priority":
        if part:
            setattr(into.priority, part, getattr(given.priority, part))
        elif given.HasField("priority"):
            into.priority.CopyFrom(given.priority)
        else:
            into.ClearField("priority")
