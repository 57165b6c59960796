"""Search attributes that were renamed: executions keep the name that they had, clients know the one that it is now."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.message import Message
from temporalio.api.common.v1 import SearchAttributes

from perdure.frontend.parts import parts
from perdure.kernel.ids import ExecutionKind
from perdure.kernel.namespace import Namespace
from perdure.kernel.visibility.parser import parse
from perdure.kernel.visibility.query import Query


def take_in(request: Message, namespace: Namespace) -> None:
    """Give all search attributes in a request the names that executions have.

    One that is called as it was called before gets a name that none has, and is refused where all are that do not
    exist: a workflow that sets it has to fail its task, with a reason.
    """
    stored = namespace.stored_attributes
    unknown = {name: f"{name} (renamed)" for name in namespace.attribute_names if name not in stored}
    for attributes in parts(request, SearchAttributes):
        _rename(attributes, {**stored, **unknown})


def give_out(response: Message, namespace: Namespace) -> None:
    """Give all search attributes in an answer the names that clients know."""
    for attributes in parts(response, SearchAttributes):
        _rename(attributes, namespace.attribute_names)


def parse_for(text: str, namespace: Namespace, kind: ExecutionKind = ExecutionKind.WORKFLOW) -> Query:
    """A query as clients of this namespace write it. Raises InvalidArgument: see `parse`."""
    return parse(text, namespace.shown_attributes, kind, namespace.stored_attributes)


def _rename(attributes: SearchAttributes, names: Mapping[str, str]) -> None:
    fields = attributes.indexed_fields
    if not names.keys() & fields.keys():
        return
    renamed = SearchAttributes()
    for name, payload in fields.items():
        renamed.indexed_fields[names.get(name, name)].CopyFrom(payload)
    attributes.CopyFrom(renamed)
