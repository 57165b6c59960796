"""PURE: commands that end the run."""

from __future__ import annotations

from temporalio.api.command.v1 import (
    CancelWorkflowExecutionCommandAttributes,
    CompleteWorkflowExecutionCommandAttributes,
    ContinueAsNewWorkflowExecutionCommandAttributes,
    FailWorkflowExecutionCommandAttributes,
)

from perdure.history.commands import checks
from perdure.history.commands.batch import Batch, Cause, CommandFailure
from perdure.history.machines import workflow
from perdure.history.transition import Transition
from perdure.kernel import options


def complete_workflow(tx: Transition, command: CompleteWorkflowExecutionCommandAttributes, batch: Batch) -> None:
    checks.check_size(
        tx,
        # The cause that Temporal's server gives here, odd as it is.
        Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SCHEDULE_ACTIVITY_ATTRIBUTES,
        "CompleteWorkflowExecutionCommandAttributes.Result",
        command.result.ByteSize(),
    )
    workflow.complete(tx, command, batch.completed_event_id)


def fail_workflow(tx: Transition, command: FailWorkflowExecutionCommandAttributes, batch: Batch) -> None:
    cause = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_FAIL_WORKFLOW_EXECUTION_ATTRIBUTES
    if not command.HasField("failure"):
        raise CommandFailure(cause, "Failure is not set on FailWorkflowExecutionCommand.")
    checks.check_size(tx, cause, "FailWorkflowExecutionCommandAttributes.Failure", command.failure.ByteSize())
    workflow.fail(tx, command, batch.completed_event_id)


def cancel_workflow(tx: Transition, command: CancelWorkflowExecutionCommandAttributes, batch: Batch) -> None:
    workflow.cancel(tx, command, batch.completed_event_id)


def continue_as_new(tx: Transition, command: ContinueAsNewWorkflowExecutionCommandAttributes, batch: Batch) -> None:
    cause = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_CONTINUE_AS_NEW_ATTRIBUTES
    name = "ContinueAsNewWorkflowExecutionCommand"
    checks.check_length(cause, "WorkflowType", name, command.workflow_type.name, tx)
    where = checks.shown_queue(
        f"WorkflowType={command.workflow_type.name or tx.state.started.workflow_type.name}",
        command.task_queue.name or tx.state.task_queue,
    )
    if command.task_queue.name:
        checks.check_option(
            cause,
            lambda: options.check_task_queue_name(command.task_queue.name, tx.limits, partition=False),
            before=f"error validating {name} TaskQueue: ",
            after=f". {where}",
        )
    checks.check_durations(
        cause,
        command,
        ("workflow_run_timeout", "workflow_task_timeout", "backoff_start_interval"),
        f"Invalid {{}} on {name}: ",
        f". {where}",
    )
    if command.HasField("retry_policy"):
        checks.check_option(
            cause,
            options.check_retry_policy,
            command.retry_policy,
            before=f"invalid WorkflowRetryPolicy on {name}: ",
            after=f". {where}",
        )
    checks.check_size(tx, cause, "ContinueAsNewWorkflowExecutionCommandAttributes. Input", command.input.ByteSize())
    checks.check_memo(
        tx, cause, "ContinueAsNewWorkflowExecutionCommandAttributes. Memo exceeds size limit.", command.memo
    )
    checks.check_search_attributes(tx, tx.namespace, command.search_attributes)
    checks.check_search_attribute_sizes(tx, cause, command.search_attributes)
    workflow.continue_as_new(tx, command, batch.completed_event_id)
