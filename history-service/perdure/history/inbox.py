"""Letters from other executions, as they are taken in by the owner of the addressee's shard."""

from __future__ import annotations

from typing import Any

from temporalio.api.enums.v1 import WorkflowExecutionStatus

from perdure.history.engine import Engine
from perdure.history.handlers import start, workflow
from perdure.history.kinds.kind import Loaded
from perdure.history.kinds.operation import LoadedOperation
from perdure.history.kinds.schedule import LoadedSchedule
from perdure.history.kinds.workflow import LoadedExecution
from perdure.history.machines import child as children
from perdure.history.machines import nexus_operation, schedule
from perdure.history.nexus_messages import record
from perdure.history.state.changes import Metered, StartedBySchedule
from perdure.history.transition import Transition
from perdure.kernel import mail
from perdure.kernel.call import Call
from perdure.kernel.errors import NotFound
from perdure.kernel.ids import ExecutionKey, ExecutionKind, RunId, WorkflowKey
from perdure.kernel.metering.actions import SCHEDULE_FIRING


class Inbox:
    """Takes letters in, durably: what `deliver` has returned from is committed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def deliver(self, to: WorkflowKey, letter: mail.Letter) -> str:
        """Take in one letter, which may have been delivered before. What the reply means is up to the letter.

        Raises:
            NotOwner: the addressee's shard is not ours.
            ServiceError: the addressee cannot or does not want to have it; see the RPC that the letter stands for.
        """
        engine = self._engine
        engine.shard_of(to)
        call = Call(await engine.directory.by_id(to.namespace_id))
        match letter:
            case mail.StartChild(request, parent):
                started = await start.start(engine, call, request, parent=parent, decided=True)
                await started.loaded.committed()
                return started.loaded.key.run_id
            case mail.Signal(request, sender, child_of):
                await workflow.signal_workflow_execution(engine, call, request, sender=sender, child_of=child_of)
            case mail.RequestCancel(request, requester, initiated_event_id, child_of):
                await workflow.request_cancel_workflow_execution(
                    engine,
                    call,
                    request,
                    requester=requester,
                    initiated_event_id=initiated_event_id,
                    child_of=child_of,
                )
            case mail.Terminate(request, child_of):
                await workflow.terminate_workflow_execution(engine, call, request, child_of=child_of)
            case mail.ChildClosed():
                await self._child_closed(to, call, letter)
            case mail.StartScheduled():
                return await self._start_scheduled(call, letter)
            case mail.FindScheduled(origin):
                existing = await engine.current_as(LoadedExecution, call, to.workflow_id)
                if existing is None or existing.state.scheduled_by != origin:
                    return ""
                await existing.committed()
                return existing.key.run_id
            case mail.OperationClosed():
                await self._operation_closed(to, call, letter)
            case mail.ActionClosed():
                await self._action_closed(to, call, letter)
        return ""

    async def _child_closed(self, to: WorkflowKey, call: Call, letter: mail.ChildClosed) -> None:
        key = ExecutionKey(to.namespace_id, to.workflow_id, RunId(letter.run_id))
        shard = self._engine.shard_of(to)
        parent = await shard.find(LoadedExecution, key)
        while parent is not None and parent.state.reset_run_id and not parent.state.running:
            parent = await shard.find(LoadedExecution, to.run(RunId(parent.state.reset_run_id)))
        if parent is None and (current := await shard.current_run(to)) is not None:
            # The run is gone that a reset has replaced, but not who took its place.
            parent = await shard.find(LoadedExecution, to.run(current))
        if parent is None:
            raise NotFound("the parent is gone")
        child = parent.state.children.get(letter.initiated_event_id)
        known = parent.state.recorded_by(letter.initiated_event_id) == letter.run_id
        if child is not None and known and parent.state.running:
            self._engine.decide(
                call.namespace, parent, lambda tx: children.closed(tx, child, letter.child, letter.close_event)
            )
        # Also if there was nothing to do: the letter may have been taken in a moment ago, and not be durable yet.
        await parent.committed()

    async def _operation_closed(self, to: WorkflowKey, call: Call, letter: mail.OperationClosed) -> None:
        run = await self._caller(to, letter.run_id)
        operation = run.state.operations.get(letter.scheduled_event_id) if run.state.running else None
        if operation is None or operation.scheduled.request_id != letter.request_id:
            # It may have ended a moment ago, by a letter like this, and that not be durable yet.
            await run.committed()
            raise NotFound("operation not found")
        pending = operation
        self._engine.decide(
            call.namespace, run, lambda tx: record(tx, pending, nexus_operation.told_end(tx, pending, letter))
        )
        await run.committed()

    async def _caller(self, to: WorkflowKey, run_id: str) -> Loaded[Any]:
        """The run that somebody means who knows it by this id, or the one that a reset has put in its place."""
        shard = self._engine.shard_of(to)
        if to.kind is ExecutionKind.NEXUS_OPERATION:
            standalone = await shard.find(LoadedOperation, to.run(RunId(run_id)))
            if standalone is None:
                raise NotFound("operation not found")
            return standalone
        run = await shard.find(LoadedExecution, to.run(RunId(run_id)))
        while run is not None and run.state.reset_run_id and not run.state.running:
            run = await shard.find(LoadedExecution, to.run(RunId(run.state.reset_run_id)))
        if run is None and (current := await shard.current_run(to)) is not None:
            run = await shard.find(LoadedExecution, to.run(current))
        if run is None:
            raise NotFound("operation not found")
        return run

    async def _start_scheduled(self, call: Call, letter: mail.StartScheduled) -> str:
        origin = letter.origin
        existing = await self._engine.current_as(LoadedExecution, call, letter.request.workflow_id)
        if existing is not None and existing.state.scheduled_by == origin:
            await existing.committed()
            return existing.state.first_run_id

        def note(tx: Transition) -> None:
            tx.change(StartedBySchedule(origin.schedule_id, origin.run_id, origin.action_id))
            tx.change(Metered(SCHEDULE_FIRING))

        started = await start.start(self._engine, call, letter.request, first=note, decided=True)
        await started.loaded.committed()
        return started.loaded.key.run_id

    async def _action_closed(self, to: WorkflowKey, call: Call, letter: mail.ActionClosed) -> None:
        """A schedule that is gone does not want to know."""
        loaded = await self._engine.shard_of(to).find(LoadedSchedule, to.run(RunId(letter.run_id)))
        if loaded is None:
            return
        status = WorkflowExecutionStatus.ValueType(letter.status)
        self._engine.decide(
            call.namespace,
            loaded,
            lambda tx: schedule.action_closed(
                tx, letter.action_id, letter.workflow_id, letter.first_run_id, status, letter.result, letter.failure
            ),
        )
        await loaded.committed()
