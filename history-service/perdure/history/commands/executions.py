"""PURE: commands about other executions: children, signals and cancel requests."""

from __future__ import annotations

from temporalio.api.command.v1 import (
    RequestCancelExternalWorkflowExecutionCommandAttributes,
    SignalExternalWorkflowExecutionCommandAttributes,
    StartChildWorkflowExecutionCommandAttributes,
)
from temporalio.api.enums.v1 import EventType, ParentClosePolicy, TaskQueueKind, WorkflowIdReusePolicy

from perdure.history.commands import checks
from perdure.history.commands.batch import Batch, Cause, CommandFailure
from perdure.history.effects import SendCancel, SendSignal, StartChild
from perdure.history.machines import time_skipping
from perdure.history.transition import Transition
from perdure.kernel import options
from perdure.kernel.namespace import Namespace
from perdure.kernel.prototime import duration, length_ns


def start_child(tx: Transition, command: StartChildWorkflowExecutionCommandAttributes, batch: Batch) -> None:
    cause = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_START_CHILD_EXECUTION_ATTRIBUTES
    namespace = checks.namespace(tx, batch, command.namespace, cause)
    _check_child(tx, command, namespace)
    execution_timeout = length_ns(command.workflow_execution_timeout)
    run_timeout = length_ns(command.workflow_run_timeout)
    run_timeout = min(run_timeout or execution_timeout, execution_timeout or run_timeout)
    task_timeout = length_ns(command.workflow_task_timeout) or tx.limits.workflow_task_timeout_default_ns
    config, ahead = time_skipping.handed_down(tx.state)
    event = tx.record(
        EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED,
        namespace=namespace.name,
        namespace_id=namespace.id,
        workflow_id=command.workflow_id,
        workflow_type=command.workflow_type,
        task_queue={
            "name": command.task_queue.name or tx.state.task_queue,
            "kind": command.task_queue.kind or TaskQueueKind.TASK_QUEUE_KIND_NORMAL,
        },
        input=command.input if command.HasField("input") else None,
        workflow_execution_timeout=duration(execution_timeout) if execution_timeout else None,
        workflow_run_timeout=duration(run_timeout),
        workflow_task_timeout=duration(
            min(task_timeout, tx.limits.workflow_task_timeout_max_ns, run_timeout or task_timeout)
        ),
        parent_close_policy=command.parent_close_policy or ParentClosePolicy.PARENT_CLOSE_POLICY_TERMINATE,
        control=command.control,
        workflow_task_completed_event_id=batch.completed_event_id,
        workflow_id_reuse_policy=(
            command.workflow_id_reuse_policy or WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
        ),
        retry_policy=command.retry_policy if command.HasField("retry_policy") else None,
        cron_schedule=command.cron_schedule,
        header=command.header if command.HasField("header") else None,
        memo=command.memo if command.HasField("memo") else None,
        search_attributes=command.search_attributes if command.HasField("search_attributes") else None,
        inherit_build_id=command.inherit_build_id,
        priority=command.priority if command.HasField("priority") else None,
        time_skipping_config=config,
        time_skipping_state_propagation=ahead,
    )
    batch.children.add(command.workflow_id)
    tx.effect(StartChild(event.event_id))


def _check_child(tx: Transition, command: StartChildWorkflowExecutionCommandAttributes, namespace: Namespace) -> None:
    cause = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_START_CHILD_EXECUTION_ATTRIBUTES
    name = "StartChildWorkflowExecutionCommand"
    workflow_type = command.workflow_type.name
    where = f"Namespace={namespace.name}"
    if not command.workflow_id:
        raise CommandFailure(
            cause, f"Required field WorkflowId is not set on {name}. WorkflowType={workflow_type} {where}"
        )
    if not workflow_type:
        raise CommandFailure(
            cause, f"Required field WorkflowType is not set on {name}. WorkflowId={command.workflow_id} {where}"
        )
    checks.check_length(cause, "WorkflowId", name, command.workflow_id, tx, f" WorkflowType={workflow_type} {where}")
    if (length := len(workflow_type.encode())) > tx.limits.id_length_max:
        raise CommandFailure(
            cause,
            f"WorkflowType on {name} exceeds length limit. WorkflowId={command.workflow_id} "
            f"WorkflowType={workflow_type} Length={length} Limit={tx.limits.id_length_max} {where}",
        )
    about = f". WorkflowId={command.workflow_id} WorkflowType={workflow_type} {where}"
    checks.check_durations(
        cause,
        command,
        ("workflow_execution_timeout", "workflow_run_timeout", "workflow_task_timeout"),
        f"Invalid {{}} on {name}: ",
        about,
    )
    if command.HasField("retry_policy"):
        checks.check_option(
            cause,
            options.check_retry_policy,
            command.retry_policy,
            before=f"invalid WorkflowRetryPolicy on {name}: ",
            after=about,
        )
    checks.check_cron(cause, name, command.cron_schedule, about)
    checks.check_option(cause, options.check_priority, command.priority)
    if command.task_queue.name:
        checks.check_option(
            cause,
            lambda: options.check_task_queue_name(command.task_queue.name, tx.limits, partition=False),
            before=f"invalid TaskQueue on {name}: ",
            after=checks.shown_queue(about, command.task_queue.name),
        )
    checks.check_size(tx, cause, "StartChildWorkflowExecutionCommandAttributes. Input", command.input.ByteSize())
    checks.check_memo(tx, cause, "StartChildWorkflowExecutionCommandAttributes.Memo exceeds size limit.", command.memo)
    checks.check_search_attributes(tx, namespace, command.search_attributes)
    checks.check_search_attribute_sizes(tx, cause, command.search_attributes)
    limit = tx.limits.pending_children_max
    if limit and len(tx.state.children) >= limit:
        raise CommandFailure(
            Cause.WORKFLOW_TASK_FAILED_CAUSE_PENDING_CHILD_WORKFLOWS_LIMIT_EXCEEDED,
            f"the number of pending child workflow executions, {len(tx.state.children)}, has reached the per-workflow "
            f"limit of {limit}",
        )


