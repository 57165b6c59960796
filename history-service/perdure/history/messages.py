"""Messages between executions: starts of children, signals and cancel requests, outcomes, parent-close policies.

Each method delivers one message and records on the sender what became of it. It may be called again for a message
that was delivered before: receivers recognise it by an id made from the sender's run and event. Whatever a receiver
refuses for good is recorded too, so that no sender waits for ever; any other error is for the caller to try again.
A receiver whose records are damaged counts as one that is not there.
"""

from __future__ import annotations

import contextlib
from uuid import UUID, uuid5

import structlog
from msgspec.structs import replace
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import (
    CancelExternalWorkflowExecutionFailedCause,
    ParentClosePolicy,
    SignalExternalWorkflowExecutionFailedCause,
    StartChildWorkflowExecutionFailedCause,
)
from temporalio.api.history.v1 import StartChildWorkflowExecutionInitiatedEventAttributes
from temporalio.api.workflowservice.v1 import (
    RequestCancelWorkflowExecutionRequest,
    SignalWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
    TerminateWorkflowExecutionRequest,
)

from perdure.history.engine import Engine
from perdure.history.kinds.workflow import LoadedExecution
from perdure.history.machines import child as children
from perdure.history.machines import external
from perdure.history.machines.workflow import SERVER_IDENTITY
from perdure.history.schedules.messages import ScheduleMessages
from perdure.history.state import versioning
from perdure.history.state.changes import OrphanHandled, ParentNotified
from perdure.history.state.execution import Execution
from perdure.kernel import mail
from perdure.kernel.deployments.records import VersionQueue
from perdure.kernel.errors import (
    DataLoss,
    InvalidArgument,
    NamespaceNotFound,
    NotFound,
    WorkflowExecutionAlreadyStarted,
)
from perdure.kernel.ids import ExecutionKey, NamespaceId, TaskKind, WorkflowId, WorkflowKey
from perdure.kernel.namespace import Namespace
from perdure.kernel.options import merged
from perdure.kernel.prototime import length_ns
from perdure.kernel.rpc import HistoryClient
from perdure.kernel.serving import named

logger = structlog.get_logger(__name__)

_StartFailed = StartChildWorkflowExecutionFailedCause
_SignalFailed = SignalExternalWorkflowExecutionFailedCause
_CancelFailed = CancelExternalWorkflowExecutionFailedCause


def request_id(state: Execution, event_id: int) -> str:
    """The id by which a receiver recognises a signal or cancel request that it got before."""
    return str(uuid5(UUID(state.recorded_by(abs(event_id))), str(event_id)))


def _execution(state: Execution, initiated_event_id: int = 0) -> WorkflowExecution:
    """The run; or as the child knows it that this event has initiated."""
    run_id = state.recorded_by(initiated_event_id) if initiated_event_id else state.run_id
    return WorkflowExecution(workflow_id=state.workflow_id, run_id=run_id)


def _as_parent(state: Execution, child_id: str) -> WorkflowExecution:
    """The run as its child of this id knows it, if it has one."""
    initiated = (key for key, child in state.children.items() if child.initiated.workflow_id == child_id)
    return _execution(state, next(initiated, 0))


