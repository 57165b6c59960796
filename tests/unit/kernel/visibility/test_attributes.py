from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload, SearchAttributes

from perdure.kernel.errors import InvalidArgument
from perdure.kernel.visibility.attributes import (
    BOOL,
    DATETIME,
    DOUBLE,
    INT,
    KEYWORD,
    KEYWORD_LIST,
    TEXT,
    AttributeValue,
    Text,
    decode_request,
    decode_stored,
    decode_value,
    encode_value,
    is_reserved,
    set_types,
)
from perdure.kernel.visibility.literals import INT64_MAX, INT64_MIN, format_instant, parse_instant

CUSTOM = {
    "Word": KEYWORD,
    "Prose": TEXT,
    "Number": INT,
    "Real": DOUBLE,
    "Flag": BOOL,
    "Moment": DATETIME,
    "Words": KEYWORD_LIST,
}


def json(data: bytes, encoding: bytes = b"json/plain") -> Payload:
    return Payload(metadata={"encoding": encoding}, data=data)


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("Word", b'"a"', "a"),
        ("Word", b'["a"]', "a"),
        ("Word", b"[]", None),
        ("Word", b"null", None),
        ("Prose", b'"a b"', Text("a b")),
        ("Number", b"5", 5),
        ("Real", b"5", 5.0),
        ("Flag", b"true", True),
        ("Moment", b'"1970-01-01T00:00:01Z"', 10**9),
        ("Words", b'["a", "b"]', ["a", "b"]),
        ("Words", b"[]", None),
        ("TemporalChangeVersion", b'["a"]', ["a"]),
    ],
)
def test_values(name: str, data: bytes, expected: AttributeValue | None) -> None:
    decoded = decode_request(SearchAttributes(indexed_fields={name: json(data)}), CUSTOM, "default")
    assert decoded == {name: expected}
    assert type(decoded[name]) is type(expected)


@pytest.mark.parametrize(
    ("name", "payload", "message"),
    [
        ("Word", json(b"5"), "invalid value for search attribute Word of type Keyword: 5"),
        ("Word", json(b'["a", "b"]'), "invalid value for search attribute Word of type Keyword: [a b]"),
        ("Word", json(b"xx"), "invalid value for search attribute Word of type Keyword: value from <"),
        ("Word", json(b""), "invalid value for search attribute Word of type Keyword: value from <"),
        ("Word", json(b'"a"', b"foo"), "invalid value for search attribute Word of type Keyword: value from <"),
        ("Word", json(b"[" * 100_000), "invalid value for search attribute Word of type Keyword: value from <"),
        ("Number", json(b"5.5"), "invalid value for search attribute Number of type Int: 5.5"),
        ("Number", json(b"5.0"), "invalid value for search attribute Number of type Int: 5"),
        ("Number", json(b"true"), "invalid value for search attribute Number of type Int: "),
        ("Number", json(b"99999999999999999999"), "invalid value for search attribute Number of type Int: "),
        ("Flag", json(b"1"), "invalid value for search attribute Flag of type Bool: 1"),
        ("Moment", json(b'"2020-01-01"'), "invalid value for search attribute Moment of type Datetime: 2020-01-01"),
        ("Words", json(b'"a"'), "invalid value for search attribute Words of type KeywordList: a"),
        ("Words", json(b"[5]"), "invalid value for search attribute Words of type KeywordList: [5]"),
        ("Foo", json(b'"a"'), "Namespace default has no mapping defined for search attribute Foo"),
        ("WorkflowId", json(b'"a"'), "WorkflowId attribute can't be set in SearchAttributes"),
        ("TemporalWorkerDeployment", json(b'"a"'), "TemporalWorkerDeployment attribute can't be set in"),
    ],
)
def test_refusals(name: str, payload: Payload, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        decode_request(SearchAttributes(indexed_fields={name: payload}), CUSTOM, "default")
    assert caught.value.message.startswith(message)


def test_what_is_stored_is_what_can_be_found() -> None:
    fields = {"Word": json(b'"a"'), "Number": json(b'"no number"'), "Gone": json(b'"a"'), "Flag": json(b"null")}
    assert decode_stored(SearchAttributes(indexed_fields=fields), CUSTOM) == {"Word": "a"}


def test_types_are_added_where_they_are_missing() -> None:
    attributes = SearchAttributes(indexed_fields={"Words": json(b"[]"), "Foo": json(b"1"), "BuildIds": json(b"[]")})
    attributes.indexed_fields["Word"].metadata["type"] = b"Text"
    set_types(attributes, CUSTOM)
    types = {name: payload.metadata["type"] for name, payload in attributes.indexed_fields.items() if name != "Foo"}
    assert types == {"Words": b"KeywordList", "BuildIds": b"KeywordList", "Word": b"Text"}
    assert "type" not in attributes.indexed_fields["Foo"].metadata


@pytest.mark.parametrize("name", ["WorkflowId", "BuildIds", "Memo", "NamespaceId", "TemporalAnything"])
def test_reserved_names(name: str) -> None:
    assert is_reserved(name)
    assert not is_reserved("Customer")


VALUES = st.one_of(
    st.tuples(st.text(), st.just(KEYWORD)),
    st.tuples(st.text().map(Text), st.just(TEXT)),
    st.tuples(st.integers(INT64_MIN, INT64_MAX), st.sampled_from([INT, DATETIME])),
    st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.just(DOUBLE)),
    st.tuples(st.booleans(), st.just(BOOL)),
    st.tuples(st.lists(st.text(), min_size=1), st.just(KEYWORD_LIST)),
)


@given(VALUES)
def test_values_survive_encoding(typed: tuple[AttributeValue, int]) -> None:
    value, attribute_type = typed
    assert decode_value(encode_value(value, attribute_type), attribute_type) == value


@given(st.binary(), st.sampled_from(list(CUSTOM.values())))
def test_any_bytes_are_a_value_or_a_value_error(data: bytes, attribute_type: int) -> None:
    try:
        decode_value(json(data), attribute_type)
    except ValueError as refusal:
        assert str(refusal)


@given(st.datetimes(datetime(1678, 1, 1), datetime(2262, 1, 1), timezones=st.just(UTC)))
def test_instants_are_those_of_the_standard_library(moment: datetime) -> None:
    expected = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
    assert parse_instant(moment.isoformat()) == expected
    assert parse_instant(format_instant(expected)) == expected
