"""PURE: whether a condition of a visibility query holds for an execution that is not in a database.

As in SQL, a condition on an attribute that the execution does not have is neither true nor false: None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import eq, ge, gt, le, lt, ne
from typing import Any, assert_never

from temporalio.api.workflow.v1 import WorkflowExecutionInfo

from perdure.kernel.prototime import instant_ns, length_ns
from perdure.kernel.visibility.attributes import KEYWORD_LIST, TEXT, AttributeValue, decode_stored
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
    StartsWith,
    Value,
)
from perdure.kernel.visibility.text import words

#: The value of each attribute that an execution has.
Values = Mapping[str, AttributeValue]

_ORDER: Mapping[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQUAL: eq,
    Operator.NOT_EQUAL: ne,
    Operator.LESS: lt,
    Operator.LESS_EQUAL: le,
    Operator.GREATER: gt,
    Operator.GREATER_EQUAL: ge,
}
_CLOSE_TIME = "CloseTime"


def values_of(info: WorkflowExecutionInfo, custom: Mapping[str, int]) -> Values:
    """Of a closed workflow as lists show it. `custom` has the types of the namespace's search attributes."""
    values: dict[str, AttributeValue] = {
        **decode_stored(info.search_attributes, custom),
        "WorkflowId": info.execution.workflow_id,
        "RunId": info.execution.run_id,
        "WorkflowType": info.type.name,
        "TaskQueue": info.task_queue,
        "ExecutionStatus": int(info.status),
        "StartTime": instant_ns(info.start_time),
        "ExecutionTime": instant_ns(info.execution_time),
        _CLOSE_TIME: instant_ns(info.close_time),
        "ExecutionDuration": length_ns(info.execution_duration),
        "HistoryLength": info.history_length,
        "HistorySizeBytes": info.history_size_bytes,
        "StateTransitionCount": info.state_transition_count,
    }
    for name, execution in (("Parent", info.parent_execution), ("Root", info.root_execution)):
        if execution.workflow_id:
            values[f"{name}WorkflowId"], values[f"{name}RunId"] = execution.workflow_id, execution.run_id
    return values


def holds(condition: Condition, values: Values) -> bool | None:
    """Whether it does; None: there is nothing to say."""
    match condition:
        case And(operands):
            return _all(operands, values, decisive=False)
        case Or(operands):
            return _all(operands, values, decisive=True)
        case Not(operand):
            return _negated(holds(operand, values), True)
        case IsNull(attribute, negated):
            return (attribute.name in values) is negated
        case Comparison(attribute, operator, value):
            if attribute.type in (TEXT, KEYWORD_LIST):
                return _has_any(attribute, (value,), values) is (operator is Operator.EQUAL)
            return _known(attribute, values, lambda has: _ORDER[operator](has, value))
        case In(attribute, wanted, negated):
            if attribute.type in (TEXT, KEYWORD_LIST):
                return _has_any(attribute, wanted, values) is not negated
            return _negated(_known(attribute, values, lambda has: has in wanted), negated)
        case Between(attribute, low, high, negated):
            return _negated(_known(attribute, values, lambda has: low <= has <= high), negated)
        case StartsWith(attribute, prefix, negated):
            return _negated(_known(attribute, values, lambda has: has.startswith(prefix)), negated)
        case _:
            assert_never(condition)


def close_times(condition: Condition | None) -> tuple[int, int | None]:
    """The earliest and the latest close, in nanoseconds, of what the condition can hold for; None is any."""
    earliest, latest = 0, None
    match condition:
        case And(operands):
            for low, high in map(close_times, operands):
                earliest = max(earliest, low)
                latest = high if latest is None or (high is not None and high < latest) else latest
        case Comparison(Attribute(name=name), operator, int(value)) if name == _CLOSE_TIME:
            if operator in (Operator.EQUAL, Operator.GREATER, Operator.GREATER_EQUAL):
                earliest = value
            if operator in (Operator.EQUAL, Operator.LESS, Operator.LESS_EQUAL):
                latest = value
        case Between(Attribute(name=name), int(low), int(high), False) if name == _CLOSE_TIME:
            earliest, latest = low, high
    return max(earliest, 0), None if latest is None else max(latest, 0)


def _all(operands: Sequence[Condition], values: Values, *, decisive: bool) -> bool | None:
    """`decisive` is what one operand is enough for."""
    result: bool | None = not decisive
    for operand in operands:
        held = holds(operand, values)
        if held is decisive:
            return decisive
        if held is None:
            result = None
    return result


def _negated(held: bool | None, negated: bool) -> bool | None:
    return None if held is None else held is not negated


def _known(attribute: Attribute, values: Values, test: Callable[[Any], bool]) -> bool | None:
    return test(values[attribute.name]) if attribute.name in values else None


def _has_any(attribute: Attribute, wanted: Sequence[Value], values: Values) -> bool:
    """Whether the list has any of the values, or the text all words of any of them."""
    has = values.get(attribute.name)
    if has is None:
        return False
    if attribute.type == TEXT:
        present = set(words(str(has)))
        terms = [words(term) for value in wanted for term in str(value).split()]
        return any(term and present.issuperset(term) for term in terms)
    return any(value in (has if isinstance(has, list) else [has]) for value in wanted)
