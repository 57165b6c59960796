"""PURE: which operators and values fit which type of search attribute."""

from __future__ import annotations

from temporalio.api.enums.v1 import WorkflowExecutionStatus

from perdure.kernel.errors import InvalidArgument
from perdure.kernel.visibility.attributes import (
    BOOL,
    DATETIME,
    DOUBLE,
    EXECUTION_DURATION,
    EXECUTION_STATUS,
    INT,
    KEYWORD,
    KEYWORD_LIST,
    TEXT,
    type_name,
)
from perdure.kernel.visibility.literals import parse_duration, parse_instant
from perdure.kernel.visibility.query import Attribute, Value
from perdure.kernel.visibility.text import words

_EQUALITY = frozenset({"=", "!="})
_MEMBERSHIP = _EQUALITY | {"IN", "NOT IN"}
_COMPARISON = _MEMBERSHIP | {"<", "<=", ">", ">="}
_KEYWORD = _COMPARISON | {"STARTS_WITH", "NOT STARTS_WITH"}

_OPERATORS = {
    TEXT: _EQUALITY,
    KEYWORD_LIST: _MEMBERSHIP,
    KEYWORD: _KEYWORD,
    INT: _COMPARISON,
    DOUBLE: _COMPARISON,
    BOOL: _COMPARISON,
    DATETIME: _COMPARISON,
}

_RANGED = frozenset({DATETIME, DOUBLE, INT, KEYWORD})


def _status_names() -> dict[str, int]:
    names: dict[str, int] = {}
    for name, number in WorkflowExecutionStatus.items():
        short = name.removeprefix("WORKFLOW_EXECUTION_STATUS_")
        names[name] = names["".join(word.capitalize() for word in short.split("_"))] = number
    return names


#: Statuses by both of their spellings: `Running` and `WORKFLOW_EXECUTION_STATUS_RUNNING`.
_STATUSES = _status_names()


def invalid(message: str) -> InvalidArgument:
    return InvalidArgument(f"invalid query: invalid expression: {message}")


def unsupported(message: str) -> InvalidArgument:
    return InvalidArgument(f"invalid query: operation is not supported: {message}")


def unsupported_operator(attribute: Attribute, operator: str) -> InvalidArgument:
    return unsupported(
        f"operator '{operator}' not supported for {type_name(attribute.type)} type search attribute '{attribute.name}'"
    )


def check_operator(attribute: Attribute, operator: str) -> None:
    """Raises InvalidArgument if values of this type cannot be compared like that."""
    if operator not in _OPERATORS[attribute.type]:
        raise unsupported_operator(attribute, operator)


def check_range(attribute: Attribute) -> None:
    """Raises InvalidArgument if this type knows no BETWEEN."""
    if attribute.type not in _RANGED:
        raise invalid(
            f"cannot do range condition on search attribute '{attribute.name}' of type {type_name(attribute.type)}"
        )


def check_prefix(attribute: Attribute, value: Value) -> str:
    """Raises InvalidArgument if the value is no text to start with (an execution status is a number inside)."""
    if not isinstance(value, str):
        raise invalid('right-hand side of "starts_with" operator must be a literal string')
    return value


def check_value(attribute: Attribute, value: Value) -> tuple[Value, int]:
    """The value as the attribute is stored, and how many terms it is looked up by (more than one for a text).

    Raises:
        InvalidArgument: it is not a value of the attribute's type.
    """
    if attribute.name == EXECUTION_STATUS and not isinstance(value, bool):
        return _status(value), 1
    if attribute.name == EXECUTION_DURATION and not isinstance(value, bool):
        return _duration(value), 1
    match value:
        case bool() if attribute.type == BOOL:
            return value, 1
        case bool():
            pass
        case str() if attribute.type in (KEYWORD, KEYWORD_LIST):
            return value, 1
        case str() if attribute.type == TEXT:
            count = len(words(value))
            if not count:
                raise invalid("unexpected value for Text type search attribute (no tokens found)")
            return value, count
        case str() if attribute.type == DATETIME:
            try:
                return parse_instant(value), 1
            except (ValueError, OverflowError):
                raise invalid(f"unable to parse datetime '{value}'") from None
        case int() if attribute.type in (INT, DOUBLE, DATETIME):
            return value, 1
        case float() if attribute.type in (INT, DOUBLE):
            return value, 1
    raise invalid(
        f"invalid value type for search attribute {attribute.name} of type {type_name(attribute.type)}: {_shown(value)}"
    )


def _status(value: Value) -> int:
    if isinstance(value, float):
        raise invalid(f"unexpected value type float64 for search attribute {EXECUTION_STATUS}")
    if isinstance(value, str):
        if value not in _STATUSES:
            raise invalid(f"invalid {EXECUTION_STATUS} value '{value}'")
        return _STATUSES[value]
    if value not in WorkflowExecutionStatus.values():
        raise invalid(f"invalid {EXECUTION_STATUS} value {value}")
    return value


def _duration(value: Value) -> int:
    if isinstance(value, float):
        raise invalid(f"unexpected value type float64 for search attribute {EXECUTION_DURATION}")
    if not isinstance(value, str):
        return value
    try:
        return parse_duration(value)
    except ValueError:
        raise invalid(f"invalid duration value for search attribute {EXECUTION_DURATION}: {value}") from None


def _shown(value: Value) -> str:
    """The value with its type, as the real server's messages show it."""
    match value:
        case bool():
            return f"{str(value).lower()} (type: bool)"
        case int():
            return f"{value} (type: int64)"
        case float():
            return f"{value} (type: float64)"
        case _:
            return f'"{value}" (type: string)'
