"""The one rule for ids and names, whatever they name: the character NUL is not in them.

They become texts of the stores, where Postgres has no room for that character. Payloads, failures, notes and the like
are stored as bytes and may hold anything.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from perdure.kernel.errors import InvalidArgument

#: Fields with these endings are ids and names.
_ENDINGS = ("id", "name", "namespace")
_PUBLIC = "temporal.api."
#: What only ever becomes part of a blob.
_FREE = ("temporal.api.failure.", "temporal.api.nexus.", "temporal.api.deployment.")


def check_names(message: Message) -> None:
    """Check every id and name of a request, or of the attributes of a command, at any depth.

    What repeats is not looked at: lists and maps have rules of their own, where those that read them are.

    Raises:
        InvalidArgument: one has a NUL. The message says which.
    """
    _check(message, _plan(message.DESCRIPTOR), "")


def check_name(what: str, name: str) -> None:
    """Check one id or name. Raises InvalidArgument."""
    if "\0" in name:
        raise InvalidArgument(f"{what} must not contain the character NUL.")


class _Plan(NamedTuple):
    """Where ids and names are in messages of a type: in which fields, and inside which messages."""

    names: tuple[str, ...]
    inside: tuple[tuple[str, _Plan], ...]


def _check(message: Message, plan: _Plan, place: str) -> None:
    for field in plan.names:
        if "\0" in getattr(message, field):
            check_name(place + _shown(field), getattr(message, field))
    for field, inner in plan.inside:
        if message.HasField(field):
            _check(getattr(message, field), inner, f"{place}{_shown(field)}.")


@cache
def _plan(descriptor: Descriptor) -> _Plan:
    names, inside = [], []
    for field in descriptor.fields:
        if field.is_repeated:
            continue
        if field.type == FieldDescriptor.TYPE_STRING and field.name.endswith(_ENDINGS):
            names.append(field.name)
        elif field.message_type is not None and _may_have_names(field.message_type):
            plan = _plan(field.message_type)
            if plan.names or plan.inside:
                inside.append((field.name, plan))
    return _Plan(tuple(names), tuple(inside))


def _may_have_names(descriptor: Descriptor) -> bool:
    return descriptor.full_name.startswith(_PUBLIC) and not descriptor.full_name.startswith(_FREE)


def _shown(field: str) -> str:
    """A field as messages spell it: workflow_id is WorkflowId."""
    return "".join(word.capitalize() for word in field.split("_"))
