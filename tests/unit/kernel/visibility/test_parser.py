# ruff: noqa: E501  a table reads best with a case per line
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.kernel.errors import InvalidArgument
from perdure.kernel.visibility.attributes import (
    BOOL,
    DATETIME,
    INT,
    KEYWORD,
    KEYWORD_LIST,
    NAMESPACE_DIVISION,
    TEXT,
)
from perdure.kernel.visibility.parser import QUERY_NESTING_MAX, QUERY_ORDER_KEYS_MAX, QUERY_VALUES_MAX, parse
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
)

ATTRIBUTES = {"Customer": KEYWORD, "Note": TEXT, "Tags": KEYWORD_LIST, "Amount": INT, "Paid": BOOL, "a b": KEYWORD}

WORKFLOW_ID = Attribute("WorkflowId", KEYWORD)
RUN_ID = Attribute("RunId", KEYWORD)
START = Attribute("StartTime", DATETIME)
STATUS = Attribute("ExecutionStatus", KEYWORD)
DURATION = Attribute("ExecutionDuration", INT)
NO_DIVISION = IsNull(Attribute(NAMESPACE_DIVISION, KEYWORD))


def condition_of(text: str) -> Condition | None:
    condition = parse(text, ATTRIBUTES).condition
    assert isinstance(condition, And)
    assert condition.operands[0] == NO_DIVISION
    return condition.operands[1]


def equal(attribute: Attribute, value: str | int | float | bool) -> Comparison:
    return Comparison(attribute, Operator.EQUAL, value)


A, B, C = (equal(WORKFLOW_ID, name) for name in "abc")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("WorkflowId = 'a'", A),
        ('WorkflowId="a"', A),
        ("`WorkflowId` = 'a'", A),
        ("  WorkflowId\n=\t'a' -- a comment", A),
        ("WorkflowId /* is */ = 'a'", A),
        ("WorkflowId <> 'a'", Comparison(WORKFLOW_ID, Operator.NOT_EQUAL, "a")),
        ("WorkflowId = 'a' or WorkflowId = 'b' AND WorkflowId = 'c'", Or((A, And((B, C))))),
        ("(WorkflowId = 'a' OR WorkflowId = 'b') AND WorkflowId = 'c'", And((Or((A, B)), C))),
        ("WorkflowId = 'a' && WorkflowId = 'b' || WorkflowId = 'c'", Or((And((A, B)), C))),
        ("NOT WorkflowId = 'a' AND WorkflowId = 'b'", And((Not(A), B))),
        ("not not (WorkflowId = 'a')", Not(Not(A))),
        ("WorkflowId IN ('a', 'b')", In(WORKFLOW_ID, ("a", "b"))),
        ("WorkflowId NOT IN ('a')", In(WORKFLOW_ID, ("a",), negated=True)),
        ("WorkflowId starts_with 'a'", StartsWith(WORKFLOW_ID, "a")),
        ("WorkflowId NOT STARTS_WITH 'a'", StartsWith(WORKFLOW_ID, "a", negated=True)),
        ("Amount BETWEEN -1 AND +1.5e1", Between(Attribute("Amount", INT), -1, 15.0)),
        ("Amount NOT BETWEEN 1 AND 2 AND RunId = 'r'", And((Between(Attribute("Amount", INT), 1, 2, True), equal(RUN_ID, "r")))),
        ("Amount = 99999999999999999999", equal(Attribute("Amount", INT), 1e20)),
        ("Amount = .5", equal(Attribute("Amount", INT), 0.5)),
        ("Paid = TRUE", equal(Attribute("Paid", BOOL), True)),
        ("Customer IS NOT NULL", IsNull(Attribute("Customer", KEYWORD), negated=True)),
        ("`a b` = 'x'", equal(Attribute("a b", KEYWORD), "x")),
        ("ExecutionStatus = 'Running'", equal(STATUS, 1)),
        ("ExecutionStatus = 'WORKFLOW_EXECUTION_STATUS_TIMED_OUT'", equal(STATUS, 7)),
        ("ExecutionStatus = 'ContinuedAsNew'", equal(STATUS, 6)),
        ("StartTime = '1970-01-01T00:00:01.5Z'", equal(START, 1_500_000_000)),
        ("StartTime = '1970-01-01T01:00:00+01:00'", equal(START, 0)),
        ("StartTime = 12", equal(START, 12)),
        ("ExecutionDuration = '1h30m'", equal(DURATION, 5400 * 10**9)),
        ("ExecutionDuration = '-1.5s'", equal(DURATION, -1_500_000_000)),
        ("ExecutionDuration = '1d'", equal(DURATION, 86400 * 10**9)),
        ("ExecutionDuration = '00:01:02'", equal(DURATION, 62 * 10**9)),
        ("ExecutionDuration = '7'", equal(DURATION, 7)),
        ("WorkflowId = 'it''s'", equal(WORKFLOW_ID, "it's")),
        (r"WorkflowId = 'it\'s\\ \n'", equal(WORKFLOW_ID, "it's\\ \n")),
        ("WorkflowId = 'a\"\"b'", equal(WORKFLOW_ID, 'a""b')),
        ('WorkflowId = "a""b"', equal(WORKFLOW_ID, 'a"b')),
        ("WorkflowId = '); DROP TABLE visibility; --'", equal(WORKFLOW_ID, "); DROP TABLE visibility; --")),
        ("ScheduleId = 'a'", A),
        ("TemporalScheduleId = 'a'", A),
        ("TemporalWorkflowId = 'a'", A),
        ("SchedulePaused = true", equal(Attribute("TemporalSchedulePaused", BOOL), True)),
    ],
)  # fmt: skip
def test_conditions(text: str, expected: Condition) -> None:
    assert condition_of(text) == expected


