"""StartWorkflowExecution, SignalWithStartWorkflowExecution, ExecuteMultiOperation's start, and the start of a child."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from temporalio.api.common.v1 import Link
from temporalio.api.deployment.v1 import WorkerDeploymentVersion
from temporalio.api.enums.v1 import (
    ContinueAsNewInitiator,
    EventType,
    TaskQueueKind,
    VersioningBehavior,
    WorkflowExecutionStatus,
    WorkflowIdConflictPolicy,
    WorkflowIdReusePolicy,
)
from temporalio.api.history.v1 import WorkflowExecutionStartedEventAttributes
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    SignalWithStartWorkflowExecutionRequest,
    SignalWithStartWorkflowExecutionResponse,
    StartWorkflowExecutionRequest,
    StartWorkflowExecutionResponse,
)

from perdure.history import tasks
from perdure.history.engine import Engine
from perdure.history.handlers.versioning import check_override
from perdure.history.kinds.workflow import LoadedExecution
from perdure.history.machines import workflow, workflow_task
from perdure.history.machines.retry import with_defaults
from perdure.history.state.changes import Metered
from perdure.history.state.execution import Execution
from perdure.history.state.time_skipping import TimeSkipping
from perdure.history.transition import Transition
from perdure.kernel import cron
from perdure.kernel.call import Call
from perdure.kernel.errors import FailedPrecondition, InvalidArgument, WorkflowExecutionAlreadyStarted
from perdure.kernel.ids import NamespaceId, RunId, WorkflowId, WorkflowKey
from perdure.kernel.limits import Limits
from perdure.kernel.mail import Parent
from perdure.kernel.metering.actions import SIGNAL_WITH_START
from perdure.kernel.prototime import duration, length_ns, timestamp
from perdure.kernel.visibility import attributes as search_attributes

_Reuse = WorkflowIdReusePolicy
_Conflict = WorkflowIdConflictPolicy
_Status = WorkflowExecutionStatus

#: Who terminates a run to make room for another.
_TERMINATED_FOR_POLICY = "TerminateIfRunning WorkflowIdReusePolicy"


@dataclass(frozen=True, slots=True)
class Started:
    """What a start led to: a new run, or one that was there. `deduplicated`: this same request had started it."""

    loaded: LoadedExecution
    is_new: bool
    deduplicated: bool = False


async def start_workflow_execution(
    engine: Engine, call: Call, request: StartWorkflowExecutionRequest
) -> StartWorkflowExecutionResponse:
    """Start a run, subject to the id-reuse and id-conflict policies; a repeated request id finds the run it started."""
    started = await start(engine, call, request, eager=request.request_eager_execution)
    await started.loaded.committed()
    state = started.loaded.state
    response = StartWorkflowExecutionResponse(
        run_id=state.run_id,
        first_execution_run_id=state.first_run_id,
        started=started.is_new or started.deduplicated,
        status=_Status.WORKFLOW_EXECUTION_STATUS_RUNNING if state.running else _Status.ValueType(state.status),
        link=_link(call, request, started),
    )
    task = state.workflow_task
    if started.is_new and request.request_eager_execution and task is not None and task.started_event_id:
        shard = started.loaded.shard
        response.eager_workflow_task.CopyFrom(await tasks.workflow_task(shard, started.loaded, task, [], partial=False))
    return response


def started_link(call: Call, state: Execution) -> Link:
    """A link to the first event of a run."""
    link = Link.WorkflowEvent(namespace=call.namespace.name, workflow_id=state.workflow_id, run_id=state.run_id)
    link.event_ref.event_id = 1
    link.event_ref.event_type = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
    return Link(workflow_event=link)


def _link(call: Call, request: StartWorkflowExecutionRequest, started: Started) -> Link:
    """A link to the event that answers this start."""
    state = started.loaded.state
    if started.is_new or started.deduplicated or request.request_id not in state.requests:
        return started_link(call, state)
    link = Link.WorkflowEvent(namespace=call.namespace.name, workflow_id=state.workflow_id, run_id=state.run_id)
    link.request_id_ref.request_id = request.request_id
    link.request_id_ref.event_type = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED
    return Link(workflow_event=link)


async def signal_with_start_workflow_execution(
    engine: Engine, call: Call, request: SignalWithStartWorkflowExecutionRequest
) -> SignalWithStartWorkflowExecutionResponse:
    """Signal the running run, or start one whose history begins with the signal, in one commit."""
    start_request = start_request_of(request)

    def signal(tx: Transition) -> None:
        is_new = workflow.signal(
            tx,
            request.signal_name,
            request.signal_input if request.HasField("signal_input") else None,
            request.identity,
            request.header if request.HasField("header") else None,
            request.request_id,
            request.links,
        )
        if is_new:
            tx.change(Metered(SIGNAL_WITH_START))

    started = await start(engine, call, start_request, first=signal, on_running=signal)
    await started.loaded.committed()
    state = started.loaded.state
    link = Link.WorkflowEvent(namespace=call.namespace.name, workflow_id=state.workflow_id, run_id=state.run_id)
    link.request_id_ref.request_id = request.request_id
    link.request_id_ref.event_type = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
    return SignalWithStartWorkflowExecutionResponse(
        run_id=state.run_id,
        first_execution_run_id=state.first_run_id,
        started=started.is_new,
        signal_link=Link(workflow_event=link),
    )


def start_request_of(request: SignalWithStartWorkflowExecutionRequest) -> StartWorkflowExecutionRequest:
    """The start in a signal-with-start: every field that both have under the same name."""
    start_request = StartWorkflowExecutionRequest()
    known = StartWorkflowExecutionRequest.DESCRIPTOR.fields_by_name
    for field, value in request.ListFields():
        if field.name not in known:
            continue
        if field.message_type is None:
            setattr(start_request, field.name, value)
        elif field.name in ("links",):
            start_request.links.extend(value)
        else:
            getattr(start_request, field.name).CopyFrom(value)
    return start_request


async def start(
    engine: Engine,
    call: Call,
    request: StartWorkflowExecutionRequest,
    *,
    parent: Parent | None = None,
    eager: bool = False,
    first: Callable[[Transition], None] | None = None,
    on_running: Callable[[Transition], None] | None = None,
    decided: bool = False,
) -> Started:
    """Start a run or find the one that stands in for it; the caller awaits its commit.

    `decided`: nobody is there to be told that the version is not to be had which the run is to be bound to.
    `first` is decided on a new run before its first workflow task, `on_running` on a run that goes on.

    Raises:
        WorkflowExecutionAlreadyStarted: the policies forbid another run.
        FailedPrecondition: no workers of the version that overrides others poll its queue.
    """
    key = WorkflowKey(NamespaceId(call.namespace_id), WorkflowId(request.workflow_id))
    shard = engine.shard_of(key)
    existing = await engine.current_as(LoadedExecution, call, request.workflow_id)
    if existing is not None:
        standing = _standing(engine, call, request, existing, on_running)
        if standing is not None:
            return standing
    if request.HasField("versioning_override") and not decided:
        check_override(engine, key.namespace_id, request.task_queue.name, request.versioning_override)
    run_id = RunId(engine.runtime.entropy.uuid_at(engine.runtime.clock.now_ns()))
    state = Execution(key.namespace_id, key.workflow_id, run_id)
    if parent is not None and parent.ahead_ns:
        # What the first event says as well; but that is made at an instant of the run's own clock.
        state.time_skipping = TimeSkipping(skipped=parent.ahead_ns)
    new = shard.begin(LoadedExecution, state, call.namespace)
    attributes = started_attributes(request, new, engine.limits, parent)
    attributes.eager_execution_accepted = eager and not length_ns(attributes.first_workflow_task_backoff)
    _begin(new, attributes, request, first)
    if existing is not None and existing.state.running:

        def replace(tx: Transition) -> None:
            workflow.terminate(tx, _TERMINATED_FOR_POLICY, None, workflow.SERVER_IDENTITY)
            tx.successor = new

        shard.decide(existing, call.namespace, replace)
        loaded = shard.peek(LoadedExecution, new.state.key)
        assert loaded is not None
    else:
        loaded = shard.create(LoadedExecution, new)
    return Started(loaded, is_new=True)


def _begin(
    new: Transition,
    attributes: WorkflowExecutionStartedEventAttributes,
    request: StartWorkflowExecutionRequest,
    first: Callable[[Transition], None] | None,
) -> None:
    eager = attributes.eager_execution_accepted
    workflow.begin(
        new,
        attributes,
        request_id=request.request_id,
        links=request.links,
        user_metadata=request.user_metadata if request.HasField("user_metadata") else None,
        first=first,
        offer=not eager,
    )
    if eager and new.state.workflow_task is not None:
        workflow_task.start_now(new, request.identity, new.entropy.uuid())


def _standing(
    engine: Engine,
    call: Call,
    request: StartWorkflowExecutionRequest,
    existing: LoadedExecution,
    on_running: Callable[[Transition], None] | None,
) -> Started | None:
    """The existing run if it stands in for a new one; None if a new one is to be started.

    Raises:
        WorkflowExecutionAlreadyStarted: neither.
    """
    state = existing.state
    origin = state.requests.get(request.request_id) if request.request_id else None
    if origin is not None:
        is_start = origin.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
        return Started(existing, is_new=False, deduplicated=is_start)
    if state.running:
        if on_running is not None and request.workflow_id_conflict_policy != _conflict("TERMINATE_EXISTING"):
            engine.decide(call.namespace, existing, on_running)
            return Started(existing, is_new=False)
        return _running(engine, call, request, existing)
    _check_reuse(request, state)
    return None


def _conflict(name: str) -> WorkflowIdConflictPolicy.ValueType:
    return _Conflict.Value(f"WORKFLOW_ID_CONFLICT_POLICY_{name}")


def _running(
    engine: Engine, call: Call, request: StartWorkflowExecutionRequest, existing: LoadedExecution
) -> Started | None:
    state = existing.state
    policy = request.workflow_id_conflict_policy
    if request.workflow_id_reuse_policy == _Reuse.WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING:
        policy = _Conflict.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING
    if policy == _Conflict.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING:
        return None
    if policy == _Conflict.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING:
        options = request.on_conflict_options
        if options.attach_request_id or options.attach_links or options.attach_completion_callbacks:
            engine.decide(call.namespace, existing, lambda tx: _attach(tx, request))
        return Started(existing, is_new=False)
    raise WorkflowExecutionAlreadyStarted(
        f"Workflow execution is already running. WorkflowId: {state.workflow_id}, RunId: {state.run_id}.",
        create_request_id(state),
        state.run_id,
        state.first_run_id,
    )


def _attach(tx: Transition, request: StartWorkflowExecutionRequest) -> None:
    """Note on the running run that another caller relies on it."""
    options = request.on_conflict_options
    attached = len(tx.state.callbacks)
    if options.attach_completion_callbacks and attached + len(request.completion_callbacks) > tx.limits.callbacks_max:
        raise FailedPrecondition(
            f"cannot attach more than {tx.limits.callbacks_max} callbacks to a workflow "
            f"({attached} callbacks already attached)"
        )
    tx.arrive(
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED,
        links=request.links if options.attach_links else (),
        attached_request_id=request.request_id if options.attach_request_id else "",
        attached_completion_callbacks=request.completion_callbacks if options.attach_completion_callbacks else (),
    )


def _check_reuse(request: StartWorkflowExecutionRequest, state: Execution) -> None:
    policy = request.workflow_id_reuse_policy
    if policy == _Reuse.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE:
        message = (
            f"Workflow execution already finished. WorkflowId: {state.workflow_id}, RunId: {state.run_id}. "
            "Workflow Id reuse policy: reject duplicate workflow Id."
        )
    elif policy == _Reuse.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY and state.status in (
        _Status.WORKFLOW_EXECUTION_STATUS_COMPLETED,
        _Status.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW,
    ):
        message = (
            f"Workflow execution already finished successfully. WorkflowId: {state.workflow_id}, RunId: "
            f"{state.run_id}. Workflow Id reuse policy: allow duplicate workflow Id if last run failed."
        )
    else:
        return
    raise WorkflowExecutionAlreadyStarted(message, create_request_id(state), state.run_id, state.first_run_id)


def create_request_id(state: Execution) -> str:
    """The request id that the run was started with."""
    for request_id, origin in state.requests.items():
        if origin.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
            return request_id
    return ""


def _inherit(
    attributes: WorkflowExecutionStartedEventAttributes, version: WorkerDeploymentVersion, parent: Parent
) -> None:
    """A child begins with the version of its parent's workers."""
    if parent.behavior == VersioningBehavior.VERSIONING_BEHAVIOR_PINNED:
        attributes.inherited_pinned_version.CopyFrom(version)
    else:
        attributes.inherited_auto_upgrade_info.source_deployment_version.CopyFrom(version)
        attributes.inherited_auto_upgrade_info.source_deployment_revision_number = parent.revision


