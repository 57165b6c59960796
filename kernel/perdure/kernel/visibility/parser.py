"""PURE: from the text of a visibility query to its checked syntax tree, by recursive descent.

query     = [ condition ] [ GROUP BY name ] [ ORDER BY name [ ASC | DESC ] { , ... } ]
condition = conjunct { OR conjunct }
conjunct  = negation { AND negation }
negation  = NOT negation | ( condition ) | predicate
predicate = name ( compare literal | [ NOT ] IN ( literal { , literal } ) | [ NOT ] BETWEEN literal AND literal
                 | [ NOT ] STARTS_WITH literal | IS [ NOT ] NULL )
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite

from perdure.kernel.errors import InvalidArgument
from perdure.kernel.ids import ExecutionKind
from perdure.kernel.visibility.attributes import (
    KEYWORD,
    NAMESPACE_DIVISION,
    OPERATION,
    RESERVED_PREFIX,
    TEXT,
    system_attributes,
    type_name,
)
from perdure.kernel.visibility.checks import (
    check_operator,
    check_prefix,
    check_range,
    check_value,
    invalid,
    unsupported,
    unsupported_operator,
)
from perdure.kernel.visibility.lexer import Kind, Token, syntax_error, tokens
from perdure.kernel.visibility.literals import INT64_MAX, INT64_MIN
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

#: Bounds on what one query may ask of a database.
QUERY_NESTING_MAX = 100
QUERY_VALUES_MAX = 5_000
QUERY_ORDER_KEYS_MAX = 10

_GROUPABLE = frozenset({"ExecutionStatus", NAMESPACE_DIVISION})

_COMPARISONS = {operator.value: operator for operator in Operator} | {"<>": Operator.NOT_EQUAL}
_UNSUPPORTED_OPERATORS = frozenset({"LIKE", "REGEXP", "RLIKE", "<=>"})


#: What the attributes of an execution are called in queries for another kind than workflows.
_ALIASES: Mapping[ExecutionKind, Mapping[str, str]] = {
    ExecutionKind.ACTIVITY: {"ActivityId": "WorkflowId", "ActivityType": "WorkflowType"},
    ExecutionKind.NEXUS_OPERATION: {
        "OperationId": "WorkflowId",
        "Endpoint": "TemporalNexusEndpoint",
        "Service": "TemporalNexusService",
        "Operation": "TemporalNexusOperation",
        "RequestId": "TemporalNexusRequestId",
    },
}


_AS_THEY_ARE: Mapping[str, str] = {}


def parse(
    text: str,
    attributes: Mapping[str, int],
    kind: ExecutionKind = ExecutionKind.WORKFLOW,
    stored: Mapping[str, str] = _AS_THEY_ARE,
) -> Query:
    """Parse and check a query for executions of a kind. `attributes` holds the types of the namespace's custom search
    attributes, `stored` the names by which those are stored that have another.

    Like the real server, it leaves out the workflows that belong to a namespace division (batch jobs, ...) unless the
    query speaks of `TemporalNamespaceDivision`.

    Raises:
        InvalidArgument: the text is not a query, or a value or operator does not fit its attribute.
    """
    aliases = _ALIASES.get(kind, {})

    def find(name: str) -> Attribute | None:
        alias = aliases.get(name, name)
        if alias in OPERATION and alias != name:
            return Attribute(alias, OPERATION[alias])
        attribute = resolve(alias, attributes)
        if attribute is not None and attribute.name in attributes:
            return attribute._replace(name=stored.get(attribute.name, attribute.name))
        return attribute

    return _Parser(text, find, kind).query()


def parse_condition(text: str, find: Callable[[str], Attribute | None]) -> Condition | None:
    """Parse and check a condition on what are no executions; `find` knows their attributes. None fits everything.

    Raises:
        InvalidArgument: as `parse` does.
    """
    # Only a query for workflows gets a condition that is not in its text.
    return _Parser(text, find, ExecutionKind.SCHEDULE).query().condition


class _Parser:
    def __init__(self, text: str, find: Callable[[str], Attribute | None], kind: ExecutionKind) -> None:
        self._kind = kind
        self._find = find
        self._tokens = tokens(text)
        self._position = 0
        self._nesting = 0
        self._values = 0
        self._names_division = False

    def query(self) -> Query:
        condition = None
        if not self._at_clause():
            condition = self._condition()
        group = self._group() if self._accept("GROUP") else ()
        order = self._order() if self._accept("ORDER") else ()
        if self._accept("LIMIT"):
            raise unsupported("'LIMIT' clause")
        if self._token.kind is not Kind.END:
            raise syntax_error(self._token)
        if self._kind is ExecutionKind.WORKFLOW and not self._names_division:
            default = IsNull(Attribute(NAMESPACE_DIVISION, KEYWORD))
            condition = default if condition is None else And((default, condition))
        return Query(condition, order, group, self._kind)

    def _condition(self) -> Condition:
        operands = [self._conjunct()]
        while self._accept("OR"):
            operands.append(self._conjunct())
        return operands[0] if len(operands) == 1 else Or(tuple(operands))

    def _conjunct(self) -> Condition:
        operands = [self._negation()]
        while self._accept("AND"):
            operands.append(self._negation())
        return operands[0] if len(operands) == 1 else And(tuple(operands))

    def _negation(self) -> Condition:
        self._nesting += 1
        if self._nesting > QUERY_NESTING_MAX:
            raise invalid(f"nested deeper than {QUERY_NESTING_MAX} levels")
        try:
            if self._accept("NOT"):
                return Not(self._negation())
            if self._accept("("):
                condition = self._condition()
                self._expect(")")
                return condition
            return self._predicate()
        finally:
            self._nesting -= 1

    def _predicate(self) -> Condition:
        if self._is_literal():
            raise invalid("must be a column name but was a literal value")
        attribute = self._attribute()
        if self._token.text == "(" and self._token.kind is Kind.SYMBOL:
            raise unsupported("function expression")
        if self._accept("IS"):
            return self._is_null(attribute)
        negated = self._accept("NOT")
        if self._accept("IN"):
            return self._in(attribute, negated)
        if self._accept("BETWEEN"):
            check_range(attribute)
            low = self._value(attribute)
            self._expect("AND")
            return Between(attribute, low, self._value(attribute), negated)
        if self._accept("STARTS_WITH"):
            value = self._value(attribute)
            check_operator(attribute, "NOT STARTS_WITH" if negated else "STARTS_WITH")
            return StartsWith(attribute, check_prefix(attribute, value), negated)
        if self._token.text in _UNSUPPORTED_OPERATORS and self._token.kind in (Kind.KEYWORD, Kind.SYMBOL):
            raise unsupported_operator(attribute, f"NOT {self._token.text}" if negated else self._token.text)
        if negated:
            raise syntax_error(self._token)
        return self._comparison(attribute)

    def _comparison(self, attribute: Attribute) -> Condition:
        token = self._advance()
        operator = _COMPARISONS.get(token.text) if token.kind is Kind.SYMBOL else None
        if operator is None:
            if token.kind is Kind.END or token.text in ("AND", "OR", ")", "GROUP", "ORDER", "LIMIT"):
                raise invalid("incomplete expression")
            raise syntax_error(token)
        value = self._value(attribute)
        check_operator(attribute, operator.value)
        return Comparison(attribute, operator, value)

    def _in(self, attribute: Attribute, negated: bool) -> In:
        check_operator(attribute, "NOT IN" if negated else "IN")
        self._expect("(")
        values = [self._value(attribute)]
        while self._accept(","):
            values.append(self._value(attribute))
        self._expect(")")
        return In(attribute, tuple(values), negated)

    def _is_null(self, attribute: Attribute) -> IsNull:
        negated = self._accept("NOT")
        if not self._accept("NULL"):
            raise invalid("'IS' operator can only be used as 'IS NULL' or 'IS NOT NULL'")
        self._count_values(1)
        return IsNull(attribute, negated)

    def _group(self) -> tuple[Attribute, ...]:
        self._expect("BY")
        attribute = self._attribute()
        if self._token.text == ",":
            raise unsupported("'GROUP BY' clause supports only a single field")
        if attribute.name not in _GROUPABLE:
            raise unsupported(f"'GROUP BY' clause is not supported for search attribute {attribute.name}")
        return (attribute,)

    def _order(self) -> tuple[Order, ...]:
        self._expect("BY")
        keys = [self._order_key()]
        while self._accept(","):
            keys.append(self._order_key())
        if len(keys) > QUERY_ORDER_KEYS_MAX:
            raise invalid(f"more than {QUERY_ORDER_KEYS_MAX} sort keys")
        return tuple(keys)

    def _order_key(self) -> Order:
        attribute = self._attribute()
        if attribute.type == TEXT:
            raise unsupported(f"unable to sort by search attribute type {type_name(attribute.type)}")
        if self._accept("DESC"):
            return Order(attribute, descending=True)
        self._accept("ASC")
        return Order(attribute)

    def _attribute(self) -> Attribute:
        token = self._advance()
        if token.kind is not Kind.NAME:
            raise syntax_error(token)
        attribute = self._find(token.text)
        if attribute is None:
            raise InvalidArgument(f"invalid query: invalid search attribute: {token.text}")
        self._names_division |= attribute.name == NAMESPACE_DIVISION
        return attribute

    def _value(self, attribute: Attribute) -> Value:
        value, words = check_value(attribute, self._literal())
        self._count_values(words)
        return value

    def _count_values(self, count: int) -> None:
        self._values += count
        if self._values > QUERY_VALUES_MAX:
            raise invalid(f"more than {QUERY_VALUES_MAX} values")

    def _literal(self) -> Value:
        negative = False
        token = self._advance()
        if token.kind is Kind.SYMBOL and token.text in ("+", "-"):
            negative = token.text == "-"
            token = self._advance()
            if token.kind is not Kind.NUMBER:
                raise invalid("unary operator is only supported before a number")
        match token.kind:
            case Kind.STRING:
                return token.text
            case Kind.NUMBER:
                return _number(f"-{token.text}" if negative else token.text)
            case Kind.KEYWORD if token.text in ("TRUE", "FALSE"):
                return token.text == "TRUE"
            case Kind.KEYWORD if token.text == "NULL":
                raise invalid("unexpected value NULL, use 'IS NULL' or 'IS NOT NULL'")
            case Kind.NAME:
                raise unsupported(
                    f'column name on the right side of comparison expression (did you forget to quote "{token.text}"?)'
                )
            case Kind.SYMBOL if token.text == "(":
                raise invalid("unexpected value in parentheses")
            case _:
                raise syntax_error(token)

    @property
    def _token(self) -> Token:
        return self._tokens[self._position]

    def _advance(self) -> Token:
        token = self._token
        if token.kind is not Kind.END:
            self._position += 1
        return token

    def _accept(self, text: str) -> bool:
        """Step over this keyword or symbol if it comes next."""
        if self._token.text != text or self._token.kind not in (Kind.KEYWORD, Kind.SYMBOL):
            return False
        self._position += 1
        return True

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            raise syntax_error(self._token)

    def _at_clause(self) -> bool:
        return self._token.kind is Kind.END or (
            self._token.kind is Kind.KEYWORD and self._token.text in ("GROUP", "ORDER", "LIMIT")
        )

    def _is_literal(self) -> bool:
        return self._token.kind in (Kind.STRING, Kind.NUMBER) or (
            self._token.kind is Kind.KEYWORD and self._token.text in ("TRUE", "FALSE", "NULL")
        )


def resolve(name: str, custom: Mapping[str, int]) -> Attribute | None:
    """The attribute that a name means: the namespace's own, else a built-in one, with or without the prefix `Temporal`.

    `ScheduleId` means the workflow id, since a schedule is kept under its id.
    """
    built_in = system_attributes()
    if name in built_in:
        return Attribute(name, built_in[name])
    if name in custom:
        return Attribute(name, custom[name])
    bare = name.removeprefix(RESERVED_PREFIX)
    for candidate in (RESERVED_PREFIX + name, "WorkflowId" if bare == "ScheduleId" else bare):
        if candidate in built_in:
            return Attribute(candidate, built_in[candidate])
    return None


def _number(text: str) -> int | float:
    """A whole number if it is written as one and fits into 64 bits."""
    try:
        if not set(text) & set(".eE") and len(text) <= 20 and INT64_MIN <= (whole := int(text)) <= INT64_MAX:
            return whole
        value = float(text)
    except ValueError:
        value = float("inf")
    if not isfinite(value):
        raise invalid(f'unable to parse value "{text[:100]}"')
    return value
