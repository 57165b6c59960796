"""PURE: what the commands of a completed workflow task do, one function per command type."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from temporalio.api.command.v1 import (
    CancelTimerCommandAttributes,
    CancelWorkflowExecutionCommandAttributes,
    Command,
    CompleteWorkflowExecutionCommandAttributes,
    ContinueAsNewWorkflowExecutionCommandAttributes,
    FailWorkflowExecutionCommandAttributes,
    ModifyWorkflowPropertiesCommandAttributes,
    ProtocolMessageCommandAttributes,
    RecordMarkerCommandAttributes,
    RequestCancelActivityTaskCommandAttributes,
    RequestCancelExternalWorkflowExecutionCommandAttributes,
    ScheduleActivityTaskCommandAttributes,
    SignalExternalWorkflowExecutionCommandAttributes,
    StartChildWorkflowExecutionCommandAttributes,
    StartTimerCommandAttributes,
    UpsertWorkflowSearchAttributesCommandAttributes,
)
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.enums.v1 import (
    CommandType,
    EventType,
    ParentClosePolicy,
    TaskQueueKind,
    WorkflowIdReusePolicy,
    WorkflowTaskFailedCause,
)
from temporalio.api.protocol.v1 import Message

from perdure.history.effects import OfferActivityTask, SendCancel, SendSignal, StartChild
from perdure.history.machines import activity, update, workflow
from perdure.history.machines.retry import with_defaults
from perdure.history.state.changes import BufferedTimerDropped
from perdure.history.transition import Transition
from perdure.kernel import cron
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.namespace import Namespace
from perdure.kernel.prototime import duration, length_ns
from perdure.kernel.visibility import attributes as search_attributes

Cause = WorkflowTaskFailedCause

#: No timer or time-out is longer than this, so that arithmetic on instants cannot overflow.
_DURATION_MAX_NS = 100 * 365 * 86_400 * SECOND_NS


class CommandFailure(Exception):
    """A command cannot be carried out: the workflow task fails with this cause, or the whole run is terminated."""

    def __init__(self, cause: Cause.ValueType, message: str, *, terminate: bool = False) -> None:
        name = camel_case(Cause.Name(cause).removeprefix("WORKFLOW_TASK_FAILED_CAUSE_"))
        super().__init__(f"{name}: {message}" if message else name)
        self.cause = cause
        self.terminate = terminate


@dataclass(slots=True)
class Batch:
    """The commands of one workflow task, and what they have led to so far."""

    completed_event_id: int
    identity: str
    #: Namespaces that commands name, by name; resolved beforehand.
    namespaces: Mapping[str, Namespace]
    messages: dict[str, Message]
    #: Activities that the worker wants to run itself, by scheduled event id.
    eager: list[int] = field(default_factory=list)
    #: An activity was cancelled before it started: the workflow has to be told.
    wants_task: bool = False
    children: set[str] = field(default_factory=set)


_CLOSING = frozenset(
    {
        CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION,
        CommandType.COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION,
        CommandType.COMMAND_TYPE_CANCEL_WORKFLOW_EXECUTION,
        CommandType.COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION,
    }
)


def check_sequence(commands: Sequence[Command]) -> None:
    """A command that ends the run is the last one.

    Raises:
        InvalidArgument: it is not, or a command is of no known type.
    """
    for index, command in enumerate(commands):
        if command.command_type not in COMMANDS:
            raise InvalidArgument(f"unknown command type: {_type_name(command)}")
        if command.command_type in _CLOSING and index != len(commands) - 1:
            names = ", ".join(_type_name(each) for each in commands)
            raise InvalidArgument(
                f"invalid command sequence: [{names}], command {_type_name(command)} must be the last command."
            )


def _type_name(command: Command) -> str:
    try:
        name = CommandType.Name(command.command_type)
    except ValueError:
        return str(command.command_type)
    return camel_case(name.removeprefix("COMMAND_TYPE_"))


def camel_case(name: str) -> str:
    """An enum value's name as messages spell it: START_TIMER is StartTimer."""
    return "".join(word.capitalize() for word in name.split("_"))


