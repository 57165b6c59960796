"""The next run of a workflow: after continue-as-new, a retry, or a cron slot. Decides its first event's attributes."""

from __future__ import annotations

from dataclasses import dataclass

from temporalio.api.command.v1 import ContinueAsNewWorkflowExecutionCommandAttributes
from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import ContinueAsNewInitiator, TaskQueueKind
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import WorkflowExecutionStartedEventAttributes

from perdure.history.machines import time_skipping, versioning
from perdure.history.machines.retry import Retry
from perdure.history.transition import Transition
from perdure.kernel import cron
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.ids import RunId
from perdure.kernel.prototime import duration, length_ns, timestamp

#: A workflow that does nothing but continue as new does so at most once in this time.
MINIMUM_INTERVAL_NS = SECOND_NS


@dataclass(frozen=True, slots=True)
class Successor:
    """A run that is to be created together with the end of the one before it."""

    run_id: RunId
    attributes: WorkflowExecutionStartedEventAttributes


def after_completion(tx: Transition, result: Payloads | None) -> Successor | None:
    """The next cron run after a success, if the workflow has a schedule."""
    backoff = _cron_backoff(tx)
    if backoff is None:
        return None
    attributes = _carried_on(tx, ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_CRON_SCHEDULE, backoff)
    attributes.ClearField("continued_failure")
    if result is not None:
        attributes.last_completion_result.CopyFrom(result)
    else:
        attributes.ClearField("last_completion_result")
    return Successor(RunId(tx.entropy.uuid_at(tx.now)), attributes)


def after_failure(tx: Transition, retry: Retry, failure: Failure) -> Successor | None:
    """The next attempt, or else the next cron run, or else none."""
    if retry.again:
        attributes = _carried_on(tx, ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_RETRY, retry.interval)
        attributes.attempt = max(tx.state.started.attempt, 1) + 1
    else:
        backoff = _cron_backoff(tx)
        if backoff is None:
            return None
        attributes = _carried_on(tx, ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_CRON_SCHEDULE, backoff)
    attributes.continued_failure.CopyFrom(failure)
    return Successor(RunId(tx.entropy.uuid_at(tx.now)), attributes)


def continued(tx: Transition, command: ContinueAsNewWorkflowExecutionCommandAttributes) -> Successor:
    """The run that the workflow itself asks for."""
    attributes = WorkflowExecutionStartedEventAttributes()
    attributes.CopyFrom(tx.state.started)
    for name in ("input", "header", "retry_policy", "memo", "search_attributes", "continued_failure"):
        attributes.ClearField(name)
    attributes.ClearField("last_completion_result")
    if command.workflow_type.name:
        attributes.workflow_type.CopyFrom(command.workflow_type)
    if command.task_queue.name:
        attributes.task_queue.Clear()
        attributes.task_queue.name = command.task_queue.name
        attributes.task_queue.kind = TaskQueueKind.TASK_QUEUE_KIND_NORMAL
    if command.HasField("input"):
        attributes.input.CopyFrom(command.input)
    if command.HasField("header"):
        attributes.header.CopyFrom(command.header)
    if command.HasField("retry_policy"):
        attributes.retry_policy.CopyFrom(command.retry_policy)
    if command.HasField("last_completion_result"):
        attributes.last_completion_result.CopyFrom(command.last_completion_result)
    if tx.state.changed_priority is not None:
        attributes.priority.CopyFrom(tx.state.changed_priority)
    if command.HasField("memo"):
        attributes.memo.CopyFrom(command.memo)
    if command.HasField("search_attributes"):
        attributes.search_attributes.CopyFrom(command.search_attributes)
    if command.HasField("failure"):
        attributes.continued_failure.CopyFrom(command.failure)
    run_timeout = length_ns(command.workflow_run_timeout) or length_ns(attributes.workflow_run_timeout)
    attributes.workflow_run_timeout.CopyFrom(duration(run_timeout))
    if length_ns(command.workflow_task_timeout):
        attributes.workflow_task_timeout.CopyFrom(command.workflow_task_timeout)
    attributes.cron_schedule = command.cron_schedule or tx.state.started.cron_schedule
    attributes.attempt = 1
    initiator = command.initiator or ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_WORKFLOW
    backoff = _at_least_minimum(tx, length_ns(command.backoff_start_interval))
    return Successor(
        RunId(tx.entropy.uuid_at(tx.now)),
        _linked(tx, attributes, initiator, backoff, command.initial_versioning_behavior),
    )


def _carried_on(
    tx: Transition, initiator: ContinueAsNewInitiator.ValueType, backoff: int
) -> WorkflowExecutionStartedEventAttributes:
    attributes = WorkflowExecutionStartedEventAttributes()
    attributes.CopyFrom(tx.state.started)
    attributes.attempt = 1
    return _linked(tx, attributes, initiator, _at_least_minimum(tx, backoff))


def _linked(
    tx: Transition,
    attributes: WorkflowExecutionStartedEventAttributes,
    initiator: ContinueAsNewInitiator.ValueType,
    backoff: int,
    as_new_behavior: int = 0,
) -> WorkflowExecutionStartedEventAttributes:
    versioning.inherit(attributes, tx.state, initiator, as_new_behavior=as_new_behavior)
    attributes.continued_execution_run_id = tx.state.run_id
    attributes.first_execution_run_id = tx.state.first_run_id
    attributes.initiator = initiator
    attributes.first_workflow_task_backoff.CopyFrom(duration(backoff))
    # Also those that were attached while it ran.
    attributes.ClearField("completion_callbacks")
    attributes.completion_callbacks.extend(each.callback for each in tx.state.callbacks)
    attributes.ClearField("original_execution_run_id")
    attributes.ClearField("identity")
    attributes.ClearField("time_skipping_config")
    attributes.ClearField("time_skipping_state_propagation")
    config, ahead = time_skipping.carried_on(tx.state)
    if config is not None:
        attributes.time_skipping_config.CopyFrom(config)
    if ahead is not None:
        attributes.time_skipping_state_propagation.CopyFrom(ahead)
    attributes.prev_auto_reset_points.CopyFrom(tx.state.reset_points)
    expires_at = timestamp(tx.now + tx.namespace.retention_ns)
    for point in attributes.prev_auto_reset_points.points:
        if point.run_id == tx.state.run_id:
            point.expire_time.CopyFrom(expires_at)
    return attributes


def _at_least_minimum(tx: Transition, backoff: int) -> int:
    lifetime = tx.now - tx.state.execution_at
    if lifetime + backoff < MINIMUM_INTERVAL_NS:
        return MINIMUM_INTERVAL_NS - lifetime
    return backoff


def _cron_backoff(tx: Transition) -> int | None:
    schedule = tx.state.started.cron_schedule
    if not schedule:
        return None
    slot = cron.next_after(schedule, tx.now)
    if slot is None:
        return None
    expires_at = tx.state.execution_expires_at
    if expires_at and slot > expires_at:
        return None
    return slot - tx.now
