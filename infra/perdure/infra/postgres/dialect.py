"""PURE: how Postgres spells what the compiler of visibility queries leaves open."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import count
from typing import Any

from temporalio.api.enums.v1 import IndexedValueType

from perdure.infra.visibility.dialect import Fragment
from perdure.kernel.ids import ShardId
from perdure.kernel.visibility.query import Attribute, Value

#: Columns of `search_attributes` by type; every other type is text.
_VALUE_COLUMNS: dict[int, str] = {
    IndexedValueType.INDEXED_VALUE_TYPE_INT: "integer_value",
    IndexedValueType.INDEXED_VALUE_TYPE_BOOL: "integer_value",
    IndexedValueType.INDEXED_VALUE_TYPE_DATETIME: "integer_value",
    IndexedValueType.INDEXED_VALUE_TYPE_DOUBLE: "double_value",
}

_TEXT = "text_value"
#: How much of a text is in the index.
_INDEXED_CHARACTERS = 100

#: Stands among parameters for the shards that a database holds: there may be rows of others, which are on their way.
HELD = object()

_SAME_RUN = " AND ".join(
    f"a.{name} = visibility.{name}" for name in ("shard", "namespace_id", "run_id", "workflow_id", "kind")
)


class PostgresDialect:
    """See `perdure.infra.visibility.dialect.Dialect`. Parameters name their types, which are those of the values."""

    def source(self) -> Fragment:
        # The sum keeps the planner from looking up shard by shard what the indexes have in order for all of them.
        return Fragment("(SELECT * FROM visibility WHERE shard + 0 = ANY (?::integer[])) AS visibility", (HELD,))

    def mark(self, value: Any) -> str:
        return f"?::{_type_of(value)}"

    def same(self, sql: str, mark: str) -> str:
        return f"{sql} IS NOT DISTINCT FROM {mark}"

    def among(self, column: str, values: Sequence[Value], wanted: bool) -> Fragment:
        return Fragment(f"{column} {'= ANY' if wanted else '<> ALL'} (?::{_type_of_all(values)}[])", (list(values),))

    def value_column(self, attribute: Attribute) -> str:
        return _VALUE_COLUMNS.get(attribute.type, _TEXT)

    def first_value(self, attribute: Attribute) -> Fragment:
        return Fragment(
            f"(SELECT a.{self.value_column(attribute)} FROM search_attributes a"
            f" WHERE {_SAME_RUN} AND a.name = ?::text AND a.position = 0)",
            (attribute.name,),
        )

    def has_attribute(
        self, attribute: Attribute, namespace_id: str, test: Fragment, values: Sequence[Value], wanted: bool
    ) -> Fragment:
        indexed = Fragment("")
        if values and self.value_column(attribute) == _TEXT:
            beginnings = [str(value)[:_INDEXED_CHARACTERS] for value in values]
            indexed = Fragment(f" AND left(text_value, {_INDEXED_CHARACTERS}) = ANY (?::text[])", (beginnings,))
        return Fragment(
            f"{'' if wanted else 'NOT '}EXISTS (SELECT FROM search_attributes a"
            f" WHERE {_SAME_RUN} AND a.name = ?::text{indexed.sql} AND {test.sql})",
            (attribute.name, *indexed.parameters, *test.parameters),
        )


def numbered(statement: Fragment) -> tuple[str, tuple[Any, ...]]:
    """The statement with $1, $2, ... for its question marks, and parameters as Postgres can take them."""
    numbers = count(1)
    return re.sub(r"\?", lambda _: f"${next(numbers)}", statement.sql), tuple(map(storable, statement.parameters))


def held(parameters: Sequence[Any], shards: Sequence[ShardId]) -> list[Any]:
    """The parameters for a database that holds these shards."""
    return [shards if each is HELD else each for each in parameters]


def storable(value: Any) -> Any:
    """The value as it is stored and looked for: a text in Postgres has no character zero."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, list):
        return [storable(each) for each in value]
    return value


def _type_of(value: Any) -> str:
    if isinstance(value, str):
        return "text"
    return "double precision" if isinstance(value, float) else "bigint"


def _type_of_all(values: Sequence[Value]) -> str:
    types = {_type_of(value) for value in values}
    return types.pop() if len(types) == 1 else "double precision"