def apply(tx: Transition, commands: Sequence[Command], batch: Batch) -> None:
    """Carry the commands out in order, then the messages that no command placed.

    Raises:
        CommandFailure: one of them cannot be carried out.
    """
    for command in commands:
        name, carry_out = COMMANDS[command.command_type]
        if command.command_type in _CLOSING and tx.state.buffered:
            raise CommandFailure(Cause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND, "")
        tx.user_metadata = command.user_metadata if command.HasField("user_metadata") else None
        if not command.HasField(name):  # type: ignore[arg-type]
            raise _attributes_missing(command)
        carry_out(tx, getattr(command, name), batch)
    tx.user_metadata = None
    for message in list(batch.messages.values()):
        _receive(tx, message)


def _attributes_missing(command: Command) -> CommandFailure:
    name = _type_name(command)
    return CommandFailure(
        _BAD_ATTRIBUTES[command.command_type], f"{name}CommandAttributes is not set on {name}Command."
    )


def _check_id(cause: Cause.ValueType, what: str, command: str, value: str, tx: Transition, context: str = "") -> None:
    if not value:
        raise CommandFailure(cause, f"{what} is not set on {command}.{context}")
    _check_length(cause, what, command, value, tx, context)


def _check_length(
    cause: Cause.ValueType, what: str, command: str, value: str, tx: Transition, context: str = ""
) -> None:
    length = len(value.encode())
    if length > tx.limits.id_length_max:
        raise CommandFailure(
            cause,
            f"{what} on {command} exceeds length limit. {what}={value} Length={length} "
            f"Limit={tx.limits.id_length_max}{context}",
        )


def _check_durations(cause: Cause.ValueType, command: str, message: Any, *names: str) -> None:
    for name in names:
        value = length_ns(getattr(message, name))
        if value < 0:
            label = "".join(word.capitalize() for word in name.split("_"))
            raise CommandFailure(cause, f"An invalid {label} is set on {command}: negative duration.")
        if value > _DURATION_MAX_NS:
            getattr(message, name).CopyFrom(duration(_DURATION_MAX_NS))


def _check_size(tx: Transition, cause: Cause.ValueType, what: str, size: int) -> None:
    if size > tx.limits.blob_size_max:
        raise CommandFailure(cause, f"{what} exceeds size limit.", terminate=True)


def _schedule_activity(tx: Transition, command: ScheduleActivityTaskCommandAttributes, batch: Batch) -> None:
    cause = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SCHEDULE_ACTIVITY_ATTRIBUTES
    for what, value in (("activityId", command.activity_id), ("activityType", command.activity_type.name)):
        if not value:
            raise CommandFailure(cause, f"{what} is not set")
        if (length := len(value.encode())) > tx.limits.id_length_max:
            raise CommandFailure(cause, f"{what} exceeds length limit. Length={length} Limit={tx.limits.id_length_max}")
    _check_durations(
        cause,
        "ScheduleActivityTaskCommand",
        command,
        "schedule_to_close_timeout",
        "schedule_to_start_timeout",
        "start_to_close_timeout",
        "heartbeat_timeout",
    )
    _check_size(tx, cause, "ScheduleActivityTaskCommandAttributes.Input", command.input.ByteSize())
    limit = tx.limits.pending_activities_max
    if limit and len(tx.state.activities) >= limit:
        raise CommandFailure(
            Cause.WORKFLOW_TASK_FAILED_CAUSE_PENDING_ACTIVITIES_LIMIT_EXCEEDED,
            f"the number of pending activities, {len(tx.state.activities)}, has reached the per-workflow limit of {limit}",
        )
    if command.activity_id in tx.state.activity_ids:
        raise CommandFailure(
            Cause.WORKFLOW_TASK_FAILED_CAUSE_SCHEDULE_ACTIVITY_DUPLICATE_ID,
            f"activity ID {command.activity_id} is in use by a pending activity",
        )
    event = tx.record(
        EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
        activity_id=command.activity_id,
        activity_type=command.activity_type,
        task_queue={
            "name": command.task_queue.name or tx.state.task_queue,
            "kind": command.task_queue.kind or TaskQueueKind.TASK_QUEUE_KIND_NORMAL,
        },
        header=command.header if command.HasField("header") else None,
        input=command.input if command.HasField("input") else None,
        workflow_task_completed_event_id=batch.completed_event_id,
        retry_policy=with_defaults(command.retry_policy),
        use_workflow_build_id=command.use_workflow_build_id,
        priority=command.priority if command.HasField("priority") else None,
        **_activity_timeouts(tx, command),
    )
    if command.request_eager_execution:
        batch.eager.append(event.event_id)
    else:
        tx.effect(OfferActivityTask(event.event_id))


