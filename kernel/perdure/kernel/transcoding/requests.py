"""PURE. The message of an RPC from the parts of an HTTP request: the path, the query and the body."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import parse_qsl

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from perdure.kernel.errors import InvalidArgument
from perdure.kernel.transcoding import jsontext
from perdure.kernel.transcoding.decode import TEXTUAL, Decoder, fields_of, from_text, is_map
from perdure.kernel.transcoding.routes import TARGET_BYTES_MAX, WHOLE_BODY, Match

PARAMETERS_MAX = 1000
PRETTY = "pretty"
NO_SHORTHAND = "noPayloadShorthand"


class JsonStyle(NamedTuple):
    """How JSON is spelled: indented answers, and payloads in shorthand (see `payloads`)."""

    pretty: bool = False
    shorthand: bool = False


class Query(NamedTuple):
    style: JsonStyle
    parameters: dict[str, list[str]]


def parse_query(text: str, *, shorthand: bool = False) -> Query:
    """The parameters of a query, without those that say how JSON is spelled. `shorthand` says whether the service has
    shorthand payloads at all.

    Raises:
        InvalidArgument: the query is too long, has too many parameters or is not UTF-8.
    """
    if len(text) > TARGET_BYTES_MAX:
        raise InvalidArgument(f"query is longer than {TARGET_BYTES_MAX} bytes")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=PARAMETERS_MAX)
    except UnicodeDecodeError as error:
        raise InvalidArgument("query is not UTF-8") from error
    except ValueError as error:
        raise InvalidArgument(f"query has more than {PARAMETERS_MAX} parameters") from error
    parameters: dict[str, list[str]] = {}
    for name, value in pairs:
        parameters.setdefault(name, []).append(value)
    pretty = parameters.pop(PRETTY, None) is not None
    at_length = shorthand and parameters.pop(NO_SHORTHAND, None) is not None
    return Query(JsonStyle(pretty, shorthand and not at_length), parameters)


def build_request(match: Match, query: Query, body: bytes) -> Message:
    """The request message. The path counts for more than the body, where both have a field.

    Raises:
        InvalidArgument: a part is not what the RPC's annotation says; names the field.
    """
    binding = match.binding
    message = GetMessageClass(binding.rpc.input_type)()
    decoder = Decoder(shorthand=query.style.shorthand)
    if not binding.body and body:
        raise InvalidArgument("body: this method takes none")
    if body:
        value = jsontext.parse(body)
        if binding.body == WHOLE_BODY:
            decoder.read(value, message)
        else:
            field = binding.rpc.input_type.fields_by_name[binding.body]
            decoder.read_field(value, message, field, field.json_name)
    taken: set[str] = set()
    for path, text in match.variables.items():
        _set(decoder, message, path, [text], path)
        taken.add(path)
    unknown = [
        name for name in query.parameters if binding.body == WHOLE_BODY or not _find(binding.rpc.input_type, name)
    ]
    if unknown:
        raise InvalidArgument(f"unknown query parameters: {', '.join(map(jsontext.shown, unknown[:10]))}")
    for name, values in query.parameters.items():
        path = ".".join(field.name for field in _find(binding.rpc.input_type, name))
        if path in taken:
            raise InvalidArgument(f"{name}: given twice")
        if path.partition(".")[0] == binding.body:
            raise InvalidArgument(f"{name}: belongs into the body")
        taken.add(path)
        _set(decoder, message, path, values, name)
    return message


def is_parameter(field: FieldDescriptor) -> bool:
    """Whether a text, or several if it is repeated, can be the field's value."""
    return not is_map(field) and (field.message_type is None or field.message_type.full_name in TEXTUAL)


def _find(message: Descriptor, name: str) -> list[FieldDescriptor]:
    """The fields on the way to a parameter, by names of JSON or of the proto file; empty if it is none."""
    steps: list[FieldDescriptor] = []
    at: Descriptor | None = message
    for part in name.split("."):
        field = fields_of(at).get(part) if at is not None else None
        if field is None or is_map(field):
            return []
        steps.append(field)
        at = None if is_parameter(field) or field.is_repeated else field.message_type
    return steps if is_parameter(steps[-1]) else []


def _set(decoder: Decoder, message: Message, path: str, values: list[str], shown: str) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        _refuse_second_of_oneof(message, fields_of(message.DESCRIPTOR)[parent], shown)
        message = getattr(message, parent)
        message.SetInParent()
    field = fields_of(message.DESCRIPTOR)[last]
    _refuse_second_of_oneof(message, field, shown)
    if field.is_repeated:
        decoder.read_field([from_text(value, field) for value in values], message, field, shown)
    elif len(values) > 1:
        raise InvalidArgument(f"{shown}: given {len(values)} times")
    else:
        decoder.read_field(from_text(values[0], field), message, field, shown)


def _refuse_second_of_oneof(message: Message, field: FieldDescriptor, shown: str) -> None:
    oneof = field.containing_oneof
    given = message.WhichOneof(oneof.name) if oneof is not None else None
    if given not in (None, field.name):
        raise InvalidArgument(f"{shown}: excludes {given}, which is also given")
