"""PURE: from a checked visibility query to parameterised SQL, in the dialect of a database.

Names of columns come from the table below, everything that a caller wrote becomes a parameter.

A condition on an attribute that a run does not have is neither true nor false, and so is its negation, as in SQL. That
is why `Not` is pushed down to the comparisons: each of them has a form for "is true" and one for "is false".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, assert_never

from temporalio.api.enums.v1 import IndexedValueType, WorkflowExecutionStatus

from perdure.infra.visibility.dialect import Dialect, Fragment
from perdure.infra.visibility.rows import COLUMNS, OPEN
from perdure.kernel.visibility.attributes import NAMESPACE_DIVISION
from perdure.kernel.visibility.query import (
    And,
    Attribute,
    Between,
    Comparison,
    Condition,
    In,
    IsNull,
    Not,
    Operator,
    Or,
    Order,
    Query,
    StartsWith,
    Value,
)
from perdure.kernel.visibility.text import words

ATTRIBUTE_COLUMNS = {
    "WorkflowId": "workflow_id",
    "RunId": "run_id",
    "WorkflowType": "workflow_type",
    "TaskQueue": "task_queue",
    "ExecutionStatus": "status",
    "StartTime": "start_time_ns",
    "ExecutionTime": "execution_time_ns",
    "CloseTime": "close_time_ns",
    "ExecutionDuration": "(close_time_ns - execution_time_ns)",
    "HistoryLength": "history_length",
    "HistorySizeBytes": "history_size_bytes",
    "StateTransitionCount": "state_transition_count",
    "ParentWorkflowId": "parent_workflow_id",
    "ParentRunId": "parent_run_id",
    "RootWorkflowId": "root_workflow_id",
    "RootRunId": "root_run_id",
    NAMESPACE_DIVISION: "namespace_division",
}

_NEGATION = {
    Operator.EQUAL: Operator.NOT_EQUAL,
    Operator.NOT_EQUAL: Operator.EQUAL,
    Operator.LESS: Operator.GREATER_EQUAL,
    Operator.GREATER_EQUAL: Operator.LESS,
    Operator.GREATER: Operator.LESS_EQUAL,
    Operator.LESS_EQUAL: Operator.GREATER,
}

_SETS = (IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD_LIST, IndexedValueType.INDEXED_VALUE_TYPE_TEXT)
_RUNNING = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING

#: Greater than every character of a keyword, so that [prefix, prefix + this) holds all that start with the prefix.
_LAST_CHARACTER = "\U0010ffff"


class OrderKey(NamedTuple):
    expression: Fragment
    descending: bool


#: Open runs first, then the newest close, then the newest start; the run id makes the order total.
DEFAULT_ORDER = (
    OrderKey(Fragment("listed_at_ns"), True),
    OrderKey(Fragment("start_time_ns"), True),
    OrderKey(Fragment("run_id"), True),
)


class Compiler:
    """Compiles the queries of one database. NULL sorts below everything."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    def list(
        self, namespace_id: str, query: Query, keys: Sequence[OrderKey], after: Sequence[Any], limit: int
    ) -> Fragment:
        """A page of matching rows, each the values of `keys` and then `COLUMNS`; `after` is empty or such values."""
        values = _separate(key.expression for key in keys)
        where = self._where(namespace_id, query)
        if after:
            where = _join(" AND ", [where, self._after(keys, after)])
        order = ", ".join(
            f"{number} {'DESC NULLS LAST' if key.descending else 'ASC NULLS FIRST'}"
            for number, key in enumerate(keys, start=1)
        )
        source = self._dialect.source()
        return Fragment(
            f"SELECT {values.sql}, {COLUMNS} FROM {source.sql} WHERE {where.sql} ORDER BY {order}"
            f" LIMIT {self._dialect.mark(limit)}",
            (*values.parameters, *source.parameters, *where.parameters, limit),
        )

    def count(self, namespace_id: str, query: Query) -> Fragment:
        """A row per group, the values of the grouping attributes and a count; without grouping one row with a count."""
        where, source = self._where(namespace_id, query), self._dialect.source()
        if not query.group:
            return Fragment(
                f"SELECT count(*) FROM {source.sql} WHERE {where.sql}", source.parameters + where.parameters
            )
        values = _separate(self.value(attribute) for attribute in query.group)
        by = ", ".join(str(number) for number in range(1, len(query.group) + 1))
        return Fragment(
            f"SELECT {values.sql}, count(*) FROM {source.sql} WHERE {where.sql} GROUP BY {by}",
            values.parameters + source.parameters + where.parameters,
        )

    def order(self, order: Sequence[Order]) -> tuple[OrderKey, ...]:
        """The keys to sort by; the last is unique, so that a page can begin exactly after the one before."""
        if not order:
            return DEFAULT_ORDER
        return (*(OrderKey(self.value(key.attribute), key.descending) for key in order), *DEFAULT_ORDER)

    def value(self, attribute: Attribute) -> Fragment:
        """The value of an attribute of the row at hand, NULL if it has none; for a list, its first element."""
        if column := ATTRIBUTE_COLUMNS.get(attribute.name):
            return Fragment(column)
        return self._dialect.first_value(attribute)

    def condition(self, condition: Condition, namespace_id: str, is_true: bool = True) -> Fragment:
        """SQL that holds for the rows of `visibility` for which the condition is true (or false)."""
        match condition:
            case And(operands) | Or(operands):
                simpler = _gathered(operands) if isinstance(condition, Or) else operands
                compiled = [self.condition(operand, namespace_id, is_true) for operand in simpler]
                return _join(" AND " if isinstance(condition, And) == is_true else " OR ", compiled)
            case Not(operand):
                return self.condition(operand, namespace_id, not is_true)
            case IsNull(attribute, negated):
                return self._null(attribute, namespace_id, negated != is_true)
            case Comparison(attribute, operator, value):
                return self._comparison(attribute, operator if is_true else _NEGATION[operator], value, namespace_id)
            case In(attribute, values, negated):
                wanted = negated != is_true
                if attribute.type in _SETS:
                    return self._member(attribute, namespace_id, values, wanted)
                known = values if wanted else ()
                return self._scalar(
                    attribute, namespace_id, lambda column: self._dialect.among(column, values, wanted), known
                )
            case Between(attribute, low, high, negated):
                word = "BETWEEN" if negated != is_true else "NOT BETWEEN"
                bounds = f"{self._dialect.mark(low)} AND {self._dialect.mark(high)}"
                return self._scalar(attribute, namespace_id, lambda c: Fragment(f"{c} {word} {bounds}", (low, high)))
            case StartsWith(attribute, prefix, negated):
                mark, ends = self._dialect.mark(prefix), (prefix, prefix + _LAST_CHARACTER)
                if negated != is_true:
                    return self._scalar(
                        attribute, namespace_id, lambda c: Fragment(f"({c} >= {mark} AND {c} < {mark})", ends)
                    )
                return self._scalar(
                    attribute, namespace_id, lambda c: Fragment(f"({c} < {mark} OR {c} >= {mark})", ends)
                )
            case _:
                assert_never(condition)

    def _where(self, namespace_id: str, query: Query) -> Fragment:
        namespace, kind = self._dialect.mark(namespace_id), self._dialect.mark(query.kind)
        in_namespace = Fragment(f"namespace_id = {namespace} AND kind = {kind}", (namespace_id, query.kind))
        if query.condition is None:
            return in_namespace
        return _join(" AND ", [in_namespace, self.condition(query.condition, namespace_id)])

    def _after(self, keys: Sequence[OrderKey], values: Sequence[Any]) -> Fragment:
        """SQL that holds for the rows strictly after the one with these values."""
        if keys == DEFAULT_ORDER:  # One range of the index.
            marks = ", ".join(self._dialect.mark(value) for value in values)
            return Fragment(f"(listed_at_ns, start_time_ns, run_id) < ({marks})", tuple(values))
        alternatives: list[Fragment] = []
        equal: list[Fragment] = []
        for (expression, descending), value in zip(keys, values, strict=True):
            sql, parameters = expression
            mark = self._dialect.mark(value)
            if not descending and value is None:  # NULL sorts below everything.
                beyond: Fragment | None = Fragment(f"{sql} IS NOT NULL", parameters)
            elif not descending:
                beyond = Fragment(f"{sql} > {mark}", (*parameters, value))
            elif value is not None:
                beyond = Fragment(f"({sql} < {mark} OR {sql} IS NULL)", (*parameters, value, *parameters))
            else:
                beyond = None
            if beyond:
                alternatives.append(_join(" AND ", [*equal, beyond]))
            equal.append(Fragment(self._dialect.same(sql, mark), (*parameters, value)))
        return _join(" OR ", alternatives)

    def _comparison(self, attribute: Attribute, operator: Operator, value: Value, namespace_id: str) -> Fragment:
        if attribute.type in _SETS:
            return self._member(attribute, namespace_id, (value,), operator is Operator.EQUAL)
        mark = self._dialect.mark(value)
        if attribute.name == "ExecutionStatus" and operator is Operator.EQUAL and value == _RUNNING:
            # Says what holds of every running run, for the sake of the index.
            return Fragment(f"(listed_at_ns = {self._dialect.mark(OPEN)} AND status = {mark})", (OPEN, value))
        known = (value,) if operator is Operator.EQUAL else ()
        return self._scalar(
            attribute, namespace_id, lambda column: Fragment(f"{column} {operator.value} {mark}", (value,)), known
        )

    def _scalar(
        self,
        attribute: Attribute,
        namespace_id: str,
        test: Callable[[str], Fragment],
        values: Sequence[Value] = (),
    ) -> Fragment:
        """`values` are those of which the attribute has one, if the test says so."""
        if column := ATTRIBUTE_COLUMNS.get(attribute.name):
            return test(column)
        value = self._dialect.value_column(attribute)
        return self._dialect.has_attribute(attribute, namespace_id, test(value), values, True)

    def _member(self, attribute: Attribute, namespace_id: str, values: Sequence[Value], wanted: bool) -> Fragment:
        """Whether the list has any of the values, or the text all words of any of them. No attribute has neither."""
        if attribute.type != IndexedValueType.INDEXED_VALUE_TYPE_TEXT:
            return self._any_of(attribute, namespace_id, values, wanted)
        terms = [words(term) for value in values for term in str(value).split()]
        found = [
            _join(" AND ", [self._any_of(attribute, namespace_id, (word,)) for word in term])
            for term in terms
            if len(term) > 1
        ]
        if single := [term[0] for term in terms if len(term) == 1]:
            found.append(self._any_of(attribute, namespace_id, single))
        matches = _join(" OR ", found)
        return matches if wanted else Fragment(f"NOT {matches.sql}", matches.parameters)

    def _any_of(
        self, attribute: Attribute, namespace_id: str, values: Sequence[Value], wanted: bool = True
    ) -> Fragment:
        test = self._dialect.among(self._dialect.value_column(attribute), values, True)
        return self._dialect.has_attribute(attribute, namespace_id, test, values, wanted)

    def _null(self, attribute: Attribute, namespace_id: str, wanted: bool) -> Fragment:
        if column := ATTRIBUTE_COLUMNS.get(attribute.name):
            return Fragment(f"{column} IS {'' if wanted else 'NOT '}NULL")
        return self._dialect.has_attribute(attribute, namespace_id, Fragment("TRUE"), (), not wanted)


