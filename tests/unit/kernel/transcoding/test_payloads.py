from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Memo, Payload, Payloads

from perdure.kernel.errors import InvalidArgument
from perdure.kernel.transcoding.decode import Decoder
from perdure.kernel.transcoding.encode import Encoder

PLAIN = {"encoding": b"json/plain"}
ENCODER = Encoder(shorthand=True)
VALUES = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner | st.none()) | st.dictionaries(st.text(), inner | st.none()),
    max_leaves=10,
)


def read(value: Any) -> Payloads:
    message = Payloads()
    Decoder(shorthand=True).read(value, message)
    return message


@given(st.lists(VALUES))
def test_values_come_back(values: list[Any]) -> None:
    read_ = read(values)
    assert [json.loads(each.data) for each in read_.payloads] == values
    assert all(each.metadata == PLAIN for each in read_.payloads)
    assert ENCODER.write(read_) == values


def test_null_is_a_payload_of_its_own() -> None:
    message = read([None, 1])
    assert message.payloads[0] == Payload(metadata={"encoding": b"binary/null"})
    assert ENCODER.write(message) == [{"metadata": {"encoding": "YmluYXJ5L251bGw="}}, 1]
    assert read(ENCODER.write(message)) == message


def test_messages_carry_their_type() -> None:
    message = read([{"_protoMessageType": "a.B", "x": 1}])
    assert message.payloads[0] == Payload(
        metadata={"encoding": b"json/protobuf", "messageType": b"a.B"}, data=b'{"x":1}'
    )
    assert ENCODER.write(message) == [{"_protoMessageType": "a.B", "x": 1}]


@pytest.mark.parametrize(
    "payload",
    [
        Payload(metadata={"encoding": b"binary/encrypted"}, data=b"\0"),
        Payload(metadata={"encoding": b"json/plain", "more": b"x"}, data=b"1"),
        Payload(metadata=PLAIN, data=b"{no json"),
        Payload(metadata=PLAIN, data=b"\xff"),
        Payload(metadata=PLAIN, data=b"null"),
        Payload(metadata=PLAIN, data=b'{"metadata": {"encoding": ""}, "data": ""}'),
        Payload(metadata={"encoding": b"json/protobuf", "messageType": b"\xff"}, data=b"{}"),
    ],
)
def test_what_would_be_read_as_something_else_is_written_at_length(payload: Payload) -> None:
    written = ENCODER.write(Payloads(payloads=[payload]))
    assert written == {"payloads": [Encoder().write(payload)]}
    assert read(written).payloads == [payload]


@pytest.mark.parametrize("payload", [Payload(), Payload(data=b"1"), Payload(metadata={"x": b"y"})])
def test_a_payload_without_encoding_is_written_at_length(payload: Payload) -> None:
    assert ENCODER.write(Payloads(payloads=[payload])) == {"payloads": [Encoder().write(payload)]}


def test_payloads_in_maps_are_short_too() -> None:
    memo = Memo()
    Decoder(shorthand=True).read({"fields": {"a": 1, "b": "x"}}, memo)
    assert memo.fields["a"] == Payload(metadata=PLAIN, data=b"1")
    assert ENCODER.write(memo) == {"fields": {"a": 1, "b": "x"}}


def test_an_array_is_no_payloads_without_shorthand() -> None:
    with pytest.raises(InvalidArgument, match="expected an object, got an array"):
        Decoder().read([1], Payloads())


@pytest.mark.parametrize("value", [[float("inf")], [{"_protoMessageType": 1}], 7, "x"])
def test_what_is_no_payload_is_refused(value: Any) -> None:
    with pytest.raises(InvalidArgument):
        read(value)
