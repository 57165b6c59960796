"""PURE: from a checked visibility query to parameterised SQL.

Names of columns come from the table below, everything that a caller wrote becomes a parameter.

A condition on an attribute that a run does not have is neither true nor false, and so is its negation, as in SQL. That
is why `Not` is pushed down to the comparisons: each of them has a form for "is true" and one for "is false".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, assert_never

from temporalio.api.enums.v1 import IndexedValueType, WorkflowExecutionStatus

from perdure.infra.sqlite.visibility_rows import COLUMNS, OPEN
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


class Fragment(NamedTuple):
    """A piece of SQL and the values of its question marks, in order."""

    sql: str
    parameters: tuple[Any, ...] = ()


class OrderKey(NamedTuple):
    expression: Fragment
    descending: bool


#: Open runs first, then the newest close, then the newest start; the run id makes the order total.
DEFAULT_ORDER = (
    OrderKey(Fragment("listed_at_ns"), True),
    OrderKey(Fragment("start_time_ns"), True),
    OrderKey(Fragment("run_id"), True),
)


def compile_list(
    namespace_id: str, query: Query, keys: Sequence[OrderKey], after: Sequence[Any], limit: int
) -> Fragment:
    """A page of matching rows, each the values of `keys` and then `COLUMNS`; `after` is empty or such values."""
    values = _separate(key.expression for key in keys)
    where = _where(namespace_id, query)
    if after:
        where = _join(" AND ", [where, _compile_after(keys, after)])
    order = ", ".join(f"{number} {'DESC' if key.descending else 'ASC'}" for number, key in enumerate(keys, start=1))
    return Fragment(
        f"SELECT {values.sql}, {COLUMNS} FROM visibility WHERE {where.sql} ORDER BY {order} LIMIT ?",
        (*values.parameters, *where.parameters, limit),
    )


def compile_count(namespace_id: str, query: Query) -> Fragment:
    """One row per group, the values of the grouping attributes and a count; without grouping one row with a count."""
    where = _where(namespace_id, query)
    if not query.group:
        return Fragment(f"SELECT count(*) FROM visibility WHERE {where.sql}", where.parameters)
    values = _separate(compile_value(attribute) for attribute in query.group)
    by = ", ".join(str(number) for number in range(1, len(query.group) + 1))
    return Fragment(
        f"SELECT {values.sql}, count(*) FROM visibility WHERE {where.sql} GROUP BY {by} ORDER BY count(*) DESC, {by}",
        values.parameters + where.parameters,
    )


def compile_condition(condition: Condition, namespace_id: str, is_true: bool = True) -> Fragment:
    """SQL that holds for the rows of `visibility` for which the condition is true (or false)."""
    match condition:
        case And(operands) | Or(operands):
            compiled = [compile_condition(operand, namespace_id, is_true) for operand in operands]
            return _join(" AND " if isinstance(condition, And) == is_true else " OR ", compiled)
        case Not(operand):
            return compile_condition(operand, namespace_id, not is_true)
        case IsNull(attribute, negated):
            return _compile_null(attribute, namespace_id, negated != is_true)
        case Comparison(attribute, operator, value):
            if attribute.type in _SETS:
                return _compile_member(attribute, namespace_id, (value,), (operator is Operator.EQUAL) == is_true)
            if attribute.name == "ExecutionStatus" and operator is Operator.EQUAL and is_true and value == _RUNNING:
                # Says what holds of every running run, for the sake of the index.
                return Fragment("(listed_at_ns = ? AND status = ?)", (OPEN, value))
            operator = operator if is_true else _NEGATION[operator]
            return _compile_scalar(attribute, namespace_id, lambda column: f"{column} {operator.value} ?", (value,))
        case In(attribute, values, negated):
            wanted = negated != is_true
            if attribute.type in _SETS:
                return _compile_member(attribute, namespace_id, values, wanted)
            marks = ", ".join("?" * len(values))
            return _compile_scalar(
                attribute, namespace_id, lambda column: f"{column} {'' if wanted else 'NOT '}IN ({marks})", values
            )
        case Between(attribute, low, high, negated):
            word = "BETWEEN" if negated != is_true else "NOT BETWEEN"
            return _compile_scalar(attribute, namespace_id, lambda column: f"{column} {word} ? AND ?", (low, high))
        case StartsWith(attribute, prefix, negated):
            bounds = (prefix, prefix + _LAST_CHARACTER)
            if negated != is_true:
                return _compile_scalar(attribute, namespace_id, lambda c: f"({c} >= ? AND {c} < ?)", bounds)
            return _compile_scalar(attribute, namespace_id, lambda c: f"({c} < ? OR {c} >= ?)", bounds)
        case _:
            assert_never(condition)


def compile_order(order: Sequence[Order]) -> tuple[OrderKey, ...]:
    """The keys to sort by; the last is unique, so that a page can begin exactly after the one before."""
    if not order:
        return DEFAULT_ORDER
    return (*(OrderKey(compile_value(key.attribute), key.descending) for key in order), *DEFAULT_ORDER)


def _compile_after(keys: Sequence[OrderKey], values: Sequence[Any]) -> Fragment:
    """SQL that holds for the rows strictly after the one with these values."""
    if keys == DEFAULT_ORDER:  # One range of the index.
        return Fragment("(listed_at_ns, start_time_ns, run_id) < (?, ?, ?)", tuple(values))
    alternatives: list[Fragment] = []
    equal: list[Fragment] = []
    for (expression, descending), value in zip(keys, values, strict=True):
        sql, parameters = expression
        if not descending and value is None:  # NULL sorts below everything.
            beyond: Fragment | None = Fragment(f"{sql} IS NOT NULL", parameters)
        elif not descending:
            beyond = Fragment(f"{sql} > ?", (*parameters, value))
        elif value is not None:
            beyond = Fragment(f"({sql} < ? OR {sql} IS NULL)", (*parameters, value, *parameters))
        else:
            beyond = None
        if beyond:
            alternatives.append(_join(" AND ", [*equal, beyond]))
        equal.append(Fragment(f"{sql} IS ?", (*parameters, value)))
    return _join(" OR ", alternatives)


def compile_value(attribute: Attribute) -> Fragment:
    """The value of an attribute of the row at hand, NULL if it has none; for a list, its first element."""
    if column := ATTRIBUTE_COLUMNS.get(attribute.name):
        return Fragment(column)
    return Fragment(
        "(SELECT a.value FROM search_attributes a WHERE a.namespace_id = visibility.namespace_id"
        " AND a.workflow_id = visibility.workflow_id AND a.run_id = visibility.run_id"
        " AND a.name = ? AND a.position = 0)",
        (attribute.name,),
    )


def _where(namespace_id: str, query: Query) -> Fragment:
    in_namespace = Fragment("namespace_id = ? AND kind = ?", (namespace_id, query.kind))
    if query.condition is None:
        return in_namespace
    return _join(" AND ", [in_namespace, compile_condition(query.condition, namespace_id)])


def _separate(fragments: Iterable[Fragment]) -> Fragment:
    listed = list(fragments)
    return Fragment(
        ", ".join(fragment.sql for fragment in listed),
        tuple(parameter for fragment in listed for parameter in fragment.parameters),
    )


def _compile_scalar(
    attribute: Attribute, namespace_id: str, test: Callable[[str], str], parameters: tuple[Any, ...]
) -> Fragment:
    if column := ATTRIBUTE_COLUMNS.get(attribute.name):
        return Fragment(test(column), parameters)
    return _with_attribute(attribute, namespace_id, Fragment(test("value"), parameters))


def _compile_member(attribute: Attribute, namespace_id: str, values: Sequence[Value], wanted: bool) -> Fragment:
    """Whether the list has any of the values, or the text all words of any of them. No attribute has neither."""
    if attribute.type != IndexedValueType.INDEXED_VALUE_TYPE_TEXT:
        marks = ", ".join("?" * len(values))
        return _with_attribute(attribute, namespace_id, Fragment(f"value IN ({marks})", tuple(values)), wanted)
    terms = [words(term) for value in values for term in str(value).split()]
    found = [
        _join(" AND ", [_with_attribute(attribute, namespace_id, Fragment("value = ?", (word,))) for word in term])
        for term in terms
        if term
    ]
    matches = _join(" OR ", found)
    return matches if wanted else Fragment(f"NOT {matches.sql}", matches.parameters)


def _compile_null(attribute: Attribute, namespace_id: str, wanted: bool) -> Fragment:
    if column := ATTRIBUTE_COLUMNS.get(attribute.name):
        return Fragment(f"{column} IS {'' if wanted else 'NOT '}NULL")
    return _with_attribute(attribute, namespace_id, Fragment("1"), not wanted)


def _with_attribute(attribute: Attribute, namespace_id: str, test: Fragment, wanted: bool = True) -> Fragment:
    return Fragment(
        f"(workflow_id, run_id) {'' if wanted else 'NOT '}IN (SELECT workflow_id, run_id FROM search_attributes"
        f" WHERE namespace_id = ? AND name = ? AND {test.sql})",
        (namespace_id, attribute.name, *test.parameters),
    )


def _join(conjunction: str, fragments: Sequence[Fragment]) -> Fragment:
    """Joins as a balanced tree: SQLite bounds the depth of an expression, and a chain of n has depth n."""
    if len(fragments) == 1:
        return fragments[0]
    middle = len(fragments) // 2
    left, right = _join(conjunction, fragments[:middle]), _join(conjunction, fragments[middle:])
    return Fragment(f"({left.sql}{conjunction}{right.sql})", left.parameters + right.parameters)