def _gathered(operands: Sequence[Condition]) -> Sequence[Condition]:
    """Alternatives that each name one value of the same attribute as one condition, which is looked up at once."""
    values: dict[Attribute, list[Value]] = {}
    others: list[Condition] = []
    for operand in operands:
        match operand:
            case Comparison(attribute, Operator.EQUAL, value) if attribute.name != "ExecutionStatus":
                values.setdefault(attribute, []).append(value)
            case _:
                others.append(operand)
    return [*(In(attribute, tuple(named)) for attribute, named in values.items()), *others]


def _separate(fragments: Iterable[Fragment]) -> Fragment:
    listed = list(fragments)
    return Fragment(
        ", ".join(fragment.sql for fragment in listed),
        tuple(parameter for fragment in listed for parameter in fragment.parameters),
    )


def _join(conjunction: str, fragments: Sequence[Fragment]) -> Fragment:
    """Joins as a balanced tree: SQLite bounds the depth of an expression, and a chain of n has depth n."""
    if len(fragments) == 1:
        return fragments[0]
    middle = len(fragments) // 2
    left, right = _join(conjunction, fragments[:middle]), _join(conjunction, fragments[middle:])
    return Fragment(f"({left.sql}{conjunction}{right.sql})", left.parameters + right.parameters)
