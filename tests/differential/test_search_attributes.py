"""Search attributes of a namespace: added, listed, removed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio.api.enums.v1 import IndexedValueType

from tests.differential.compare import scenario
from tests.differential.script import Script

_KEYWORD = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
_INT = IndexedValueType.INDEXED_VALUE_TYPE_INT


def _register(s: Script) -> str:
    name = s.name("ns")
    s.call("RegisterNamespace", namespace=name, workflow_execution_retention_period=timedelta(days=3), silent=True)
    return name


def _await_listed(s: Script, namespace: str, *names: str) -> None:
    def listed() -> Any:
        return s.call("ListSearchAttributes", namespace=namespace, silent=True).custom_attributes

    s.await_until(lambda: set(listed()) == set(names))
    s.call("ListSearchAttributes", namespace=namespace)


@scenario
def test_life(s: Script) -> None:
    namespace = _register(s)
    s.call("AddSearchAttributes", namespace=namespace, search_attributes={"Colour": _KEYWORD, "Size": _INT})
    _await_listed(s, namespace, "Colour", "Size")
    s.call("AddSearchAttributes", namespace=namespace, search_attributes={"Colour": _KEYWORD}, refused=True)
    s.call("RemoveSearchAttributes", namespace=namespace, search_attributes=["Colour"])
    _await_listed(s, namespace, "Size")


@scenario
def test_too_many_of_a_type(s: Script) -> None:
    namespace = _register(s)
    for number in range(3):
        s.call("AddSearchAttributes", namespace=namespace, search_attributes={f"Size{number}": _INT})
    _await_listed(s, namespace, "Size0", "Size1", "Size2")
    s.call("AddSearchAttributes", namespace=namespace, search_attributes={"Size3": _INT}, refused=True)


@scenario
def test_refused(s: Script) -> None:
    namespace = _register(s)
    for name, kind in (("WorkflowId", _KEYWORD), ("TemporalColour", _KEYWORD), ("Colour", 99), ("Colour", 0)):
        s.call("AddSearchAttributes", namespace=namespace, search_attributes={name: kind}, refused=True)
    s.call("AddSearchAttributes", namespace=namespace, refused=True)
    s.call("RemoveSearchAttributes", namespace=namespace, search_attributes=["WorkflowId"], refused=True)
    s.call("RemoveSearchAttributes", namespace=namespace, search_attributes=["Colour"], refused=True)
    s.call("RemoveSearchAttributes", namespace=namespace, refused=True)
    for nowhere in ("", "nowhere"):
        s.call("AddSearchAttributes", namespace=nowhere, search_attributes={"Size": _INT}, refused=True)
        s.call("RemoveSearchAttributes", namespace=nowhere, search_attributes=["Size"], refused=True)
        s.call("ListSearchAttributes", namespace=nowhere, refused=True)


@scenario
def test_a_name_that_is_empty(s: Script) -> None:
    s.call("AddSearchAttributes", namespace=_register(s), search_attributes={"": _INT}, refused=True)


@scenario
def test_those_that_every_namespace_has(s: Script) -> None:
    # The real server lists the columns that custom ones are kept in as well, such as `Int01`.
    keys = s.call("GetSearchAttributes", silent=True).keys
    each = [f"{name}: {kind}" for name, kind in sorted(keys.items()) if not name[-2:].isdigit()]
    s.part("GetSearchAttributes", ", ".join(each))