def _activity_timeouts(tx: Transition, command: ScheduleActivityTaskCommandAttributes) -> dict[str, Any]:
    """The four time-outs, completed from each other and capped by the run's, as the history shows them."""
    to_close = length_ns(command.schedule_to_close_timeout)
    to_start = length_ns(command.schedule_to_start_timeout)
    start_to_close = length_ns(command.start_to_close_timeout)
    heartbeat = length_ns(command.heartbeat_timeout)
    run_timeout = length_ns(tx.state.started.workflow_run_timeout)
    if to_close:
        to_start = min(to_start or to_close, to_close)
        start_to_close = min(start_to_close or to_close, to_close)
    elif start_to_close:
        # No schedule-to-close given: as long as the run itself, for ever if that has no limit.
        to_close = run_timeout
        to_start = to_start or run_timeout
    else:
        raise CommandFailure(
            Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SCHEDULE_ACTIVITY_ATTRIBUTES,
            "A valid StartToClose or ScheduleToCloseTimeout is not set on ScheduleActivityTaskCommand. "
            f"ActivityId={command.activity_id} ActivityType={command.activity_type.name}",
        )
    if run_timeout:
        to_close, to_start, start_to_close, heartbeat = (
            min(value, run_timeout) for value in (to_close, to_start, start_to_close, heartbeat)
        )
    heartbeat = min(heartbeat, start_to_close)
    return {
        "schedule_to_close_timeout": duration(to_close),
        "schedule_to_start_timeout": duration(to_start),
        "start_to_close_timeout": duration(start_to_close),
        "heartbeat_timeout": duration(heartbeat),
    }


def _cancel_activity(tx: Transition, command: RequestCancelActivityTaskCommandAttributes, batch: Batch) -> None:
    cause = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_REQUEST_CANCEL_ACTIVITY_ATTRIBUTES
    scheduled_event_id = command.scheduled_event_id
    if scheduled_event_id <= 0:
        raise CommandFailure(cause, "ScheduledEventId is not set on RequestCancelActivityTaskCommand.")
    pending = tx.state.activities.get(scheduled_event_id)
    if pending is None and not _outcome_is_buffered(tx, scheduled_event_id):
        raise _bad_cancellation(scheduled_event_id)
    if pending is not None and pending.cancel_requested:
        raise _bad_cancellation(scheduled_event_id)
    tx.record(
        EventType.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED,
        scheduled_event_id=scheduled_event_id,
        workflow_task_completed_event_id=batch.completed_event_id,
    )
    if pending is not None and not pending.started:
        details = Payloads(payloads=[Payload(metadata={"encoding": b"json/plain"}, data=b'"ACTIVITY_ID_NOT_STARTED"')])
        activity.cancel_now(tx, pending, details, batch.identity)
        batch.wants_task = True


def _bad_cancellation(scheduled_event_id: int) -> CommandFailure:
    return CommandFailure(
        Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_REQUEST_CANCEL_ACTIVITY_ATTRIBUTES,
        "invalid history builder state for action: add-activitytask-cancel-requested-event, ScheduledEventID: "
        f"{scheduled_event_id}",
    )


