"""Clients and workers of the simulated server, and what they were promised."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from temporalio.api.activity.v1 import ActivityExecutionOutcome
from temporalio.api.command.v1 import (
    Command,
    CompleteWorkflowExecutionCommandAttributes,
    ScheduleActivityTaskCommandAttributes,
    StartTimerCommandAttributes,
)
from temporalio.api.common.v1 import ActivityType, RetryPolicy, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import ActivityIdReusePolicy, CommandType, EventType
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    GetWorkflowExecutionHistoryRequest,
    PollActivityExecutionRequest,
    PollActivityExecutionResponse,
    PollActivityTaskQueueRequest,
    PollWorkflowTaskQueueRequest,
    RespondActivityTaskCompletedRequest,
    RespondActivityTaskFailedRequest,
    RespondWorkflowTaskCompletedRequest,
    SignalWorkflowExecutionRequest,
    StartActivityExecutionRequest,
    StartWorkflowExecutionRequest,
)

from perdure.kernel.errors import NotFound, ServiceError, Unavailable
from tests.simulation.cluster import Cluster, ConnectionLost

QUEUE = TaskQueue(name="simulated")
SIGNALS = 3
#: Activity id -> attempts allowed. `once` must never run twice; `retried` fails now and then.
ACTIVITIES = {"once": 1, "retried": 0}
_ENDED = {
    EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT,
}


@dataclass
class Promises:
    """What the server has acknowledged, and what workers were handed."""

    started: dict[str, str] = field(default_factory=dict)
    signaled: set[tuple[str, str]] = field(default_factory=set)
    handed_out: Counter[tuple[str, str]] = field(default_factory=Counter)
    ended: dict[str, ActivityExecutionOutcome] = field(default_factory=dict)


async def insist(cluster: Cluster, rpc: str, request: Message) -> Any:
    """Call until the server answers, with the same request id each time."""
    while True:
        try:
            return await cluster.call(rpc, request)
        except (ConnectionLost, Unavailable):
            await asyncio.sleep(0.2)


async def client(cluster: Cluster, promises: Promises, workflow_id: str) -> None:
    """Start one workflow and send it its signals."""
    started = await insist(
        cluster,
        "StartWorkflowExecution",
        StartWorkflowExecutionRequest(
            workflow_id=workflow_id,
            request_id=f"start-{workflow_id}",
            workflow_type=WorkflowType(name="Simulated"),
            task_queue=QUEUE,
        ),
    )
    promises.started[workflow_id] = started.run_id
    for number in range(SIGNALS):
        await asyncio.sleep(cluster.chance.uniform(0, 5))
        await insist(
            cluster,
            "SignalWorkflowExecution",
            SignalWorkflowExecutionRequest(
                workflow_execution=WorkflowExecution(workflow_id=workflow_id),
                signal_name=f"signal-{number}",
                request_id=f"{workflow_id}-{number}",
            ),
        )
        promises.signaled.add((workflow_id, f"signal-{number}"))


async def activity_client(cluster: Cluster, promises: Promises, activity_id: str, activity_type: str) -> None:
    """Start one standalone activity and wait for its outcome."""
    started = await insist(
        cluster,
        "StartActivityExecution",
        StartActivityExecutionRequest(
            activity_id=activity_id,
            request_id=f"start-{activity_id}",
            activity_type=ActivityType(name=activity_type),
            task_queue=QUEUE,
            start_to_close_timeout=Duration(seconds=20),
            retry_policy=RetryPolicy(maximum_attempts=ACTIVITIES[activity_type]),
            id_reuse_policy=ActivityIdReusePolicy.ACTIVITY_ID_REUSE_POLICY_REJECT_DUPLICATE,
        ),
    )
    ended = PollActivityExecutionResponse()
    while not ended.run_id:
        ended = await insist(cluster, "PollActivityExecution", PollActivityExecutionRequest(activity_id=activity_id))
    assert ended.run_id == started.run_id
    promises.ended[activity_id] = ended.outcome


async def workflow_worker(cluster: Cluster) -> None:
    """Polls for workflow tasks for ever; now and then it dies with one in its hands."""
    while True:
        try:
            task = await cluster.call("PollWorkflowTaskQueue", PollWorkflowTaskQueueRequest(task_queue=QUEUE))
            if not task.task_token or cluster.chance.random() < 0.05:
                continue
            await cluster.call(
                "RespondWorkflowTaskCompleted",
                RespondWorkflowTaskCompletedRequest(
                    task_token=task.task_token, commands=_commands(task.history.events)
                ),
            )
        except (ConnectionLost, Unavailable):
            await asyncio.sleep(0.1)
        except ServiceError:
            # Refused, because somebody else has the task by now, or because a signal came in between.
            continue


def _commands(events: Any) -> list[Command]:
    kinds = Counter(event.event_type for event in events)
    if not kinds[EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED]:
        return [*(_activity(name, attempts) for name, attempts in ACTIVITIES.items()), _timer()]
    ended = sum(kinds[kind] for kind in _ENDED)
    if (
        ended == len(ACTIVITIES)
        and kinds[EventType.EVENT_TYPE_TIMER_FIRED]
        and kinds[EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED] == SIGNALS
    ):
        return [
            Command(
                command_type=CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION,
                complete_workflow_execution_command_attributes=CompleteWorkflowExecutionCommandAttributes(),
            )
        ]
    return []


def _activity(name: str, attempts: int) -> Command:
    return Command(
        command_type=CommandType.COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK,
        schedule_activity_task_command_attributes=ScheduleActivityTaskCommandAttributes(
            activity_id=name,
            activity_type=ActivityType(name=name),
            task_queue=QUEUE,
            start_to_close_timeout=Duration(seconds=20),
            retry_policy=RetryPolicy(maximum_attempts=attempts),
        ),
    )


def _timer() -> Command:
    return Command(
        command_type=CommandType.COMMAND_TYPE_START_TIMER,
        start_timer_command_attributes=StartTimerCommandAttributes(
            timer_id="timer", start_to_fire_timeout=Duration(seconds=7)
        ),
    )


async def activity_worker(cluster: Cluster, promises: Promises) -> None:
    """Polls for activity tasks for ever; some attempts fail, some are never heard of again."""
    while True:
        try:
            task = await cluster.call("PollActivityTaskQueue", PollActivityTaskQueueRequest(task_queue=QUEUE))
            if not task.task_token:
                continue
            promises.handed_out[task.workflow_execution.workflow_id or task.activity_id, task.activity_type.name] += 1
            await asyncio.sleep(cluster.chance.uniform(0, 1))
            fate = cluster.chance.random()
            if fate < 0.1:
                continue
            if fate < 0.3 and task.activity_type.name == "retried":
                failure = Failure(message="bad luck", application_failure_info=ApplicationFailureInfo())
                await cluster.call(
                    "RespondActivityTaskFailed",
                    RespondActivityTaskFailedRequest(task_token=task.task_token, failure=failure),
                )
            else:
                await cluster.call(
                    "RespondActivityTaskCompleted", RespondActivityTaskCompletedRequest(task_token=task.task_token)
                )
        except (ConnectionLost, Unavailable):
            await asyncio.sleep(0.1)
        except NotFound:
            continue


async def outcome(cluster: Cluster, workflow_id: str) -> list[Any]:
    """The history of the workflow's run, once it has closed."""
    request = GetWorkflowExecutionHistoryRequest(
        execution=WorkflowExecution(workflow_id=workflow_id), wait_new_event=True
    )
    events: list[Any] = []
    while True:
        page = await insist(cluster, "GetWorkflowExecutionHistory", request)
        events += page.history.events
        if not page.next_page_token:
            return events
        request.next_page_token = page.next_page_token
