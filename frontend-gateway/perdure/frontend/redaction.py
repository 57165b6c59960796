"""Takes what belongs to the user out of an answer, for those who may see that things happen and not what they carry."""

from __future__ import annotations

from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload, SearchAttributes

#: What stands for a payload that is not shown. SDKs and the console decode it as nothing.
HIDDEN = Payload(metadata={"encoding": b"binary/null", "perdure-hidden": b"true"})

#: Lists are made of these, whoever may list may see them.
_SHOWN = frozenset({SearchAttributes.DESCRIPTOR.full_name})


def redact(message: Message) -> None:
    """Replace every payload in the message, however deep, by HIDDEN. Search attributes stay."""
    for field in _ways(message.DESCRIPTOR):
        if not field.is_repeated:
            if message.HasField(field.name):
                _redact_one(getattr(message, field.name))
            continue
        values: Any = getattr(message, field.name)
        if _is_map(field):
            values = values.values()
        for value in values:
            _redact_one(value)


def _redact_one(value: Message) -> None:
    if isinstance(value, Payload):
        value.CopyFrom(HIDDEN)
    else:
        redact(value)


@cache
def _ways(kind: Descriptor) -> tuple[FieldDescriptor, ...]:
    """The fields of such a message that can lead to a payload."""
    return tuple(
        field for field in kind.fields if (target := _target(field)) is not None and _leads(target, frozenset())
    )


def _target(field: FieldDescriptor) -> Descriptor | None:
    """The kind of message that the field holds, also as the values of a map."""
    kind = field.message_type
    if kind is not None and _is_map(field):
        kind = kind.fields_by_name["value"].message_type
    return None if kind is None or kind.full_name in _SHOWN else kind


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _leads(kind: Descriptor, seen: frozenset[str]) -> bool:
    """Whether a payload is somewhere in such a message. `seen` is what it is a part of."""
    if kind.full_name == Payload.DESCRIPTOR.full_name:
        return True
    if kind.full_name in seen:
        return False
    targets = [target for field in kind.fields if (target := _target(field)) is not None]
    return any(_leads(target, seen | {kind.full_name}) for target in targets)