def _outcome_is_buffered(tx: Transition, scheduled_event_id: int) -> bool:
    return any(
        event.event_type in _ACTIVITY_OUTCOMES
        and getattr(event, _ACTIVITY_OUTCOMES[event.event_type]).scheduled_event_id == scheduled_event_id
        for event in tx.state.buffered
    )


_ACTIVITY_OUTCOMES = {
    EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED: "activity_task_completed_event_attributes",
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED: "activity_task_failed_event_attributes",
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT: "activity_task_timed_out_event_attributes",
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED: "activity_task_canceled_event_attributes",
}


def _start_timer(tx: Transition, command: StartTimerCommandAttributes, batch: Batch) -> None:
    cause = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_START_TIMER_ATTRIBUTES
    _check_id(cause, "TimerId", "StartTimerCommand", command.timer_id, tx)
    _check_durations(cause, "StartTimerCommand", command, "start_to_fire_timeout")
    if command.timer_id in tx.state.timers:
        raise CommandFailure(
            Cause.WORKFLOW_TASK_FAILED_CAUSE_START_TIMER_DUPLICATE_ID, f"timer ID {command.timer_id} is in use"
        )
    tx.record(
        EventType.EVENT_TYPE_TIMER_STARTED,
        timer_id=command.timer_id,
        start_to_fire_timeout=command.start_to_fire_timeout,
        workflow_task_completed_event_id=batch.completed_event_id,
    )


def _cancel_timer(tx: Transition, command: CancelTimerCommandAttributes, batch: Batch) -> None:
    cause = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_CANCEL_TIMER_ATTRIBUTES
    _check_id(cause, "TimerId", "CancelTimerCommand", command.timer_id, tx)
    timer = tx.state.timers.get(command.timer_id)
    if timer is not None:
        started_event_id = timer.started_event_id
    else:
        started_event_id = _take_back_fired(tx, command.timer_id)
        if not started_event_id:
            raise CommandFailure(cause, f"timer ID {command.timer_id} is not running")
    tx.record(
        EventType.EVENT_TYPE_TIMER_CANCELED,
        timer_id=command.timer_id,
        started_event_id=started_event_id,
        workflow_task_completed_event_id=batch.completed_event_id,
        identity=batch.identity,
    )


def _take_back_fired(tx: Transition, timer_id: str) -> int:
    """The workflow cancels a timer that has fired behind its back: for the workflow it never fired."""
    for event in tx.state.buffered:
        fired = event.timer_fired_event_attributes
        if event.event_type == EventType.EVENT_TYPE_TIMER_FIRED and fired.timer_id == timer_id:
            tx.change(BufferedTimerDropped(timer_id))
            return fired.started_event_id
    return 0


def _complete_workflow(tx: Transition, command: CompleteWorkflowExecutionCommandAttributes, batch: Batch) -> None:
    _check_size(
        tx,
        # The cause that Temporal's server gives here, odd as it is.
        Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SCHEDULE_ACTIVITY_ATTRIBUTES,
        "CompleteWorkflowExecutionCommandAttributes.Result",
        command.result.ByteSize(),
    )
    workflow.complete(tx, command, batch.completed_event_id)


def _fail_workflow(tx: Transition, command: FailWorkflowExecutionCommandAttributes, batch: Batch) -> None:
    cause = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_FAIL_WORKFLOW_EXECUTION_ATTRIBUTES
    if not command.HasField("failure"):
        raise CommandFailure(cause, "Failure is not set on FailWorkflowExecutionCommand.")
    _check_size(tx, cause, "FailWorkflowExecutionCommandAttributes.Failure", command.failure.ByteSize())
    workflow.fail(tx, command, batch.completed_event_id)


def _cancel_workflow(tx: Transition, command: CancelWorkflowExecutionCommandAttributes, batch: Batch) -> None:
    workflow.cancel(tx, command, batch.completed_event_id)


