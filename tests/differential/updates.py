"""What a worker says about updates: protocol messages, and the commands that put them in order."""

from __future__ import annotations

from typing import Any

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message as ProtoMessage
from temporalio.api.protocol.v1 import Message
from temporalio.api.update.v1 import Acceptance, Meta, Outcome, Rejection, Request, Response
from temporalio.api.workflowservice.v1 import PollWorkflowTaskQueueResponse

from tests.differential.commands import protocol_message
from tests.differential.script import Script, failure, payloads


def request_of(message: Message) -> Request:
    """The update that came with a workflow task."""
    request = Request()
    message.body.Unpack(request)
    return request


def accepted(message: Message) -> Message:
    body = Acceptance(
        accepted_request_message_id=message.id,
        accepted_request_sequencing_event_id=message.event_id,
        accepted_request=request_of(message),
    )
    return _answer(message, "accept", body)


def rejected(message: Message, reason: str = "no") -> Message:
    body = Rejection(
        rejected_request_message_id=message.id,
        rejected_request_sequencing_event_id=message.event_id,
        rejected_request=request_of(message),
        failure=failure(reason),  # type: ignore[arg-type]
    )
    return _answer(message, "reject", body)


def completed(message: Message, result: str = "updated") -> Message:
    outcome = Outcome(success=payloads(result))
    return _answer(message, "complete", Response(meta=_meta(message), outcome=outcome))


def failed(message: Message, reason: str = "broken") -> Message:
    outcome = Outcome(failure=failure(reason))  # type: ignore[arg-type]
    return _answer(message, "complete", Response(meta=_meta(message), outcome=outcome))


def _meta(message: Message) -> Meta:
    return request_of(message).meta


def _answer(message: Message, step: str, body: ProtoMessage) -> Message:
    packed = AnyMessage()
    packed.Pack(body)
    return Message(
        id=f"{message.protocol_instance_id}/{step}", protocol_instance_id=message.protocol_instance_id, body=packed
    )


def say(s: Script, task: PollWorkflowTaskQueueResponse, *messages: Message, **fields: Any) -> Any:
    """Complete a task with messages and the commands that order them."""
    commands = [protocol_message(message.id) for message in messages if not message.id.endswith("/reject")]
    return s.complete(task, *commands, messages=list(messages), **fields)
