"""The checked syntax tree of a visibility query: what `parse` makes and what drivers compile.

Every attribute is resolved to its field name and type, and every value already has the Python type of its attribute:
`str` for keywords and text, `int`, `float`, `bool`, `int` nanoseconds for instants and durations, `int` for statuses.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from perdure.kernel.ids import ExecutionKind

Value = str | int | float | bool


class Attribute(NamedTuple):
    """A search attribute by its field name, and its type (`temporal.api.enums.v1.IndexedValueType`)."""

    name: str
    type: int


class Operator(Enum):
    EQUAL = "="
    NOT_EQUAL = "!="
    LESS = "<"
    LESS_EQUAL = "<="
    GREATER = ">"
    GREATER_EQUAL = ">="


@dataclass(frozen=True, slots=True)
class Comparison:
    """For a keyword list, EQUAL means that the list contains the value; for text, that it shares a word with it."""

    attribute: Attribute
    operator: Operator
    value: Value


@dataclass(frozen=True, slots=True)
class In:
    attribute: Attribute
    values: tuple[Value, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Between:
    """Both ends are included."""

    attribute: Attribute
    low: Value
    high: Value
    negated: bool = False


@dataclass(frozen=True, slots=True)
class StartsWith:
    attribute: Attribute
    prefix: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class IsNull:
    attribute: Attribute
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Not:
    operand: Condition


@dataclass(frozen=True, slots=True)
class And:
    operands: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Or:
    operands: tuple[Condition, ...]


Condition = Comparison | In | Between | StartsWith | IsNull | Not | And | Or


class Order(NamedTuple):
    attribute: Attribute
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """No condition matches everything; no order means open runs first, then newest close, then newest start.

    Executions of one kind are looked at: a list of workflows never shows a schedule.
    """

    condition: Condition | None = None
    order: tuple[Order, ...] = ()
    group: tuple[Attribute, ...] = ()
    kind: ExecutionKind = ExecutionKind.WORKFLOW