def test_clauses() -> None:
    assert parse("", {}) == Query(NO_DIVISION)
    assert parse("GROUP BY ExecutionStatus", {}) == Query(NO_DIVISION, group=(STATUS,))
    assert parse("order by StartTime desc, RunId ASC", {}) == Query(
        NO_DIVISION, order=(Order(START, descending=True), Order(RUN_ID))
    )


def test_a_query_that_names_the_division_is_left_as_it_is() -> None:
    division = Attribute(NAMESPACE_DIVISION, KEYWORD)
    assert parse("TemporalNamespaceDivision = 'x'", {}).condition == equal(division, "x")


def test_custom_attributes_stand_before_the_tricks_but_not_before_built_in_names() -> None:
    custom = {"ScheduleId": INT, "WorkflowId": INT}
    assert isinstance(parse("ScheduleId = 5 AND WorkflowId = 'a'", custom), Query)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("WorkflowId", "invalid expression: incomplete expression"),
        ("WorkflowId =", "malformed SQL query: syntax error at position 12"),
        ("WorkflowId = 'a", "malformed SQL query: syntax error at position 14"),
        ("WorkflowId = 'a' garbage", "malformed SQL query: syntax error at position 24 near 'garbage'"),
        ("WorkflowId == 'a'", "malformed SQL query: syntax error"),
        ("AND", "malformed SQL query: syntax error at position 3 near 'and'"),
        ("(WorkflowId = 'a'", "malformed SQL query: syntax error"),
        ("WorkflowId = 'a')", "malformed SQL query: syntax error"),
        ("WorkflowId IN ()", "malformed SQL query: syntax error"),
        ("WorkflowId IN 'a'", "malformed SQL query: syntax error"),
        ("WorkflowId = a", 'operation is not supported: column name on the right side of comparison expression (did you forget to quote "a"?)'),
        ("'a' = WorkflowId", "invalid expression: must be a column name"),
        ("Foo = 'a'", "invalid search attribute: Foo"),
        ("workflowid = 'a'", "invalid search attribute: workflowid"),
        ("WorkflowId = 5", "invalid expression: invalid value type for search attribute WorkflowId of type Keyword: 5 (type: int64)"),
        ("Amount = 'a'", 'invalid expression: invalid value type for search attribute Amount of type Int: "a" (type: string)'),
        ("Amount = 1e400", 'invalid expression: unable to parse value "1e400"'),
        ("Paid = 1", "invalid expression: invalid value type for search attribute Paid of type Bool: 1 (type: int64)"),
        ("StartTime = true", "invalid expression: invalid value type for search attribute StartTime of type Datetime: true (type: bool)"),
        ("StartTime > '2020-01-01'", "invalid expression: unable to parse datetime '2020-01-01'"),
        ("ExecutionStatus = 'running'", "invalid expression: invalid ExecutionStatus value 'running'"),
        ("ExecutionStatus = 77", "invalid expression: invalid ExecutionStatus value 77"),
        ("ExecutionStatus = 1.5", "invalid expression: unexpected value type float64 for search attribute ExecutionStatus"),
        ("ExecutionStatus STARTS_WITH 'Running'", 'invalid expression: right-hand side of "starts_with" operator must be a literal string'),
        ("ExecutionDuration > 'x'", "invalid expression: invalid duration value for search attribute ExecutionDuration: x"),
        ("ExecutionDuration > '99999999999h'", "invalid expression: invalid duration value"),
        ("WorkflowId LIKE 'a%'", "operation is not supported: operator 'LIKE' not supported for Keyword type search attribute 'WorkflowId'"),
        ("Tags > 'a'", "operation is not supported: operator '>' not supported for KeywordList type search attribute 'Tags'"),
        ("Tags STARTS_WITH 'a'", "operation is not supported: operator 'STARTS_WITH' not supported for KeywordList"),
        ("Note IN ('a')", "operation is not supported: operator 'IN' not supported for Text type search attribute 'Note'"),
        ("Note = '--'", "invalid expression: unexpected value for Text type search attribute (no tokens found)"),
        ("Paid BETWEEN true AND false", "invalid expression: cannot do range condition on search attribute 'Paid' of type Bool"),
        ("WorkflowId IS TRUE", "invalid expression: 'IS' operator can only be used as 'IS NULL' or 'IS NOT NULL'"),
        ("WorkflowId = NULL", "invalid expression: unexpected value NULL"),
        ("WorkflowId = 'a' LIMIT 5", "operation is not supported: 'LIMIT' clause"),
        ("GROUP BY WorkflowType", "operation is not supported: 'GROUP BY' clause is not supported for search attribute WorkflowType"),
        ("GROUP BY ExecutionStatus, RunId", "operation is not supported: 'GROUP BY' clause supports only a single field"),
        ("ORDER BY Note", "operation is not supported: unable to sort by search attribute type Text"),
        ("NOT " * (QUERY_NESTING_MAX + 1) + "RunId = 'a'", f"invalid expression: nested deeper than {QUERY_NESTING_MAX} levels"),
        ("(" * 100_000, f"invalid expression: nested deeper than {QUERY_NESTING_MAX} levels"),
        ("RunId IN ('a'" + ", 'a'" * QUERY_VALUES_MAX + ")", f"invalid expression: more than {QUERY_VALUES_MAX} values"),
        ("Note = '" + "a " * (QUERY_VALUES_MAX + 1) + "'", f"invalid expression: more than {QUERY_VALUES_MAX} values"),
        ("ORDER BY RunId" + ", RunId" * QUERY_ORDER_KEYS_MAX, f"invalid expression: more than {QUERY_ORDER_KEYS_MAX} sort keys"),
    ],
)  # fmt: skip
def test_refusals(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse(text, ATTRIBUTES)
    assert caught.value.message.startswith(f"invalid query: {message}")


FRAGMENTS = st.sampled_from(
    """WorkflowId StartTime ExecutionStatus ExecutionDuration Customer Note Tags Amount Paid `a b` Foo = != <> < <= > >= <=>
    IN NOT BETWEEN AND OR IS NULL STARTS_WITH LIKE ( ) , 'Running' 'a' '1h' "x y" '2020-01-01T00:00:00Z' 0 1 -1 1.5 1e999
    true FALSE ORDER GROUP BY DESC LIMIT ExecutionStatus ' " ` -- /* */ \\ ; é""".split()  # noqa: SIM905
)


@given(st.one_of(st.text(), st.lists(st.one_of(FRAGMENTS, st.text(max_size=5)), max_size=25).map(" ".join)))
def test_every_text_is_a_query_or_an_invalid_argument(text: str) -> None:
    try:
        parsed = parse(text, ATTRIBUTES)
    except InvalidArgument as refusal:
        assert refusal.message.startswith("invalid query: ")
    else:
        assert isinstance(parsed, Query)


@given(st.text())
def test_any_string_can_be_quoted(value: str) -> None:
    quoted = value.replace("\\", "\\\\").replace("'", "''")
    assert condition_of(f"WorkflowId = '{quoted}'") == equal(WORKFLOW_ID, value)
