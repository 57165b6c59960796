"""Messages as HTTP requests, with the JSON of the protobuf library: what transcoding has to undo."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from google.protobuf import json_format
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st
from temporalio.api.cloud.cloudservice.v1 import service_pb2 as cloud
from temporalio.api.operatorservice.v1 import service_pb2 as operator
from temporalio.api.workflowservice.v1 import service_pb2 as workflow

from perdure.kernel.transcoding.routes import Binding
from tests.support.fuzz import fill

SERVICES: list[ServiceDescriptor] = [
    cloud.DESCRIPTOR.services_by_name["CloudService"],
    workflow.DESCRIPTOR.services_by_name["WorkflowService"],
    operator.DESCRIPTOR.services_by_name["OperatorService"],
]
_ANY_JSON = {"google.protobuf.Any", "google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue"}


class HttpRequest(NamedTuple):
    method: str
    path: str
    query: str
    body: bytes


@st.composite
def messages(draw: st.DrawFn, binding: Binding) -> Message:
    """Requests of the RPC that have something in the path's fields, and nothing that JSON cannot say."""
    message = fill(draw, GetMessageClass(binding.rpc.input_type)())
    make_expressible(message)
    for variable in binding.template.variables:
        *parents, last = variable.field.split(".")
        owner: Any = message
        for parent in parents:
            owner = getattr(owner, parent)
        setattr(
            owner, last, draw(st.text(min_size=1, max_size=20) | st.sampled_from(["a/b", "*", "**", ":", "%2F", "."]))
        )
    if not binding.body:
        _clear_empty(message)
    return message


def make_expressible(message: Message) -> None:
    """Bring times into the range of JSON, and clear what can hold any JSON."""
    for field, value in message.ListFields():
        kind = field.message_type
        if kind is None:
            continue
        if kind.GetOptions().map_entry:
            if kind.fields_by_name["value"].message_type is not None:
                for item in value.values():
                    _adjust(item)
        elif kind.full_name in _ANY_JSON:
            message.ClearField(field.name)
        else:
            for item in value if field.is_repeated else [value]:
                _adjust(item)


def _adjust(message: Any) -> None:
    name = message.DESCRIPTOR.full_name
    if name == "google.protobuf.Timestamp":
        message.seconds, message.nanos = message.seconds % 250_000_000_000, message.nanos % 1_000_000_000
    elif name == "google.protobuf.Duration":
        message.seconds, message.nanos = message.seconds % 300_000_000_000, message.nanos % 1_000_000_000
    elif name == "google.protobuf.FieldMask":
        message.paths[:] = ["workflow_id", "spec.name"][: len(message.paths)]
    else:
        make_expressible(message)


def _clear_empty(message: Message) -> None:
    """A query cannot say that a message is there, but empty."""
    for field, value in message.ListFields():
        if field.message_type is not None and not field.is_repeated:
            _clear_empty(value)
            if not value.ByteSize() and not field.message_type.full_name.startswith("google.protobuf."):
                message.ClearField(field.name)


def compose(binding: Binding, message: Message) -> HttpRequest:
    """The request that means the message."""
    path = binding.template.text
    rest = type(message)()
    rest.CopyFrom(message)
    for variable in binding.template.variables:
        *parents, last = variable.field.split(".")
        owner: Any = rest
        for parent in parents:
            owner = getattr(owner, parent)
        path = path.replace("{" + variable.field + "}", quote(getattr(owner, last), safe=""))
        owner.ClearField(last)
    value = json_format.MessageToDict(rest)
    if binding.body == "*":
        return HttpRequest(binding.method, path, "", json_format.MessageToJson(rest, indent=None).encode())
    return HttpRequest(binding.method, path, urlencode(list(_parameters(value, ""))), b"")


def _parameters(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _parameters(item, f"{name}.{key}" if name else key)
    elif isinstance(value, list):
        for item in value:
            yield from _parameters(item, name)
    else:
        yield name, ("true" if value else "false") if isinstance(value, bool) else str(value)