def _continue_as_new(tx: Transition, command: ContinueAsNewWorkflowExecutionCommandAttributes, batch: Batch) -> None:
    cause = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_CONTINUE_AS_NEW_ATTRIBUTES
    name = "ContinueAsNewWorkflowExecutionCommand"
    _check_length(cause, "WorkflowType", name, command.workflow_type.name, tx)
    _check_durations(cause, name, command, "workflow_run_timeout", "workflow_task_timeout", "backoff_start_interval")
    _check_cron(cause, name, command.cron_schedule)
    _check_size(tx, cause, "ContinueAsNewWorkflowExecutionCommandAttributes. Input", command.input.ByteSize())
    _check_search_attributes(tx, tx.namespace, command.search_attributes)
    workflow.continue_as_new(tx, command, batch.completed_event_id)


def _check_cron(cause: Cause.ValueType, command: str, schedule: str) -> None:
    if not schedule:
        return
    try:
        cron.validate(schedule)
    except cron.InvalidSchedule as error:
        raise CommandFailure(cause, f"invalid CronSchedule on {command}: {error}") from error


def _check_search_attributes(tx: Transition, namespace: Namespace, given: Any) -> None:
    try:
        search_attributes.decode_request(given, namespace.search_attributes, namespace.name)
    except InvalidArgument as error:
        raise CommandFailure(Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SEARCH_ATTRIBUTES, error.message) from error
    search_attributes.set_types(given, namespace.search_attributes)


def _check_search_attribute_sizes(tx: Transition, cause: Cause.ValueType, given: Any) -> None:
    """Values that are too large end the run: they would not get smaller in another attempt."""
    limits = tx.limits
    for attribute, payload in given.indexed_fields.items():
        if len(payload.data) > limits.search_attribute_value_size_max:
            raise CommandFailure(
                cause,
                f"search attribute {attribute} value size {len(payload.data)} exceeds size limit "
                f"{limits.search_attribute_value_size_max}",
                terminate=True,
            )
    size = sum(len(name) + len(payload.data) for name, payload in given.indexed_fields.items())
    if size > limits.search_attributes_size_max:
        raise CommandFailure(
            cause,
            f"total size of search attributes {size} exceeds size limit {limits.search_attributes_size_max}",
            terminate=True,
        )


def _check_run_id(
    cause: Cause.ValueType, command: str, workflow_id: str, namespace: str, run_id: str, context: str
) -> None:
    if not _is_run_id(run_id):
        raise CommandFailure(
            cause,
            f"Invalid RunId set on {command}. WorkflowId={workflow_id} Namespace={namespace} RunId={run_id}{context}",
        )


def _is_run_id(text: str) -> bool:
    """Empty, for the current run, or a UUID."""
    if not text:
        return True
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _namespace(tx: Transition, batch: Batch, name: str) -> Namespace:
    return batch.namespaces[name] if name else tx.namespace