class Messages:
    """Delivers what the executions of one engine send, to wherever its addressees are."""

    def __init__(self, engine: Engine, history: HistoryClient) -> None:
        self._engine = engine
        self._history = history
        self.schedules = ScheduleMessages(engine, history)

    async def _sender(self, key: ExecutionKey) -> tuple[LoadedExecution, Namespace] | None:
        """The sending run; None if it was deleted meanwhile."""
        loaded = await self._engine.shard_of(key.workflow).find(LoadedExecution, key)
        if loaded is None:
            return None
        return loaded, await self._engine.namespace_of(key)

    async def _deliver(self, namespace_id: str, workflow_id: str, letter: mail.Letter) -> str:
        return await self._history.deliver(WorkflowKey(NamespaceId(namespace_id), WorkflowId(workflow_id)), letter)

    async def start_child(self, key: ExecutionKey, initiated_event_id: int) -> None:
        """Start a child, then tell the parent how that went."""
        sender = await self._sender(key)
        if sender is None:
            return
        parent, namespace = sender
        child = parent.state.children.get(initiated_event_id)
        # A parent that has closed starts nobody any more.
        if child is None or child.started or not parent.state.running:
            return
        initiated = child.initiated
        request = StartWorkflowExecutionRequest(
            workflow_id=initiated.workflow_id,
            request_id=f"{parent.state.recorded_by(initiated_event_id)}:{initiated_event_id}:0",
            user_metadata=child.user_metadata,
        )
        _copy_start(initiated, request)
        state = parent.state
        if state.priority.ByteSize():
            request.priority.CopyFrom(merged(state.priority, initiated.priority))
        run_id, cause = "", _StartFailed.START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE_UNSPECIFIED
        try:
            own = _parent(namespace, state, initiated_event_id)
            letter = mail.StartChild(request, self._inheriting(state, initiated, request, own))
            run_id = await self._deliver(initiated.namespace_id, initiated.workflow_id, letter)
        except (WorkflowExecutionAlreadyStarted, DataLoss):
            # What is damaged still has the id.
            cause = _StartFailed.START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE_WORKFLOW_ALREADY_EXISTS
        except NamespaceNotFound:
            cause = _StartFailed.START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE_NAMESPACE_NOT_FOUND
        except InvalidArgument:
            # No cause is made for this; the command should have been refused.
            logger.exception("a child cannot be started", **named(key), child=initiated.workflow_id)
        sender = await self._sender(key)
        if sender is None:
            return
        parent, namespace = sender
        child = parent.state.children.get(initiated_event_id)
        if not parent.state.running:
            # Of a run that was reset the new one may have the child; who does not know it leaves it alone.
            abandoned = initiated.parent_close_policy == ParentClosePolicy.PARENT_CLOSE_POLICY_ABANDON
            if run_id and not abandoned and not parent.state.reset_run_id:
                await self._close_child(parent.state, initiated, run_id, initiated_event_id)
            return
        if child is None or child.started:
            return
        pending = child
        if run_id:
            self._engine.decide(namespace, parent, lambda tx: children.started(tx, pending, run_id))
        else:
            self._engine.decide(namespace, parent, lambda tx: children.start_failed(tx, pending, cause))
        await parent.committed()

    def _inheriting(
        self,
        state: Execution,
        initiated: StartChildWorkflowExecutionInitiatedEventAttributes,
        request: StartWorkflowExecutionRequest,
        parent: mail.Parent,
    ) -> mail.Parent:
        """What the parent hands down of its version and of what overrides it, if the version's workers poll the
        child's queue.
        """
        version, behavior = versioning.version(state.versioning), versioning.behavior(state.versioning)
        if state.versioning is None or version is None or request.HasField("versioning_override"):
            return parent
        queue = VersionQueue(initiated.task_queue.name, TaskKind.WORKFLOW)
        knows = queue.name == state.task_queue or self._engine.deployments.has(state.namespace_id, version, queue)
        if initiated.namespace_id != state.namespace_id or not knows:
            return parent
        override = state.versioning.versioning_override
        if versioning.override_target(override) is not None:
            request.versioning_override.CopyFrom(override)
        revision = state.versioning.revision_number
        if behavior == versioning.AUTO_UPGRADE and not revision:
            return parent
        return replace(parent, version=versioning.message_of(version), behavior=behavior, revision=revision)

    async def signal(self, key: ExecutionKey, initiated_event_id: int) -> None:
        """Deliver a signal to another execution, then tell the sender."""
        sender = await self._sender(key)
        signal = sender[0].state.signals_out.get(initiated_event_id) if sender else None
        if sender is None or signal is None:
            return
        initiated = signal.initiated
        state = sender[0].state
        cause = _SignalFailed.SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_UNSPECIFIED
        try:
            _check_other(key, initiated.namespace_id, initiated.workflow_execution)
            request = SignalWorkflowExecutionRequest(
                workflow_execution=initiated.workflow_execution,
                signal_name=initiated.signal_name,
                input=initiated.input if initiated.HasField("input") else None,
                identity=SERVER_IDENTITY,
                request_id=request_id(state, initiated_event_id),
                control=initiated.control,
                header=initiated.header if initiated.HasField("header") else None,
            )
            child_of = (
                _as_parent(state, request.workflow_execution.workflow_id) if initiated.child_workflow_only else None
            )
            await self._deliver(
                initiated.namespace_id,
                initiated.workflow_execution.workflow_id,
                mail.Signal(request, _execution(state), child_of),
            )
        except NamespaceNotFound:
            cause = _SignalFailed.SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_NAMESPACE_NOT_FOUND
        except (NotFound, DataLoss):
            cause = _SignalFailed.SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_EXTERNAL_WORKFLOW_EXECUTION_NOT_FOUND
        except InvalidArgument:
            cause = _SignalFailed.SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_SIGNAL_COUNT_LIMIT_EXCEEDED
        sender = await self._sender(key)
        if sender is None or initiated_event_id not in sender[0].state.signals_out:
            return
        loaded, namespace = sender
        if cause:
            self._engine.decide(namespace, loaded, lambda tx: external.signal_failed(tx, signal, cause))
        else:
            self._engine.decide(namespace, loaded, lambda tx: external.signal_delivered(tx, signal))
        await loaded.committed()

    async def cancel(self, key: ExecutionKey, initiated_event_id: int) -> None:
        """Ask another execution to cancel itself, then tell the sender."""
        sender = await self._sender(key)
        cancel = sender[0].state.cancels_out.get(initiated_event_id) if sender else None
        if sender is None or cancel is None:
            return
        initiated = cancel.initiated
        state = sender[0].state
        cause = _CancelFailed.CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_UNSPECIFIED
        try:
            _check_other(key, initiated.namespace_id, initiated.workflow_execution)
            request = RequestCancelWorkflowExecutionRequest(
                workflow_execution=initiated.workflow_execution,
                identity=SERVER_IDENTITY,
                request_id=request_id(state, initiated_event_id),
                reason=initiated.reason,
            )
            child_of = (
                _as_parent(state, request.workflow_execution.workflow_id) if initiated.child_workflow_only else None
            )
            await self._deliver(
                initiated.namespace_id,
                initiated.workflow_execution.workflow_id,
                mail.RequestCancel(request, _execution(state), initiated_event_id, child_of),
            )
        except NamespaceNotFound:
            cause = _CancelFailed.CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_NAMESPACE_NOT_FOUND
        except (NotFound, DataLoss):
            cause = _CancelFailed.CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_EXTERNAL_WORKFLOW_EXECUTION_NOT_FOUND
        sender = await self._sender(key)
        if sender is None or initiated_event_id not in sender[0].state.cancels_out:
            return
        loaded, namespace = sender
        if cause:
            self._engine.decide(namespace, loaded, lambda tx: external.cancel_failed(tx, cancel, cause))
        else:
            self._engine.decide(namespace, loaded, lambda tx: external.cancel_delivered(tx, cancel))
        await loaded.committed()

    async def apply_parent_close_policy(self, key: ExecutionKey, initiated_event_id: int) -> None:
        """The parent has closed: terminate or cancel the child, whichever run of it is current."""
        sender = await self._sender(key)
        if sender is None or initiated_event_id not in sender[0].state.orphans:
            return
        child = sender[0].state.children[initiated_event_id]
        await self._close_child(sender[0].state, child.initiated, child.run_id, initiated_event_id)
        sender = await self._sender(key)
        if sender is not None and initiated_event_id in sender[0].state.orphans:
            loaded, namespace = sender
            self._engine.decide(namespace, loaded, lambda tx: tx.change(OrphanHandled(initiated_event_id)))

    async def _close_child(
        self,
        state: Execution,
        initiated: StartChildWorkflowExecutionInitiatedEventAttributes,
        child_run_id: str,
        initiated_event_id: int,
    ) -> None:
        own = _execution(state, initiated_event_id)
        target = WorkflowExecution(workflow_id=initiated.workflow_id)
        letter: mail.Letter
        if initiated.parent_close_policy == ParentClosePolicy.PARENT_CLOSE_POLICY_TERMINATE:
            terminate = TerminateWorkflowExecutionRequest(
                workflow_execution=target,
                first_execution_run_id=child_run_id,
                reason="by parent close policy",
                identity=SERVER_IDENTITY,
            )
            letter = mail.Terminate(terminate, child_of=own)
        else:
            cancel = RequestCancelWorkflowExecutionRequest(
                workflow_execution=target,
                first_execution_run_id=child_run_id,
                identity=SERVER_IDENTITY,
                request_id=request_id(state, -initiated_event_id),
            )
            letter = mail.RequestCancel(cancel, own, child_of=own)
        # Closed, deleted, or not ours any more: nothing is left to do.
        with contextlib.suppress(NotFound, NamespaceNotFound, DataLoss):
            await self._deliver(initiated.namespace_id, initiated.workflow_id, letter)

    async def notify_parent(self, key: ExecutionKey, _: int) -> None:
        """Tell the parent how this run ended."""
        sender = await self._sender(key)
        if sender is None or not sender[0].state.owes_parent:
            return
        state = sender[0].state
        # A parent that is closed or gone does not want to know.
        with contextlib.suppress(NotFound, NamespaceNotFound, DataLoss):
            await self._tell_parent(state)
        sender = await self._sender(key)
        if sender is not None and sender[0].state.owes_parent:
            loaded, namespace = sender
            self._engine.decide(namespace, loaded, lambda tx: tx.change(ParentNotified()))

    async def _tell_parent(self, state: Execution) -> None:
        started = state.started
        parent = started.parent_workflow_execution
        assert state.close_event is not None
        child = WorkflowExecution(workflow_id=state.workflow_id, run_id=state.run_id)
        letter = mail.ChildClosed(parent.run_id, started.parent_initiated_event_id, child, state.close_event)
        await self._deliver(started.parent_workflow_namespace_id, parent.workflow_id, letter)


