"""Reset of a run: another one goes on from an earlier point of its history."""

from __future__ import annotations

from dataclasses import dataclass, field

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest, ResetWorkflowExecutionResponse

from perdure.history import histories
from perdure.history.engine import Engine
from perdure.history.fold import replay
from perdure.history.handlers.start import create_request_id
from perdure.history.kinds.workflow import LoadedExecution
from perdure.history.kinds.workflow_agenda import Agenda
from perdure.history.machines import reset, workflow, workflow_options, workflow_task
from perdure.history.state.changes import EventsInherited, RunSuperseded
from perdure.history.state.codec import encode_events
from perdure.history.state.execution import Execution
from perdure.history.transition import EventBatch, Transition
from perdure.kernel.call import Call
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.ids import RunId

_PAGE_EVENTS_MAX = 1000


async def reset_workflow_execution(
    engine: Engine, call: Call, request: ResetWorkflowExecutionRequest
) -> ResetWorkflowExecutionResponse:
    """Replace the current run by a new one that begins with the events of `workflow_execution` before
    `workflow_task_finish_event_id`; a repeated request id finds the run that it made.

    Raises:
        NotFound: there is no such run.
        InvalidArgument: there is no workflow task to go back to.
    """
    execution = request.workflow_execution
    while True:
        base = await engine.get(call, execution.workflow_id, execution.run_id)
        _check(request, base.state)
        current = await engine.current_as(LoadedExecution, call, execution.workflow_id)
        if current is not None and current.state.reset_request_id == request.request_id:
            await current.committed()
            return ResetWorkflowExecutionResponse(run_id=current.key.run_id)
        plan = await _read(engine, call, base, request)
        if await _unchanged(engine, call, plan, current):
            break
    new = _begin(call, plan, base, request)
    if current is not None and current.state.running:
        engine.decide(call.namespace, current, lambda tx: _replace(tx, new, plan, request, current is base))
    else:
        _go_on(new, plan, request)
        base.shard.create(LoadedExecution, new)
    if base.state.reset_run_id != new.state.run_id:
        engine.decide(call.namespace, base, lambda tx: tx.change(RunSuperseded(new.state.run_id, base=True)))
    await base.committed()
    return ResetWorkflowExecutionResponse(run_id=new.state.run_id)


def _check(request: ResetWorkflowExecutionRequest, base: Execution) -> None:
    if not 1 < request.workflow_task_finish_event_id < base.next_event_id:
        raise InvalidArgument("Workflow task finish ID must be > 1 && <= workflow last event ID.")
    for operation in request.post_reset_operations:
        if not operation.HasField("update_workflow_options"):
            raise InvalidArgument(f"unsupported post reset operation: {operation.WhichOneof('variant')}")


@dataclass
class _Plan:
    """What was read, and how far: it holds for as long as none of these runs has gone on."""

    state: Execution
    inherited: list[EventBatch] = field(default_factory=list)
    last: HistoryEvent | None = None
    in_flight: dict[int, HistoryEvent] = field(default_factory=dict)
    #: What came after, in this run and in those that continued it, as far as they are still there.
    later: list[HistoryEvent] = field(default_factory=list)
    read: dict[LoadedExecution, int] = field(default_factory=dict)

    def inherit(self, events: list[HistoryEvent]) -> None:
        replay(self.state, events, (EventsInherited(),))
        self.inherited.append(EventBatch(events[0].event_id, len(events), encode_events(events)))
        self.last = events[-1]
        for event in events:
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
                self.in_flight[event.activity_task_started_event_attributes.scheduled_event_id] = event


async def _read(engine: Engine, call: Call, base: LoadedExecution, request: ResetWorkflowExecutionRequest) -> _Plan:
    run_id = RunId(engine.runtime.entropy.uuid_at(engine.runtime.clock.now_ns()))
    plan = _Plan(Execution(base.state.namespace_id, base.state.workflow_id, run_id))
    loaded: LoadedExecution | None = base
    first, fork = 1, request.workflow_task_finish_event_id
    while loaded is not None:
        end = plan.read[loaded] = loaded.state.next_event_id
        while first < end:
            until = fork if loaded is base and first < fork else end
            events = list(await histories.read(loaded.shard, loaded, first, until, _PAGE_EVENTS_MAX))
            if loaded is base and first < fork:
                plan.inherit(events)
            else:
                plan.later += reset.from_outside(events, request)
            first = events[-1].event_id + 1
        successor = loaded.state.successor_run_id
        first = 1
        closing = loaded.state.close_event
        if closing is None or closing.event_type != EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW:
            break
        loaded = await loaded.shard.find(LoadedExecution, loaded.key.workflow.run(RunId(successor)))
    return plan


async def _unchanged(engine: Engine, call: Call, plan: _Plan, current: LoadedExecution | None) -> bool:
    """Whether all that was read is still all that there is. True until the next await."""
    workflow_id = plan.state.workflow_id
    if await engine.current_as(LoadedExecution, call, workflow_id) is not current:
        return False
    return all(
        loaded.shard.peek(LoadedExecution, loaded.key) is loaded and loaded.state.next_event_id == end
        for loaded, end in plan.read.items()
    )


def _begin(call: Call, plan: _Plan, base: LoadedExecution, request: ResetWorkflowExecutionRequest) -> Transition:
    assert plan.last is not None
    new = base.shard.begin(LoadedExecution, plan.state, call.namespace)
    new.inherited = plan.inherited
    origin = reset.Base(
        base.state, create_request_id(base.state), plan.last.event_id, plan.last.version, plan.in_flight
    )
    reset.begin(new, origin, request.request_id, request.reason)
    return new


def _replace(
    tx: Transition, new: Transition, plan: _Plan, request: ResetWorkflowExecutionRequest, is_base: bool
) -> None:
    """End the run that runs. What was held back in it enters its history then, and goes to the new one too."""
    tx.change(RunSuperseded(new.state.run_id, base=is_base))
    workflow.terminate(tx, request.reason, None, reset.IDENTITY)
    chain = {loaded.key.run_id for loaded in plan.read}
    if tx.state.run_id in chain:
        plan.later += reset.from_outside(tx.events, request)
    _go_on(new, plan, request)
    tx.successor = new


def _go_on(new: Transition, plan: _Plan, request: ResetWorkflowExecutionRequest) -> None:
    """What came in later, the options that are wanted, the next workflow task, and all that is owed by what was
    inherited.
    """
    reset.repeat(new, plan.later)
    for operation in request.post_reset_operations:
        wanted = operation.update_workflow_options
        workflow_options.update(new, wanted.workflow_execution_options, wanted.update_mask.paths, "")
    workflow_task.schedule(new)
    for effect in Agenda(new.state).outstanding(new.now):
        new.effect(effect)