def _start_child(tx: Transition, command: StartChildWorkflowExecutionCommandAttributes, batch: Batch) -> None:
    cause = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_START_CHILD_EXECUTION_ATTRIBUTES
    name = "StartChildWorkflowExecutionCommand"
    namespace = _namespace(tx, batch, command.namespace)
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
    _check_length(cause, "WorkflowId", name, command.workflow_id, tx, f" WorkflowType={workflow_type} {where}")
    _check_length(cause, "WorkflowType", name, workflow_type, tx, f" {where}")
    _check_durations(
        cause, name, command, "workflow_execution_timeout", "workflow_run_timeout", "workflow_task_timeout"
    )
    _check_cron(cause, name, command.cron_schedule)
    _check_size(tx, cause, "StartChildWorkflowExecutionCommandAttributes. Input", command.input.ByteSize())
    _check_search_attributes(tx, namespace, command.search_attributes)
    limit = tx.limits.pending_children_max
    if limit and len(tx.state.children) >= limit:
        raise CommandFailure(
            Cause.WORKFLOW_TASK_FAILED_CAUSE_PENDING_CHILD_WORKFLOWS_LIMIT_EXCEEDED,
            f"the number of pending child workflow executions, {len(tx.state.children)}, has reached the per-workflow "
            f"limit of {limit}",
        )
    execution_timeout = length_ns(command.workflow_execution_timeout)
    run_timeout = length_ns(command.workflow_run_timeout)
    run_timeout = min(run_timeout or execution_timeout, execution_timeout or run_timeout)
    task_timeout = length_ns(command.workflow_task_timeout) or tx.limits.workflow_task_timeout_default_ns
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
        workflow_execution_timeout=duration(execution_timeout),
        workflow_run_timeout=duration(run_timeout),
        workflow_task_timeout=duration(min(task_timeout, tx.limits.workflow_task_timeout_max_ns)),
        parent_close_policy=command.parent_close_policy or ParentClosePolicy.PARENT_CLOSE_POLICY_TERMINATE,
        control=command.control,
        workflow_task_completed_event_id=batch.completed_event_id,
        workflow_id_reuse_policy=(
            command.workflow_id_reuse_policy or WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
        ),
        retry_policy=with_defaults(command.retry_policy) if command.HasField("retry_policy") else None,
        cron_schedule=command.cron_schedule,
        header=command.header if command.HasField("header") else None,
        memo=command.memo if command.HasField("memo") else None,
        search_attributes=command.search_attributes if command.HasField("search_attributes") else None,
        inherit_build_id=command.inherit_build_id,
        priority=command.priority if command.HasField("priority") else None,
    )
    batch.children.add(command.workflow_id)
    tx.effect(StartChild(event.event_id))


def _signal_external(tx: Transition, command: SignalExternalWorkflowExecutionCommandAttributes, batch: Batch) -> None:
    cause = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SIGNAL_WORKFLOW_EXECUTION_ATTRIBUTES
    name = "SignalExternalWorkflowExecutionCommand"
    namespace = _namespace(tx, batch, command.namespace)
    if not command.HasField("execution"):
        raise CommandFailure(cause, f"Execution is not set on {name}.")
    workflow_id, run_id, signal = command.execution.workflow_id, command.execution.run_id, command.signal_name
    where = f" Namespace={command.namespace} RunId={run_id} SignalName={signal}"
    _check_id(cause, "WorkflowId", name, workflow_id, tx, where)
    _check_run_id(cause, name, workflow_id, command.namespace, run_id, f" SignalName={signal}")
    if not signal:
        raise CommandFailure(
            cause,
            f"SignalName is not set on {name}. WorkflowId={workflow_id} Namespace={command.namespace} RunId={run_id}",
        )
    _check_size(
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
        namespace=namespace.name,
        namespace_id=namespace.id,
        workflow_execution=command.execution,
        signal_name=command.signal_name,
        input=command.input if command.HasField("input") else None,
        control=command.control,
        child_workflow_only=command.child_workflow_only,
        header=command.header if command.HasField("header") else None,
    )
    tx.effect(SendSignal(event.event_id))


def _cancel_external(
    tx: Transition, command: RequestCancelExternalWorkflowExecutionCommandAttributes, batch: Batch
) -> None:
    cause = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_ATTRIBUTES
    name = "RequestCancelExternalWorkflowExecutionCommand"
    namespace = _namespace(tx, batch, command.namespace)
    where = f" RunId={command.run_id} Namespace={command.namespace}"
    if not command.workflow_id:
        raise CommandFailure(
            cause, f"WorkflowId is not set on {name}. Namespace={command.namespace} RunId={command.run_id}"
        )
    _check_length(cause, "WorkflowId", name, command.workflow_id, tx, where)
    if not _is_run_id(command.run_id):
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
        namespace=namespace.name,
        namespace_id=namespace.id,
        workflow_execution={"workflow_id": command.workflow_id, "run_id": command.run_id},
        control=command.control,
        child_workflow_only=command.child_workflow_only,
        reason=command.reason,
    )
    tx.effect(SendCancel(event.event_id))


