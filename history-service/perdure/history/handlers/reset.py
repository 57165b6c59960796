"""Reset of a run: another one goes on from an earlier point of its history."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest, ResetWorkflowExecutionResponse

from perdure.history import histories
from perdure.history.engine import Engine
from perdure.history.fold import replay
from perdure.history.handlers.start import create_request_id
from perdure.history.handlers.versioning import check_override
from perdure.history.kinds.workflow import LoadedExecution
from perdure.history.kinds.workflow_agenda import Agenda
from perdure.history.machines import reset, workflow, workflow_options, workflow_task
from perdure.history.state.changes import EventsInherited, RunSuperseded
from perdure.history.state.codec import encode_events
from perdure.history.state.execution import Execution
from perdure.history.transition import EventBatch, Transition
from perdure.kernel.call import Call
from perdure.kernel.errors import InvalidArgument, Unavailable
from perdure.kernel.ids import ExecutionKey, RunId
from perdure.kernel.limits import Limits

_PAGE_EVENTS_MAX = 1000
#: So often is looked whether the workflow has gone on meanwhile. Only what is new is read again.
_ROUNDS_MAX = 20


async def reset_workflow_execution(
    engine: Engine, call: Call, request: ResetWorkflowExecutionRequest
) -> ResetWorkflowExecutionResponse:
    """Replace the current run by a new one that begins with the events of `workflow_execution` before
    `workflow_task_finish_event_id`; a repeated request id finds the run that it made.

    Raises:
        NotFound: there is no such run.
        InvalidArgument: there is no workflow task to go back to, or too much would have to be repeated.
        Unavailable: the workflow goes on faster than it can be read.
    """
    execution = request.workflow_execution
    plan: _Plan | None = None
    for _ in range(_ROUNDS_MAX):
        base = await engine.get(call, execution.workflow_id, execution.run_id)
        _check(engine, request, base.state)
        current = await engine.current_as(LoadedExecution, call, execution.workflow_id)
        if current is not None and current.state.reset_request_id == request.request_id:
            _mark(engine, call, base, current.state.run_id)
            await current.committed()
            await base.committed()
            return ResetWorkflowExecutionResponse(run_id=current.key.run_id)
        if plan is None or plan.base != base.key:
            plan = await _inherited(engine, base, request)
        await _read_later(engine, plan, request)
        if await _unchanged(engine, call, plan, current):
            break
    else:
        raise Unavailable("the workflow goes on too fast to be reset, try again")
    new = _begin(call, plan, base, request)
    if current is not None and current.state.running:
        engine.decide(call.namespace, current, lambda tx: _replace(tx, new, plan, request, current is base))
    else:
        _go_on(new, plan, request)
        base.shard.create(LoadedExecution, new)
    _mark(engine, call, base, new.state.run_id)
    await base.committed()
    return ResetWorkflowExecutionResponse(run_id=new.state.run_id)


def _mark(engine: Engine, call: Call, base: LoadedExecution, run_id: str) -> None:
    """Let whoever looks for the run find the one that was made from it."""
    if base.state.reset_run_id != run_id:
        engine.decide(call.namespace, base, lambda tx: tx.change(RunSuperseded(run_id, base=True)))


def _check(engine: Engine, request: ResetWorkflowExecutionRequest, base: Execution) -> None:
    if not 1 < request.workflow_task_finish_event_id < base.next_event_id:
        raise InvalidArgument("Workflow task finish ID must be > 1 && <= workflow last event ID.")
    for operation in request.post_reset_operations:
        if not operation.HasField("update_workflow_options"):
            raise InvalidArgument(f"unsupported post reset operation: {operation.WhichOneof('variant')}")
        options = operation.update_workflow_options.workflow_execution_options
        if options.HasField("versioning_override"):
            check_override(engine, base.namespace_id, base.task_queue, options.versioning_override)


@dataclass
class _Plan:
    """What was read, and how far: it holds for as long as none of these runs has gone on."""

    base: ExecutionKey
    state: Execution
    #: Where reading goes on in the base: the first event that the new run does not inherit.
    fork: int
    inherited: list[EventBatch] = field(default_factory=list)
    last: HistoryEvent | None = None
    in_flight: dict[int, HistoryEvent] = field(default_factory=dict)
    #: What came after, in this run and in those that continued it, as far as they are still there.
    later: list[HistoryEvent] = field(default_factory=list)
    later_bytes: int = 0
    #: By run: the event up to which it was read.
    read: dict[ExecutionKey, int] = field(default_factory=dict)

    def inherit(self, events: list[HistoryEvent]) -> None:
        replay(self.state, events, (EventsInherited(),))
        self.inherited.append(EventBatch(events[0].event_id, len(events), encode_events(events)))
        self.last = events[-1]
        for event in events:
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
                self.in_flight[event.activity_task_started_event_attributes.scheduled_event_id] = event

    def repeat(self, events: Iterable[HistoryEvent], limits: Limits) -> None:
        """Raises InvalidArgument if that is more than a history may have."""
        for event in events:
            self.later.append(event)
            self.later_bytes += event.ByteSize()
        count_max, size_max = limits.history_count_max, limits.history_size_max
        if (count_max and len(self.later) > count_max) or (size_max and self.later_bytes > size_max):
            raise InvalidArgument(
                "More signals and updates came after the reset point than a history may have "
                f"({count_max} events, {size_max} bytes): exclude them with ResetReapplyExcludeTypes."
            )


async def _inherited(engine: Engine, base: LoadedExecution, request: ResetWorkflowExecutionRequest) -> _Plan:
    """What the new run begins with, which does not change any more."""
    run_id = RunId(engine.runtime.entropy.uuid_at(engine.runtime.clock.now_ns()))
    fork = request.workflow_task_finish_event_id
    plan = _Plan(base.key, Execution(base.state.namespace_id, base.state.workflow_id, run_id), fork)
    first = 1
    while first < fork:
        events = list(await histories.read(base.shard, base, first, fork, _PAGE_EVENTS_MAX))
        plan.inherit(events)
        first = events[-1].event_id + 1
    return plan


async def _read_later(engine: Engine, plan: _Plan, request: ResetWorkflowExecutionRequest) -> None:
    """What came after the reset point and was not read yet."""
    key: ExecutionKey | None = plan.base
    while key is not None:
        loaded = await engine.shard_of(key.workflow).find(LoadedExecution, key)
        if loaded is None:
            return
        first = plan.read.get(key, plan.fork if key == plan.base else 1)
        end = loaded.state.next_event_id
        while first < end:
            events = await histories.read(loaded.shard, loaded, first, end, _PAGE_EVENTS_MAX)
            plan.repeat(reset.from_outside(events, request), engine.limits)
            first = events[-1].event_id + 1
        plan.read[key] = end
        closing = loaded.state.close_event
        goes_on = closing is not None and closing.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW
        key = key.workflow.run(RunId(loaded.state.successor_run_id)) if goes_on else None


async def _unchanged(engine: Engine, call: Call, plan: _Plan, current: LoadedExecution | None) -> bool:
    """Whether all that was read is still all that there is. True until the next await."""
    if await engine.current_as(LoadedExecution, call, plan.state.workflow_id) is not current:
        return False
    shard = engine.shard_of(plan.base.workflow)
    for key, end in plan.read.items():
        loaded = shard.peek(LoadedExecution, key)
        if loaded is None or loaded.state.next_event_id != end:
            return False
    return True


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
    if tx.state.key in plan.read:
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
