"""Whoever may see that things happen and not what they carry sees no payload, wherever it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from temporalio.api.common.v1 import Payload, SearchAttributes

from perdure.frontend.redaction import HIDDEN, redact
from perdure.frontend.routes import WORKFLOW_SERVICE

_SECRET = b"the user's own"
_DEPTH_MAX = 9


@pytest.mark.parametrize("method", list(WORKFLOW_SERVICE.methods), ids=lambda method: method.name)
def test_no_payload_is_left_in_any_answer(method: MethodDescriptor) -> None:
    answer = GetMessageClass(method.output_type)()
    _fill(answer, method.output_type, frozenset())
    redact(answer)
    for kind, payload in _payloads(answer):
        assert payload == (Payload(data=_SECRET) if kind == SearchAttributes.DESCRIPTOR.full_name else HIDDEN)


def _fill(message: Any, kind: Descriptor, seen: frozenset[str]) -> None:
    """Put a secret wherever there can be one; of kinds that hold themselves, one level."""
    if kind.full_name == Payload.DESCRIPTOR.full_name:
        message.data = _SECRET
        return
    if kind.full_name in seen or len(seen) > _DEPTH_MAX:
        return
    for field in kind.fields:
        held = field.message_type
        if held is None or held.full_name.startswith("google.protobuf."):
            continue
        value = getattr(message, field.name)
        if held.GetOptions().map_entry:
            of_values = held.fields_by_name["value"].message_type
            if of_values is not None:
                key: Any = "key" if held.fields_by_name["key"].type == held.fields_by_name["key"].TYPE_STRING else 1
                _fill(value[key], of_values, seen | {kind.full_name})
        elif field.is_repeated:
            _fill(value.add(), held, seen | {kind.full_name})
        elif field.containing_oneof is None or field.containing_oneof.fields[0] is field:
            value.SetInParent()
            _fill(value, held, seen | {kind.full_name})


def _payloads(message: Message) -> Iterator[tuple[str, Payload]]:
    for field, value in message.ListFields():
        held = field.message_type
        if held is None:
            continue
        if held.GetOptions().map_entry:
            values = list(value.values()) if held.fields_by_name["value"].message_type else []
        else:
            values = list(value) if field.is_repeated else [value]
        for one in values:
            if isinstance(one, Payload):
                yield message.DESCRIPTOR.full_name, one
            else:
                yield from _payloads(one)


def test_what_a_history_carries_is_found() -> None:
    """Or the test above would pass with nothing in its answers."""
    method = WORKFLOW_SERVICE.methods_by_name["GetWorkflowExecutionHistory"]
    answer = GetMessageClass(method.output_type)()
    _fill(answer, method.output_type, frozenset())
    assert list(_payloads(answer))