def _record_marker(tx: Transition, command: RecordMarkerCommandAttributes, batch: Batch) -> None:
    cause = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_RECORD_MARKER_ATTRIBUTES
    _check_id(cause, "MarkerName", "RecordMarkerCommand", command.marker_name, tx)
    size = sum(len(name) + value.ByteSize() for name, value in command.details.items())
    _check_size(tx, cause, "RecordMarkerCommandAttributes.Details", size)
    tx.record(
        EventType.EVENT_TYPE_MARKER_RECORDED,
        marker_name=command.marker_name,
        details=command.details,
        workflow_task_completed_event_id=batch.completed_event_id,
        header=command.header if command.HasField("header") else None,
        failure=command.failure if command.HasField("failure") else None,
    )


def _upsert_search_attributes(
    tx: Transition, command: UpsertWorkflowSearchAttributesCommandAttributes, batch: Batch
) -> None:
    cause = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SEARCH_ATTRIBUTES
    name = "UpsertWorkflowSearchAttributesCommand"
    if not command.HasField("search_attributes"):
        raise CommandFailure(cause, f"SearchAttributes is not set on {name}.")
    if not command.search_attributes.indexed_fields:
        raise CommandFailure(cause, f"IndexedFields is not set on {name}.")
    _check_search_attributes(tx, tx.namespace, command.search_attributes)
    _check_search_attribute_sizes(tx, cause, command.search_attributes)
    tx.record(
        EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
        workflow_task_completed_event_id=batch.completed_event_id,
        search_attributes=command.search_attributes,
    )


def _modify_properties(tx: Transition, command: ModifyWorkflowPropertiesCommandAttributes, batch: Batch) -> None:
    cause = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_MODIFY_WORKFLOW_PROPERTIES_ATTRIBUTES
    name = "ModifyWorkflowPropertiesCommand"
    if not command.HasField("upserted_memo"):
        raise CommandFailure(cause, f"UpsertedMemo is not set on {name}.")
    if not command.upserted_memo.fields:
        raise CommandFailure(cause, f"UpsertedMemo.Fields is not set on {name}.")
    size = tx.state.memo.ByteSize() + command.upserted_memo.ByteSize()
    if size > tx.limits.memo_size_max:
        raise CommandFailure(cause, "ModifyWorkflowPropertiesCommandAttributes exceeds size limit.", terminate=True)
    tx.record(
        EventType.EVENT_TYPE_WORKFLOW_PROPERTIES_MODIFIED,
        workflow_task_completed_event_id=batch.completed_event_id,
        upserted_memo=command.upserted_memo,
    )


def _protocol_message(tx: Transition, command: ProtocolMessageCommandAttributes, batch: Batch) -> None:
    cause = Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_UPDATE_WORKFLOW_EXECUTION_MESSAGE
    if not command.message_id:
        raise CommandFailure(cause, "MessageID is not set on ProtocolMessageCommand.")
    message = batch.messages.pop(command.message_id, None)
    if message is None:
        raise CommandFailure(cause, f"ProtocolMessageCommand referenced absent message ID {command.message_id}")
    _receive(tx, message)


def _receive(tx: Transition, message: Message) -> None:
    try:
        update.receive(tx, message)
    except update.BadMessage as error:
        raise CommandFailure(
            Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_UPDATE_WORKFLOW_EXECUTION_MESSAGE, str(error)
        ) from error


_CarryOut = Callable[[Transition, Any, Batch], None]

