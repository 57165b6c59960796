"""Where SQL differs between the databases that we know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from perdure.kernel.visibility.query import Attribute, Value


class Fragment(NamedTuple):
    """A piece of SQL and the values of its question marks, in order."""

    sql: str
    parameters: tuple[Any, ...] = ()


class Dialect(Protocol):
    """What the compiler asks for.

    In every database there is a table `visibility`, with a row per run, and a table `search_attributes`, with a row per
    value of a search attribute that has no column of its own.
    """

    def source(self) -> Fragment:
        """The rows of `visibility` that there are, for a FROM clause."""
        ...

    def mark(self, value: Any) -> str:
        """A place for this value, None included."""
        ...

    def same(self, sql: str, mark: str) -> str:
        """Equality for which NULL is a value like any other."""
        ...

    def among(self, column: str, values: Sequence[Value], wanted: bool) -> Fragment:
        """Whether the column has one of the values, or none of them; neither if it is NULL."""
        ...

    def value_column(self, attribute: Attribute) -> str:
        """The column of `search_attributes` that holds values of this attribute."""
        ...

    def first_value(self, attribute: Attribute) -> Fragment:
        """The first value of an attribute of the row of `visibility` at hand, or NULL."""
        ...

    def has_attribute(
        self, attribute: Attribute, namespace_id: str, test: Fragment, values: Sequence[Value], wanted: bool
    ) -> Fragment:
        """Whether the row of `visibility` at hand has a row in `search_attributes` that passes the test (or has none).

        `values` are those of which a passing row has one, if the test says so.
        """
        ...
