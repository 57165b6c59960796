"""Messages between a schedule and the workflows that it starts: start, stop, and how it ended.

As with all messages, each may be delivered again: an action starts one chain of runs, which knows the action, and the
schedule takes in each end once.
"""

from __future__ import annotations

import contextlib
from uuid import UUID, uuid5

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, WorkflowExecutionStatus, WorkflowIdConflictPolicy, WorkflowIdReusePolicy
from temporalio.api.workflowservice.v1 import (
    RequestCancelWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
    TerminateWorkflowExecutionRequest,
)

from perdure.history.engine import Engine
from perdure.history.kinds.schedule import LoadedSchedule
from perdure.history.kinds.workflow import LoadedExecution
from perdure.history.machines import schedule
from perdure.history.schedules.views import start_attributes
from perdure.history.state.changes import ScheduleNotified
from perdure.history.state.execution import Execution
from perdure.history.state.schedule import Action, Schedule, Stop
from perdure.kernel import mail
from perdure.kernel.call import Call
from perdure.kernel.errors import DataLoss, NamespaceNotFound, NotFound, ServiceError, Unavailable
from perdure.kernel.ids import ExecutionKey, ExecutionKind, NamespaceId, WorkflowId, WorkflowKey
from perdure.kernel.mail import ScheduledBy
from perdure.kernel.rpc import HistoryClient

_STOP_REASONS = {
    Stop.CANCEL: "cancelled by schedule overlap policy",
    Stop.TERMINATE: "terminated by schedule overlap policy",
}

#: What a schedule's action says about the workflow to start, under the names that a start has for it.
_START_FIELDS = (
    "workflow_type",
    "task_queue",
    "input",
    "workflow_execution_timeout",
    "workflow_run_timeout",
    "workflow_task_timeout",
    "retry_policy",
    "memo",
    "header",
    "user_metadata",
    "priority",
    "versioning_override",
)


