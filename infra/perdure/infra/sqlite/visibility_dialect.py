"""PURE: how SQLite spells what the compiler of visibility queries leaves open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from perdure.infra.visibility.dialect import Fragment
from perdure.kernel.visibility.query import Attribute, Value


class SqliteDialect:
    """See `perdure.infra.visibility.dialect.Dialect`. One column holds attributes of every type."""

    def source(self) -> Fragment:
        return Fragment("visibility")

    def mark(self, value: Any) -> str:
        return "?"

    def same(self, sql: str, mark: str) -> str:
        return f"{sql} IS {mark}"

    def among(self, column: str, values: Sequence[Value], wanted: bool) -> Fragment:
        marks = ", ".join("?" * len(values))
        return Fragment(f"{column} {'' if wanted else 'NOT '}IN ({marks})", tuple(values))

    def value_column(self, attribute: Attribute) -> str:
        return "value"

    def first_value(self, attribute: Attribute) -> Fragment:
        return Fragment(
            "(SELECT a.value FROM search_attributes a WHERE a.namespace_id = visibility.namespace_id"
            " AND a.workflow_id = visibility.workflow_id AND a.run_id = visibility.run_id"
            " AND a.name = ? AND a.position = 0)",
            (attribute.name,),
        )

    def has_attribute(
        self, attribute: Attribute, namespace_id: str, test: Fragment, values: Sequence[Value], wanted: bool
    ) -> Fragment:
        return Fragment(
            f"(workflow_id, run_id) {'' if wanted else 'NOT '}IN (SELECT workflow_id, run_id FROM search_attributes"
            f" WHERE namespace_id = ? AND name = ? AND {test.sql})",
            (namespace_id, attribute.name, *test.parameters),
        )
