"""What the simulated workflows are: the commands that follow from a history. Each ends only if nothing is lost.

- Busy: two activities, a timer, a child, a signal to that child, updates; it ends when it has got everything.
- Child: waits for the signal of its parent.
- Probe: never gets to do anything.
- Doomed: starts a child and waits until it is canceled or terminated, which is also its child's end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message as ProtoMessage
from temporalio.api.command.v1 import (
    CancelWorkflowExecutionCommandAttributes,
    Command,
    CompleteWorkflowExecutionCommandAttributes,
    ProtocolMessageCommandAttributes,
    ScheduleActivityTaskCommandAttributes,
    SignalExternalWorkflowExecutionCommandAttributes,
    StartChildWorkflowExecutionCommandAttributes,
    StartTimerCommandAttributes,
)
from temporalio.api.common.v1 import ActivityType, Payload, Payloads, RetryPolicy, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import CommandType, EventType, ParentClosePolicy
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.protocol.v1 import Message
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.update.v1 import Acceptance, Outcome, Request, Response

QUEUE = TaskQueue(name="simulated")
#: To each Busy workflow, besides updates.
SIGNALS = 3
GO = "go"
#: Activity id -> attempts allowed. `once` must never run twice; `retried` fails now and then.
ACTIVITIES = {"once": 1, "retried": 0}
TIMER_S = 2
#: How long an attempt of an activity may take.
ATTEMPT_S = 6
#: How long a workflow task waits for the worker that knows the workflow.
STICKY_S = 5

ENDED = (
    EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT,
)


def child_of(workflow_id: str) -> str:
    return f"{workflow_id}.child"


def kinds_of(events: Sequence[HistoryEvent]) -> Counter[int]:
    return Counter(event.event_type for event in events)


def decide(kind: str, workflow_id: str, events: Sequence[HistoryEvent], updates: int) -> list[Command]:
    """What a workflow wants done, from its whole history."""
    seen = kinds_of(events)
    match kind:
        case "Busy":
            return _busy(workflow_id, seen, updates)
        case "Child":
            return [_complete()] if seen[EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED] else []
        case _:
            return _doomed(workflow_id, seen)


def _busy(workflow_id: str, seen: Counter[int], updates: int) -> list[Command]:
    if not seen[EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED]:
        activities = [_activity(name, attempts) for name, attempts in ACTIVITIES.items()]
        return [*activities, _timer(), _child(workflow_id)]
    commands = []
    if (
        seen[EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED]
        and not seen[EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED]
    ):
        commands.append(_signal_child(workflow_id))
    if (
        sum(seen[kind] for kind in ENDED) == len(ACTIVITIES)
        and seen[EventType.EVENT_TYPE_TIMER_FIRED]
        and seen[EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED]
        and seen[EventType.EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_SIGNALED]
        and seen[EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED] >= SIGNALS
        and seen[EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED] >= updates
    ):
        commands.append(_complete())
    return commands


def _doomed(workflow_id: str, seen: Counter[int]) -> list[Command]:
    if seen[EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED]:
        return [
            Command(
                command_type=CommandType.COMMAND_TYPE_CANCEL_WORKFLOW_EXECUTION,
                cancel_workflow_execution_command_attributes=CancelWorkflowExecutionCommandAttributes(),
            )
        ]
    if not seen[EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED]:
        return [_child(workflow_id)]
    return []


def _complete() -> Command:
    return Command(
        command_type=CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION,
        complete_workflow_execution_command_attributes=CompleteWorkflowExecutionCommandAttributes(),
    )


def _activity(name: str, attempts: int) -> Command:
    return Command(
        command_type=CommandType.COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK,
        schedule_activity_task_command_attributes=ScheduleActivityTaskCommandAttributes(
            activity_id=name,
            activity_type=ActivityType(name=name),
            task_queue=QUEUE,
            start_to_close_timeout=Duration(seconds=ATTEMPT_S),
            retry_policy=retry_policy(attempts),
        ),
    )


def retry_policy(attempts: int) -> RetryPolicy:
    return RetryPolicy(maximum_attempts=attempts, maximum_interval=Duration(seconds=2))


def _timer() -> Command:
    return Command(
        command_type=CommandType.COMMAND_TYPE_START_TIMER,
        start_timer_command_attributes=StartTimerCommandAttributes(
            timer_id="timer", start_to_fire_timeout=Duration(seconds=TIMER_S)
        ),
    )


def _child(workflow_id: str) -> Command:
    return Command(
        command_type=CommandType.COMMAND_TYPE_START_CHILD_WORKFLOW_EXECUTION,
        start_child_workflow_execution_command_attributes=StartChildWorkflowExecutionCommandAttributes(
            workflow_id=child_of(workflow_id),
            workflow_type=WorkflowType(name="Child"),
            task_queue=QUEUE,
            parent_close_policy=ParentClosePolicy.PARENT_CLOSE_POLICY_TERMINATE,
        ),
    )


def _signal_child(workflow_id: str) -> Command:
    return Command(
        command_type=CommandType.COMMAND_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION,
        signal_external_workflow_execution_command_attributes=SignalExternalWorkflowExecutionCommandAttributes(
            execution=WorkflowExecution(workflow_id=child_of(workflow_id)), signal_name=GO, child_workflow_only=True
        ),
    )


def answer_updates(messages: Sequence[Message]) -> tuple[list[Message], list[Command]]:
    """Accept each update and complete it at once; its result is its id."""
    answers = []
    for message in messages:
        request = Request()
        message.body.Unpack(request)
        accepted = Acceptance(
            accepted_request_message_id=message.id,
            accepted_request_sequencing_event_id=message.event_id,
            accepted_request=request,
        )
        result = Payloads(payloads=[Payload(data=request.meta.update_id.encode())])
        completed = Response(meta=request.meta, outcome=Outcome(success=result))
        answers += [_answer(message, "accept", accepted), _answer(message, "complete", completed)]
    commands = [
        Command(
            command_type=CommandType.COMMAND_TYPE_PROTOCOL_MESSAGE,
            protocol_message_command_attributes=ProtocolMessageCommandAttributes(message_id=answer.id),
        )
        for answer in answers
    ]
    return answers, commands


def _answer(message: Message, step: str, body: ProtoMessage) -> Message:
    packed = AnyMessage()
    packed.Pack(body)
    instance = message.protocol_instance_id
    return Message(id=f"{instance}/{step}", protocol_instance_id=instance, body=packed)


def is_update(message: Any) -> bool:
    return bool(message.body.Is(Request.DESCRIPTOR))
