"""What the fields of a specification are, from the API's own description."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

#: Messages that are one value in proto3 JSON.
_VALUES = {
    "google.protobuf.Timestamp": "time, such as 2026-11-01T10:00:00Z",
    "google.protobuf.Duration": "duration, such as 900s",
    "google.protobuf.Struct": "JSON object",
}
_DEPTH_MAX = 6


class Field(NamedTuple):
    """`path` is what `--set` takes."""

    path: str
    kind: str


def fields(message: Descriptor, before: str = "", depth: int = 0) -> Iterator[Field]:
    """All of them, those of messages in them included, without what is there in the words of the past."""
    for field in message.fields:
        if field.GetOptions().deprecated or field.name.endswith("_deprecated"):
            continue
        yield from _of(field, f"{before}{field.json_name}", depth)


def names_of(enum: EnumDescriptor) -> list[str]:
    """Its values as they are written, without the one that is none."""
    return [value.name for value in enum.values if value.number]


def _of(field: FieldDescriptor, path: str, depth: int) -> Iterator[Field]:
    held = field.message_type
    if held is not None and held.GetOptions().map_entry:
        yield from _of(held.fields_by_name["value"], f"{path}.NAME", depth + 1)
        return
    if field.is_repeated:
        yield Field(path, f"JSON list of {_kind(field)}")
        return
    if held is None or held.full_name in _VALUES:
        yield Field(path, _kind(field))
        return
    if not held.fields:
        yield Field(path, "{}")
    elif depth < _DEPTH_MAX:
        yield from fields(held, f"{path}.", depth + 1)


def _kind(field: FieldDescriptor) -> str:
    if field.enum_type is not None:
        return f"one of {', '.join(names_of(field.enum_type))}"
    if field.message_type is not None:
        held = field.message_type
        return _VALUES.get(held.full_name) or f"{{{', '.join(each.json_name for each in held.fields)}}}"
    match field.type:
        case field.TYPE_STRING:
            return "text"
        case field.TYPE_BYTES:
            return "@FILE"
        case field.TYPE_BOOL:
            return "true or false"
    return "number"