class ScheduleMessages:
    """Delivers messages from the schedules of one engine, and those to schedules from its workflows."""

    def __init__(self, engine: Engine, history: HistoryClient) -> None:
        self._engine = engine
        self._history = history

    async def start_action(self, key: ExecutionKey, action_id: int) -> None:
        """Start the workflow of an action, then tell the schedule how that went."""
        loaded = await self._find(key)
        action = loaded.state.starting.get(action_id) if loaded else None
        if loaded is None or action is None:
            return
        namespace = await self._engine.namespace_of(key)
        run_id = ""
        try:
            run_id = await self._start(Call(namespace), loaded.state, action)
        except (Unavailable, NamespaceNotFound):
            raise
        except ServiceError:
            # The id is taken, or the definition is not valid any more: there is nobody to tell but the schedule.
            pass
        loaded = await self._find(key)
        if loaded is None:
            return
        if run_id:
            self._engine.decide(namespace, loaded, lambda tx: schedule.action_started(tx, action_id, run_id))
        else:
            self._engine.decide(namespace, loaded, lambda tx: schedule.action_refused(tx, action_id))
        await loaded.committed()

    async def _start(self, call: Call, state: Schedule, action: Action) -> str:
        """Returns the first run of the chain, which may have been started, and have ended, before."""
        letter = mail.StartScheduled(_start_request(call, state, action), _origin(state, action))
        return await self._history.deliver(_workflow(state, action), letter)

    async def stop_action(self, key: ExecutionKey, action_id: int) -> None:
        """Cancel or terminate the workflow of an action, whichever run of it is current."""
        loaded = await self._find(key)
        action = loaded.state.started.get(action_id) if loaded else None
        if loaded is None or action is None or not action.owes_stop:
            return
        namespace = await self._engine.namespace_of(key)
        # Closed, deleted, damaged, or not ours any more: nothing is left to stop.
        with contextlib.suppress(NotFound, DataLoss):
            await self._stop(Call(namespace), loaded.state, action)
        loaded = await self._find(key)
        if loaded is not None:
            self._engine.decide(namespace, loaded, lambda tx: schedule.stop_sent(tx, action_id))

    async def _stop(self, call: Call, state: Schedule, action: Action) -> None:
        target = WorkflowExecution(workflow_id=action.workflow_id)
        identity = _identity(call, state)
        letter: mail.Letter
        if action.stop is Stop.TERMINATE:
            letter = mail.Terminate(
                TerminateWorkflowExecutionRequest(
                    workflow_execution=target,
                    first_execution_run_id=action.run_id,
                    reason=_STOP_REASONS[action.stop],
                    identity=identity,
                )
            )
        else:
            letter = mail.RequestCancel(
                RequestCancelWorkflowExecutionRequest(
                    workflow_execution=target,
                    first_execution_run_id=action.run_id,
                    reason=_STOP_REASONS[action.stop],
                    identity=identity,
                    request_id=_request_id(state, -action.action_id),
                )
            )
        await self._history.deliver(_workflow(state, action), letter)

    async def check_action(self, key: ExecutionKey, action_id: int) -> None:
        """Take note that the workflow of an action does not run any more, should it be gone without a word.

        A workflow tells its schedule when it ends; one that was deleted, or whose records are damaged, cannot. The id
        may be another workflow's by then.
        """
        loaded = await self._find(key)
        action = loaded.state.started.get(action_id) if loaded else None
        if loaded is None or action is None:
            return
        namespace = await self._engine.namespace_of(key)
        with contextlib.suppress(DataLoss):
            letter = mail.FindScheduled(_origin(loaded.state, action))
            if await self._history.deliver(_workflow(loaded.state, action), letter):
                # It runs, or what it has to say is on its way.
                return
        loaded = await self._find(key)
        if loaded is not None:
            unknown = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED
            self._engine.decide(
                namespace,
                loaded,
                lambda tx: schedule.action_closed(
                    tx, action_id, action.workflow_id, action.run_id, unknown, None, None
                ),
            )

    async def notify_schedule(self, key: ExecutionKey, _: int) -> None:
        """Tell the schedule that started this chain of runs how it ended."""
        shard = self._engine.shard_of(key.workflow)
        loaded = await shard.find(LoadedExecution, key)
        if loaded is None or not loaded.state.owes_schedule:
            return
        namespace = await self._engine.namespace_of(key)
        # A schedule whose records are damaged is as good as gone.
        with contextlib.suppress(DataLoss):
            await self._tell_schedule(loaded.state)
        loaded = await shard.find(LoadedExecution, key)
        if loaded is not None and loaded.state.owes_schedule:
            self._engine.decide(namespace, loaded, lambda tx: tx.change(ScheduleNotified()))

    async def _tell_schedule(self, state: Execution) -> None:
        origin, close_event = state.scheduled_by, state.close_event
        assert origin is not None
        assert close_event is not None
        completed = close_event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED
        failed = close_event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED
        done = close_event.workflow_execution_completed_event_attributes
        letter = mail.ActionClosed(
            run_id=origin.run_id,
            action_id=origin.action_id,
            workflow_id=state.workflow_id,
            first_run_id=state.first_run_id,
            status=state.status,
            result=done.result if completed and done.HasField("result") else None,
            failure=close_event.workflow_execution_failed_event_attributes.failure if failed else None,
        )
        schedule_id = WorkflowId(origin.schedule_id)
        key = WorkflowKey(NamespaceId(state.namespace_id), schedule_id, ExecutionKind.SCHEDULE)
        await self._history.deliver(key, letter)

    async def _find(self, key: ExecutionKey) -> LoadedSchedule | None:
        return await self._engine.shard_of(key.workflow).find(LoadedSchedule, key)


def _workflow(state: Schedule, action: Action) -> WorkflowKey:
    return WorkflowKey(NamespaceId(state.namespace_id), WorkflowId(action.workflow_id))


def _origin(state: Schedule, action: Action) -> ScheduledBy:
    """How the workflow of an action, in whichever run, is known."""
    return ScheduledBy(state.workflow_id, state.run_id, action.action_id)


def _identity(call: Call, state: Schedule) -> str:
    return f"temporal-scheduler-{call.namespace.name}-{state.workflow_id}"


def _request_id(state: Schedule, number: int) -> str:
    """The id by which a workflow knows the start or stop of an action that it got before."""
    return str(uuid5(UUID(state.run_id), str(number)))


def _start_request(call: Call, state: Schedule, action: Action) -> StartWorkflowExecutionRequest:
    definition = state.definition.action.start_workflow
    reuse = WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
    if action.manual:
        reuse = WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
    request = StartWorkflowExecutionRequest(
        workflow_id=action.workflow_id,
        identity=_identity(call, state),
        request_id=_request_id(state, action.action_id),
        workflow_id_reuse_policy=reuse,
        workflow_id_conflict_policy=WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
        search_attributes=start_attributes(state, action),
    )
    for name in _START_FIELDS:
        if definition.HasField(name):  # type: ignore[arg-type]
            getattr(request, name).CopyFrom(getattr(definition, name))
    if not action.overlapping:
        if state.last_result is not None:
            request.last_completion_result.CopyFrom(state.last_result)
        if state.last_failure is not None:
            request.continued_failure.CopyFrom(state.last_failure)
    return request
