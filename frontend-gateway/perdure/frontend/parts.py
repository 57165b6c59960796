"""Finds all messages of a kind in another one, however deep."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, TypeVar

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

M = TypeVar("M", bound=Message)


def parts(message: Message, wanted: type[M], closed: frozenset[str] = frozenset()) -> Iterator[M]:
    """Those within the message. What kinds with these full names hold is left alone."""
    for field in _ways(message.DESCRIPTOR, wanted.DESCRIPTOR.full_name, closed):
        if not field.is_repeated:
            if message.HasField(field.name):
                yield from _of(getattr(message, field.name), wanted, closed)
            continue
        values: Any = getattr(message, field.name)
        if _is_map(field):
            values = values.values()
        for value in values:
            yield from _of(value, wanted, closed)


def _of(value: Message, wanted: type[M], closed: frozenset[str]) -> Iterator[M]:
    if isinstance(value, wanted):
        yield value
    else:
        yield from parts(value, wanted, closed)


@cache
def _ways(kind: Descriptor, wanted: str, closed: frozenset[str]) -> tuple[FieldDescriptor, ...]:
    """The fields of such a message that can lead to what is wanted."""
    return tuple(
        field
        for field in kind.fields
        if (target := _target(field, closed)) is not None and _leads(target, wanted, closed, frozenset())
    )


def _target(field: FieldDescriptor, closed: frozenset[str]) -> Descriptor | None:
    """The kind of message that the field holds, also as the values of a map."""
    kind = field.message_type
    if kind is not None and _is_map(field):
        kind = kind.fields_by_name["value"].message_type
    return None if kind is None or kind.full_name in closed else kind


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _leads(kind: Descriptor, wanted: str, closed: frozenset[str], seen: frozenset[str]) -> bool:
    """Whether one is somewhere in such a message. `seen` is what it is a part of."""
    if kind.full_name == wanted:
        return True
    if kind.full_name in seen:
        return False
    targets = [target for field in kind.fields if (target := _target(field, closed)) is not None]
    return any(_leads(target, wanted, closed, seen | {kind.full_name}) for target in targets)