#: Command type -> the field with its attributes, and what carries it out.
COMMANDS: dict[int, tuple[str, _CarryOut]] = {
    CommandType.COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK: ("schedule_activity_task_command_attributes", _schedule_activity),
    CommandType.COMMAND_TYPE_REQUEST_CANCEL_ACTIVITY_TASK: (
        "request_cancel_activity_task_command_attributes",
        _cancel_activity,
    ),
    CommandType.COMMAND_TYPE_START_TIMER: ("start_timer_command_attributes", _start_timer),
    CommandType.COMMAND_TYPE_CANCEL_TIMER: ("cancel_timer_command_attributes", _cancel_timer),
    CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION: (
        "complete_workflow_execution_command_attributes",
        _complete_workflow,
    ),
    CommandType.COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION: ("fail_workflow_execution_command_attributes", _fail_workflow),
    CommandType.COMMAND_TYPE_CANCEL_WORKFLOW_EXECUTION: (
        "cancel_workflow_execution_command_attributes",
        _cancel_workflow,
    ),
    CommandType.COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION: (
        "continue_as_new_workflow_execution_command_attributes",
        _continue_as_new,
    ),
    CommandType.COMMAND_TYPE_START_CHILD_WORKFLOW_EXECUTION: (
        "start_child_workflow_execution_command_attributes",
        _start_child,
    ),
    CommandType.COMMAND_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION: (
        "signal_external_workflow_execution_command_attributes",
        _signal_external,
    ),
    CommandType.COMMAND_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION: (
        "request_cancel_external_workflow_execution_command_attributes",
        _cancel_external,
    ),
    CommandType.COMMAND_TYPE_RECORD_MARKER: ("record_marker_command_attributes", _record_marker),
    CommandType.COMMAND_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES: (
        "upsert_workflow_search_attributes_command_attributes",
        _upsert_search_attributes,
    ),
    CommandType.COMMAND_TYPE_MODIFY_WORKFLOW_PROPERTIES: (
        "modify_workflow_properties_command_attributes",
        _modify_properties,
    ),
    CommandType.COMMAND_TYPE_PROTOCOL_MESSAGE: ("protocol_message_command_attributes", _protocol_message),
}

_BAD_ATTRIBUTES: dict[int, Cause.ValueType] = {
    CommandType.COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK: Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SCHEDULE_ACTIVITY_ATTRIBUTES,
    CommandType.COMMAND_TYPE_REQUEST_CANCEL_ACTIVITY_TASK: (
        Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_REQUEST_CANCEL_ACTIVITY_ATTRIBUTES
    ),
    CommandType.COMMAND_TYPE_START_TIMER: Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_START_TIMER_ATTRIBUTES,
    CommandType.COMMAND_TYPE_CANCEL_TIMER: Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_CANCEL_TIMER_ATTRIBUTES,
    CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION: (
        Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_COMPLETE_WORKFLOW_EXECUTION_ATTRIBUTES
    ),
    CommandType.COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION: (
        Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_FAIL_WORKFLOW_EXECUTION_ATTRIBUTES
    ),
    CommandType.COMMAND_TYPE_CANCEL_WORKFLOW_EXECUTION: (
        Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_CANCEL_WORKFLOW_EXECUTION_ATTRIBUTES
    ),
    CommandType.COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION: (
        Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_CONTINUE_AS_NEW_ATTRIBUTES
    ),
    CommandType.COMMAND_TYPE_START_CHILD_WORKFLOW_EXECUTION: (
        Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_START_CHILD_EXECUTION_ATTRIBUTES
    ),
    CommandType.COMMAND_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION: (
        Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SIGNAL_WORKFLOW_EXECUTION_ATTRIBUTES
    ),
    CommandType.COMMAND_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION: (
        Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_ATTRIBUTES
    ),
    CommandType.COMMAND_TYPE_RECORD_MARKER: Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_RECORD_MARKER_ATTRIBUTES,
    CommandType.COMMAND_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES: Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SEARCH_ATTRIBUTES,
    CommandType.COMMAND_TYPE_MODIFY_WORKFLOW_PROPERTIES: (
        Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_MODIFY_WORKFLOW_PROPERTIES_ATTRIBUTES
    ),
    CommandType.COMMAND_TYPE_PROTOCOL_MESSAGE: (Cause.WORKFLOW_TASK_FAILED_CAUSE_BAD_UPDATE_WORKFLOW_EXECUTION_MESSAGE),
}
