"""Requests of any shape: hypothesis strategies made from message descriptors."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

DEPTH_MAX = 3
_F = FieldDescriptor

_INT32 = st.sampled_from([0, 1, 2, -1, 7, 99, 2**31 - 1, -(2**31)])
_INT64 = st.sampled_from([0, 1, -1, 1_000_000_000, 2**63 - 1, -(2**63)])
_TEXT = st.sampled_from(["", "default", "absent", "q", "w", "\0", "'", "\N{EURO SIGN}" * 400, "x" * 1001, "@every 1s"])
_SCALARS: dict[int, st.SearchStrategy[Any]] = {
    _F.TYPE_STRING: _TEXT | st.text(max_size=20),
    _F.TYPE_BYTES: st.sampled_from([b"", b"\0", b"\xff" * 40]) | st.binary(max_size=20),
    _F.TYPE_BOOL: st.booleans(),
    _F.TYPE_INT32: _INT32,
    _F.TYPE_SINT32: _INT32,
    _F.TYPE_ENUM: _INT32,
    _F.TYPE_INT64: _INT64,
    _F.TYPE_SINT64: _INT64,
    _F.TYPE_UINT32: st.sampled_from([0, 1, 2**32 - 1]),
    _F.TYPE_UINT64: st.sampled_from([0, 1, 2**64 - 1]),
    _F.TYPE_FLOAT: st.floats(width=32),
    _F.TYPE_DOUBLE: st.floats(),
}


def fill(draw: st.DrawFn, message: Message, depth: int = 0) -> Message:
    """Sets some fields of the message to anything that their types allow."""
    for field in message.DESCRIPTOR.fields:
        if draw(st.integers(0, 2)) != 0:
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            _fill_map(draw, message, field, depth)
        elif field.message_type is not None:
            if depth < DEPTH_MAX:
                target = getattr(message, field.name)
                fill(draw, target.add() if field.is_repeated else target, depth + 1)
                if not field.is_repeated:
                    target.SetInParent()
        else:
            value = draw(_SCALARS[field.type])
            if field.is_repeated:
                getattr(message, field.name).append(value)
            else:
                setattr(message, field.name, value)
    return message


def _fill_map(draw: st.DrawFn, message: Message, field: FieldDescriptor, depth: int) -> None:
    key_field, value_field = field.message_type.fields_by_name["key"], field.message_type.fields_by_name["value"]
    key = draw(_SCALARS[key_field.type])
    target = getattr(message, field.name)
    if value_field.message_type is None:
        target[key] = draw(_SCALARS[value_field.type])
    elif depth < DEPTH_MAX:
        fill(draw, target[key], depth + 1)


@st.composite
def requests(draw: st.DrawFn, descriptor: Descriptor) -> Message:
    """Any message of this type."""
    return fill(draw, GetMessageClass(descriptor)())