def signal_external(tx: Transition, command: SignalExternalWorkflowExecutionCommandAttributes, batch: Batch) -> None:
    cause = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SIGNAL_WORKFLOW_EXECUTION_ATTRIBUTES
    name = "SignalExternalWorkflowExecutionCommand"
    namespace = checks.namespace(tx, batch, command.namespace, cause)
    if not command.HasField("execution"):
        raise CommandFailure(cause, f"Execution is not set on {name}.")
    workflow_id, run_id, signal = command.execution.workflow_id, command.execution.run_id, command.signal_name
    where = f" Namespace={command.namespace} RunId={run_id} SignalName={signal}"
    checks.check_id(cause, "WorkflowId", name, workflow_id, tx, where)
    if not checks.is_run_id(run_id):
        raise CommandFailure(
            cause,
            f"Invalid RunId set on {name}. WorkflowId={workflow_id} Namespace={command.namespace} RunId={run_id} "
            f"SignalName={signal}",
        )
    if not signal:
        raise CommandFailure(
            cause,
            f"SignalName is not set on {name}. WorkflowId={workflow_id} Namespace={command.namespace} RunId={run_id}",
        )
    checks.check_size(
        tx,
        Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SIGNAL_INPUT_SIZE,
        "SignalExternalWorkflowExecutionCommandAttributes.Input",
        command.input.ByteSize(),
    )
    limit = tx.limits.pending_signals_max
    if limit and len(tx.state.signals_out) >= limit:
        raise CommandFailure(
            Cause.WORKFLOW_TASK_FAILED_CAUSE_PENDING_SIGNALS_LIMIT_EXCEEDED,
            f"the number of pending signals to external workflows, {len(tx.state.signals_out)}, has reached the "
            f"per-workflow limit of {limit}",
        )
    event = tx.record(
        EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED,
        workflow_task_completed_event_id=batch.completed_event_id,
        namespace=command.namespace,
        namespace_id=namespace.id,
        workflow_execution=command.execution,
        signal_name=command.signal_name,
        input=command.input if command.HasField("input") else None,
        control=command.control,
        child_workflow_only=command.child_workflow_only,
        header=command.header if command.HasField("header") else None,
    )
    tx.effect(SendSignal(event.event_id))


def cancel_external(
    tx: Transition, command: RequestCancelExternalWorkflowExecutionCommandAttributes, batch: Batch
) -> None:
    cause = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_ATTRIBUTES
    name = "RequestCancelExternalWorkflowExecutionCommand"
    namespace = checks.namespace(tx, batch, command.namespace, cause)
    where = f" RunId={command.run_id} Namespace={command.namespace}"
    if not command.workflow_id:
        raise CommandFailure(
            cause, f"WorkflowId is not set on {name}. Namespace={command.namespace} RunId={command.run_id}"
        )
    checks.check_length(cause, "WorkflowId", name, command.workflow_id, tx, where)
    if not checks.is_run_id(command.run_id):
        raise CommandFailure(cause, f"Invalid RunId set on {name}. WorkflowId={command.workflow_id}{where}")
    if command.workflow_id in batch.children:
        raise CommandFailure(
            cause,
            "Start and RequestCancel for child workflow is not allowed in same workflow task. "
            f"WorkflowId={command.workflow_id} RunId={command.run_id} Namespace={command.namespace}",
        )
    limit = tx.limits.pending_cancels_max
    if limit and len(tx.state.cancels_out) >= limit:
        raise CommandFailure(
            Cause.WORKFLOW_TASK_FAILED_CAUSE_PENDING_REQUEST_CANCEL_LIMIT_EXCEEDED,
            f"the number of pending requests to cancel external workflows, {len(tx.state.cancels_out)}, has reached "
            f"the per-workflow limit of {limit}",
        )
    event = tx.record(
        EventType.EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED,
        workflow_task_completed_event_id=batch.completed_event_id,
        namespace=command.namespace,
        namespace_id=namespace.id,
        workflow_execution={"workflow_id": command.workflow_id, "run_id": command.run_id},
        control=command.control,
        child_workflow_only=command.child_workflow_only,
        reason=command.reason,
    )
    tx.effect(SendCancel(event.event_id))