def _check_other(key: ExecutionKey, namespace_id: str, target: WorkflowExecution) -> None:
    """A workflow is not external to itself. Raises NotFound."""
    if namespace_id == key.namespace_id and target.workflow_id == key.workflow_id:
        raise NotFound("a workflow cannot signal or cancel itself")


def _parent(namespace: Namespace, state: Execution, initiated_event_id: int) -> mail.Parent:
    root = state.started.root_workflow_execution
    own = _execution(state, initiated_event_id)
    initiated = state.children[initiated_event_id].initiated
    return mail.Parent(
        namespace.name,
        namespace.id,
        own,
        initiated_event_id,
        root if root.workflow_id else own,
        ahead_ns=length_ns(initiated.time_skipping_state_propagation.initial_skipped_duration),
    )


def _copy_start(initiated: object, request: StartWorkflowExecutionRequest) -> None:
    """The fields of a child's start have the same names in the parent's event."""
    for field, value in initiated.ListFields():  # type: ignore[attr-defined]
        name = field.name
        if name in ("namespace", "workflow_id") or name not in StartWorkflowExecutionRequest.DESCRIPTOR.fields_by_name:
            continue
        if field.message_type is None:
            setattr(request, name, value)
        else:
            getattr(request, name).CopyFrom(value)