def started_attributes(
    request: StartWorkflowExecutionRequest, new: Transition, limits: Limits, parent: Parent | None
) -> WorkflowExecutionStartedEventAttributes:
    """The first event of a run that a request starts."""
    execution_timeout = length_ns(request.workflow_execution_timeout)
    run_timeout = length_ns(request.workflow_run_timeout)
    run_timeout = min(run_timeout or execution_timeout, execution_timeout or run_timeout)
    task_timeout = length_ns(request.workflow_task_timeout) or limits.workflow_task_timeout_default_ns
    task_timeout = min(task_timeout, limits.workflow_task_timeout_max_ns, run_timeout or task_timeout)
    backoff = length_ns(request.workflow_start_delay)
    initiator = ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_UNSPECIFIED
    if request.cron_schedule:
        slot = cron.next_after(request.cron_schedule, new.now)
        if slot is None:
            raise InvalidArgument(f"Invalid CronSchedule: {request.cron_schedule} never comes.")
        backoff = slot - new.now
        initiator = ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_CRON_SCHEDULE
    attributes = WorkflowExecutionStartedEventAttributes(
        workflow_type=request.workflow_type,
        task_queue=TaskQueue(name=request.task_queue.name, kind=TaskQueueKind.TASK_QUEUE_KIND_NORMAL),
        input=request.input if request.HasField("input") else None,
        workflow_execution_timeout=duration(execution_timeout) if execution_timeout else None,
        workflow_run_timeout=duration(run_timeout) if run_timeout or request.HasField("workflow_run_timeout") else None,
        workflow_task_timeout=duration(task_timeout),
        initiator=initiator,
        original_execution_run_id=new.state.run_id,
        identity=request.identity,
        first_execution_run_id=new.state.run_id,
        attempt=1,
        cron_schedule=request.cron_schedule,
        first_workflow_task_backoff=duration(backoff),
        workflow_id=request.workflow_id,
        completion_callbacks=request.completion_callbacks,
    )
    if new.namespace.search_attributes and request.HasField("search_attributes"):
        search_attributes.set_types(request.search_attributes, new.namespace.search_attributes)
    for name in ("memo", "search_attributes", "header", "priority", "continued_failure", "last_completion_result"):
        if request.HasField(name):
            getattr(attributes, name).CopyFrom(getattr(request, name))
    if request.HasField("time_skipping_config"):
        attributes.time_skipping_config.CopyFrom(request.time_skipping_config)
    if request.HasField("versioning_override"):
        attributes.versioning_override.CopyFrom(request.versioning_override)
    if request.HasField("retry_policy"):
        attributes.retry_policy.CopyFrom(with_defaults(request.retry_policy))
    if execution_timeout:
        attributes.workflow_execution_expiration_time.CopyFrom(timestamp(new.now + backoff + execution_timeout))
    if parent is not None:
        attributes.parent_workflow_namespace = parent.namespace
        attributes.parent_workflow_namespace_id = parent.namespace_id
        attributes.parent_workflow_execution.CopyFrom(parent.execution)
        attributes.parent_initiated_event_id = parent.initiated_event_id
        attributes.root_workflow_execution.CopyFrom(parent.root)
        if parent.version is not None:
            _inherit(attributes, parent.version, parent)
        if parent.ahead_ns:
            ahead = attributes.time_skipping_state_propagation
            ahead.initial_skipped_duration.CopyFrom(duration(parent.ahead_ns))
    return attributes
