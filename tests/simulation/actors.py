"""Clients and workers of the simulated server, and what they were promised."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from temporalio.api.activity.v1 import ActivityExecutionOutcome
from temporalio.api.common.v1 import ActivityType, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import (
    ActivityIdReusePolicy,
    EventType,
    TaskQueueKind,
    UpdateWorkflowExecutionLifecycleStage,
)
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.update.v1 import Input, Meta, Request, WaitPolicy
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    GetWorkflowExecutionHistoryRequest,
    PollActivityExecutionRequest,
    PollActivityExecutionResponse,
    PollActivityTaskQueueRequest,
    PollWorkflowTaskQueueRequest,
    PollWorkflowTaskQueueResponse,
    RequestCancelWorkflowExecutionRequest,
    RespondActivityTaskCompletedRequest,
    RespondActivityTaskFailedRequest,
    RespondWorkflowTaskCompletedRequest,
    SignalWorkflowExecutionRequest,
    StartActivityExecutionRequest,
    StartWorkflowExecutionRequest,
    TerminateWorkflowExecutionRequest,
    UpdateWorkflowExecutionRequest,
)

from perdure.kernel.errors import DeadlineExceeded, NotFound, ServiceError, Unavailable, WorkflowNotReady
from tests.simulation.workflows import (
    ACTIVITIES,
    ATTEMPT_S,
    QUEUE,
    SIGNALS,
    STICKY_S,
    answer_updates,
    decide,
    is_update,
    retry_policy,
)

_COMPLETED = UpdateWorkflowExecutionLifecycleStage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED


class ConnectionLost(Exception):
    """There was no answer: the caller does not know whether its call took effect."""


class Server(Protocol):
    """What is simulated, as its clients see it."""

    @property
    def chance(self) -> random.Random: ...

    async def call(self, rpc: str, request: Message) -> Any:
        """Make one call.

        Raises:
            ConnectionLost: nobody answered.
            ServiceError: as the RPC documents.
        """
        ...


class Seen(NamedTuple):
    """What was shown of one workflow: whatever is read later must show no less."""

    events: int = 0
    transitions: int = 0
    closed: bool = False

    def and_also(self, other: Seen) -> Seen:
        return Seen(
            max(self.events, other.events), max(self.transitions, other.transitions), self.closed or other.closed
        )


@dataclass
class Promises:
    """What the server has acknowledged, and what workers were handed."""

    #: Workflow id -> run id.
    started: dict[str, str] = field(default_factory=dict)
    #: Workflows that were started only if the call which was not answered was heard.
    doubtful: set[str] = field(default_factory=set)
    #: (workflow id, signal) of those acknowledged, and of all that were sent by calls without an id to know them by.
    signaled: set[tuple[str, str]] = field(default_factory=set)
    sent_once: set[tuple[str, str]] = field(default_factory=set)
    updated: set[tuple[str, str]] = field(default_factory=set)
    handed_out: Counter[tuple[str, str]] = field(default_factory=Counter)
    ended: dict[str, ActivityExecutionOutcome] = field(default_factory=dict)
    seen: defaultdict[str, Seen] = field(default_factory=lambda: defaultdict(Seen))
    #: How many updates each Busy workflow waits for.
    updates: int = 0


async def insist(server: Server, rpc: str, request: Message) -> Any:
    """Call until the server answers, with the same request id each time."""
    while True:
        try:
            return await server.call(rpc, request)
        except (ConnectionLost, Unavailable, DeadlineExceeded):
            await asyncio.sleep(0.2)


def _start(workflow_id: str, kind: str, request_id: str) -> StartWorkflowExecutionRequest:
    return StartWorkflowExecutionRequest(
        workflow_id=workflow_id,
        request_id=request_id,
        workflow_type=WorkflowType(name=kind),
        task_queue=QUEUE,
        workflow_task_timeout=Duration(seconds=ATTEMPT_S),
    )


def _signal(workflow_id: str, name: str, request_id: str) -> SignalWorkflowExecutionRequest:
    return SignalWorkflowExecutionRequest(
        workflow_execution=WorkflowExecution(workflow_id=workflow_id), signal_name=name, request_id=request_id
    )


async def client(server: Server, promises: Promises, workflow_id: str, pause_s: float = 5.0) -> None:
    """Start one Busy workflow and send it its signals and updates."""
    started = await insist(server, "StartWorkflowExecution", _start(workflow_id, "Busy", f"start-{workflow_id}"))
    promises.started[workflow_id] = started.run_id
    for number in range(SIGNALS):
        await asyncio.sleep(server.chance.uniform(0, pause_s))
        name = f"signal-{number}"
        await insist(server, "SignalWorkflowExecution", _signal(workflow_id, name, f"{workflow_id}-{number}"))
        promises.signaled.add((workflow_id, name))
        await look(server, promises, workflow_id)
    for number in range(promises.updates):
        await _update(server, promises, workflow_id, f"update-{number}")


async def _update(server: Server, promises: Promises, workflow_id: str, update_id: str) -> None:
    request = UpdateWorkflowExecutionRequest(
        workflow_execution=WorkflowExecution(workflow_id=workflow_id),
        wait_policy=WaitPolicy(lifecycle_stage=_COMPLETED),
        request=Request(meta=Meta(update_id=update_id), input=Input(name="update")),
    )
    while True:
        try:
            reply = await insist(server, "UpdateWorkflowExecution", request)
        except WorkflowNotReady:
            # Its tasks have been lost several times in a row. That ends with the faults.
            await asyncio.sleep(0.2)
            continue
        if reply.HasField("outcome"):
            break
    assert reply.outcome.success.payloads[0].data == update_id.encode(), f"{update_id} of {workflow_id}: {reply}"
    promises.updated.add((workflow_id, update_id))


async def hasty_client(server: Server, promises: Promises, workflow_id: str) -> None:
    """Start one Busy workflow and signal it, without ids to know the calls by, and each only once.

    An error other than that there was no answer would be due to a repetition that is not this client's.
    """
    try:
        started = await server.call("StartWorkflowExecution", _start(workflow_id, "Busy", ""))
    except (ConnectionLost, Unavailable, DeadlineExceeded):
        promises.doubtful.add(workflow_id)
    else:
        promises.started[workflow_id] = started.run_id
        for number in range(SIGNALS):
            name = f"hasty-{number}"
            promises.sent_once.add((workflow_id, name))
            try:
                await server.call("SignalWorkflowExecution", _signal(workflow_id, name, ""))
            except (ConnectionLost, Unavailable, DeadlineExceeded):
                continue
            promises.signaled.add((workflow_id, name))
    # So that it ends.
    for number in range(SIGNALS):
        try:
            await insist(server, "SignalWorkflowExecution", _signal(workflow_id, f"late-{number}", f"late-{number}"))
        except NotFound:
            # It has ended, or was never started.
            return
    for number in range(promises.updates):
        try:
            await _update(server, promises, workflow_id, f"update-{number}")
        except NotFound:
            return


async def doomed_client(server: Server, promises: Promises, workflow_id: str) -> None:
    """Start one Doomed workflow, and cancel or terminate it after a while."""
    started = await insist(server, "StartWorkflowExecution", _start(workflow_id, "Doomed", f"start-{workflow_id}"))
    promises.started[workflow_id] = started.run_id
    await asyncio.sleep(server.chance.uniform(0, 10))
    execution = WorkflowExecution(workflow_id=workflow_id)
    if server.chance.random() < 0.5:
        cancel = RequestCancelWorkflowExecutionRequest(workflow_execution=execution, request_id=f"cancel-{workflow_id}")
        await insist(server, "RequestCancelWorkflowExecution", cancel)
    else:
        try:
            terminate = TerminateWorkflowExecutionRequest(workflow_execution=execution)
            await insist(server, "TerminateWorkflowExecution", terminate)
        except NotFound:
            # A call before this one was not answered, and was heard.
            return


async def activity_client(server: Server, promises: Promises, activity_id: str, activity_type: str) -> None:
    """Start one standalone activity and wait for its outcome."""
    started = await insist(
        server,
        "StartActivityExecution",
        StartActivityExecutionRequest(
            activity_id=activity_id,
            request_id=f"start-{activity_id}",
            activity_type=ActivityType(name=activity_type),
            task_queue=QUEUE,
            start_to_close_timeout=Duration(seconds=ATTEMPT_S),
            retry_policy=retry_policy(ACTIVITIES[activity_type]),
            id_reuse_policy=ActivityIdReusePolicy.ACTIVITY_ID_REUSE_POLICY_REJECT_DUPLICATE,
        ),
    )
    ended = PollActivityExecutionResponse()
    while not ended.run_id:
        ended = await insist(server, "PollActivityExecution", PollActivityExecutionRequest(activity_id=activity_id))
    assert ended.run_id == started.run_id
    promises.ended[activity_id] = ended.outcome


async def prober(server: Server, promises: Promises, workflow_id: str, pause_s: float) -> None:
    """Signals a workflow that no worker takes up, for ever, and looks at once whether all gateways show it."""
    request = _start(workflow_id, "Probe", f"start-{workflow_id}")
    request.task_queue.name = "nobody"
    promises.started[workflow_id] = (await insist(server, "StartWorkflowExecution", request)).run_id
    number = 0
    while True:
        await asyncio.sleep(server.chance.uniform(0, pause_s))
        number += 1
        try:
            await server.call(
                "SignalWorkflowExecution", _signal(workflow_id, f"probe-{number}", f"{workflow_id}-{number}")
            )
        except (ConnectionLost, Unavailable, DeadlineExceeded):
            continue
        await asyncio.gather(*(look(server, promises, workflow_id) for _ in range(4)))


async def reader(server: Server, promises: Promises, pause_s: float) -> None:
    """Looks at workflows for ever."""
    while True:
        await asyncio.sleep(server.chance.uniform(0, pause_s))
        if promises.started:
            await look(server, promises, server.chance.choice(sorted(promises.started)))


async def look(server: Server, promises: Promises, workflow_id: str) -> None:
    """Look at a workflow once: what was acknowledged or shown before the look began, it must show."""
    before = promises.seen[workflow_id]
    execution = WorkflowExecution(workflow_id=workflow_id, run_id=promises.started[workflow_id])
    try:
        if server.chance.random() < 0.7:
            described = await server.call(
                "DescribeWorkflowExecution", DescribeWorkflowExecutionRequest(execution=execution)
            )
            info = described.workflow_execution_info
            now = Seen(before.events, info.state_transition_count, info.HasField("close_time"))
        else:
            request = GetWorkflowExecutionHistoryRequest(execution=execution)
            page = await server.call("GetWorkflowExecutionHistory", request)
            now = _seen(page.history.events, before.transitions)
    except (ConnectionLost, Unavailable, DeadlineExceeded):
        return
    assert now == now.and_also(before), f"{workflow_id} was shown as it was: {now} after {before}"
    promises.seen[workflow_id] = promises.seen[workflow_id].and_also(now)


#: What is shown to SDKs of a running workflow task without being written.
_PROMISED = (EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED, EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED)


def _seen(events: Any, transitions: int) -> Seen:
    number = len(events)
    while number and events[number - 1].event_type in _PROMISED:
        number -= 1
    return Seen(number, transitions, bool(events) and events[-1].event_type in CLOSING)


CLOSING = (
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED,
)


async def workflow_worker(server: Server, promises: Promises, sticky: str = "") -> None:
    """Polls for workflow tasks for ever; now and then it dies with one in its hands.

    With the name of a sticky queue, which is to be its own, it remembers the workflows that it has worked on.
    """
    cache: dict[str, list[HistoryEvent]] = {}
    queues = [QUEUE]
    if sticky:
        queues.append(TaskQueue(name=sticky, kind=TaskQueueKind.TASK_QUEUE_KIND_STICKY, normal_name=QUEUE.name))
    await asyncio.gather(*(_work_on(server, promises, queue, queues[1:], cache) for queue in queues))


async def _work_on(
    server: Server, promises: Promises, queue: TaskQueue, sticky: list[TaskQueue], cache: dict[str, list[HistoryEvent]]
) -> None:
    while True:
        try:
            task = await server.call("PollWorkflowTaskQueue", PollWorkflowTaskQueueRequest(task_queue=queue))
            if not task.task_token:
                continue
            if server.chance.random() < 0.05:
                cache.clear()
                continue
            kind, workflow_id = task.workflow_type.name, task.workflow_execution.workflow_id
            events = await _whole_history(server, task, cache)
            answers, commands = answer_updates([message for message in task.messages if is_update(message)])
            outstanding = promises.updates - len(answers) // 2
            commands += decide(kind, workflow_id, events, outstanding)
            request = RespondWorkflowTaskCompletedRequest(
                task_token=task.task_token, commands=commands, messages=answers
            )
            if sticky:
                request.sticky_attributes.worker_task_queue.CopyFrom(sticky[0])
                request.sticky_attributes.schedule_to_start_timeout.FromSeconds(STICKY_S)
            await server.call("RespondWorkflowTaskCompleted", request)
            if sticky:
                cache[task.workflow_execution.run_id] = events
        except (ConnectionLost, Unavailable):
            await asyncio.sleep(0.1)
        except ServiceError:
            # Refused, because somebody else has the task by now, or because a signal came in between.
            continue


async def _whole_history(
    server: Server, task: PollWorkflowTaskQueueResponse, cache: dict[str, list[HistoryEvent]]
) -> list[HistoryEvent]:
    """All events of a workflow up to its task: those of the task, and those before from the cache or the server."""
    first = task.history.events[0].event_id
    # What is not there any more by now was never written: a task that came to nothing.
    known = cache.pop(task.workflow_execution.run_id, [])[: first - 1]
    if len(known) < first - 1:
        request = GetWorkflowExecutionHistoryRequest(execution=task.workflow_execution)
        page = await insist(server, "GetWorkflowExecutionHistory", request)
        known = list(page.history.events)[: first - 1]
    return [*known, *task.history.events]


async def activity_worker(server: Server, promises: Promises) -> None:
    """Polls for activity tasks for ever; some attempts fail, some are never heard of again."""
    while True:
        try:
            task = await server.call("PollActivityTaskQueue", PollActivityTaskQueueRequest(task_queue=QUEUE))
            if not task.task_token:
                continue
            promises.handed_out[task.workflow_execution.workflow_id or task.activity_id, task.activity_type.name] += 1
            await asyncio.sleep(server.chance.uniform(0, 1))
            fate = server.chance.random()
            if fate < 0.1:
                continue
            if fate < 0.3 and task.activity_type.name == "retried":
                failure = Failure(message="bad luck", application_failure_info=ApplicationFailureInfo())
                await server.call(
                    "RespondActivityTaskFailed",
                    RespondActivityTaskFailedRequest(task_token=task.task_token, failure=failure),
                )
            else:
                await server.call(
                    "RespondActivityTaskCompleted", RespondActivityTaskCompletedRequest(task_token=task.task_token)
                )
        except (ConnectionLost, Unavailable, DeadlineExceeded):
            await asyncio.sleep(0.1)
        except NotFound:
            continue


async def outcome(server: Server, workflow_id: str) -> list[HistoryEvent]:
    """The history of the workflow's current run, once it has closed."""
    request = GetWorkflowExecutionHistoryRequest(
        execution=WorkflowExecution(workflow_id=workflow_id), wait_new_event=True
    )
    events: list[HistoryEvent] = []
    while True:
        page = await insist(server, "GetWorkflowExecutionHistory", request)
        events += page.history.events
        if not page.next_page_token:
            return events
        request.next_page_token = page.next_page_token
