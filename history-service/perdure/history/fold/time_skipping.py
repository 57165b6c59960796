"""Runs whose clock runs ahead: what they are told of that, and each skip."""

from __future__ import annotations

from temporalio.api.common.v1 import TimeSkippingConfig
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import (
    HistoryEvent,
    WorkflowExecutionOptionsUpdatedEventAttributes,
    WorkflowExecutionStartedEventAttributes,
)

from perdure.history.state.execution import Execution
from perdure.history.state.time_skipping import TimeSkipping
from perdure.kernel.prototime import instant_ns, length_ns


def started(state: Execution, attributes: WorkflowExecutionStartedEventAttributes, at: int) -> None:
    """A run begins, perhaps as far ahead as the one before it or its parent."""
    inherited = attributes.time_skipping_state_propagation
    ahead = length_ns(inherited.initial_skipped_duration)
    if not ahead and not attributes.HasField("time_skipping_config"):
        return
    skipping = state.time_skipping = TimeSkipping(skipped=ahead, skips=inherited.initial_skip_count)
    if attributes.HasField("time_skipping_config"):
        _configure(skipping, attributes.time_skipping_config, at, instant_ns(inherited.fast_forward_target_time))


def options_updated(state: Execution, attributes: WorkflowExecutionOptionsUpdatedEventAttributes, at: int) -> None:
    if not attributes.time_skipping_config_updated:
        return
    if state.time_skipping is None:
        if not attributes.HasField("time_skipping_config"):
            return
        state.time_skipping = TimeSkipping()
    skipping = state.time_skipping
    skipping.config, skipping.skips, skipping.target, skipping.reached = None, 0, 0, False
    if attributes.HasField("time_skipping_config"):
        _configure(skipping, attributes.time_skipping_config, at)


def _configure(skipping: TimeSkipping, config: TimeSkippingConfig, at: int, target: int = 0) -> None:
    """`target` is that of a fast-forward that an earlier run began."""
    # A copy: it changes, and what the event says does not.
    skipping.config = TimeSkippingConfig()
    skipping.config.CopyFrom(config)
    if not config.HasField("fast_forward_config"):
        return
    skipping.target = target or at + length_ns(config.fast_forward_config.duration)
    if skipping.target <= at:
        skipping.reached = True
        skipping.config.enabled = False


def _transitioned(state: Execution, event: HistoryEvent) -> None:
    attributes = event.workflow_execution_time_skipping_transitioned_event_attributes
    skipping = state.time_skipping
    assert skipping is not None and skipping.config is not None
    if attributes.HasField("target_time"):
        skipping.skipped += instant_ns(attributes.target_time) - instant_ns(event.event_time)
    if attributes.disabled_after_fast_forward and skipping.target:
        skipping.reached = True
        skipping.config.enabled = False
    skipping.skips += 1
    if skipping.skips >= skipping.config.max_session_skip_count:
        skipping.config.enabled = False


EVOLVE = {EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIME_SKIPPING_TRANSITIONED: _transitioned}
