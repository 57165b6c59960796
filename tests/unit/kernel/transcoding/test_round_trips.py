"""Every RPC of every service: what the protobuf library writes is read back as it was."""

from __future__ import annotations

import json

import pytest
from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perdure.kernel.errors import InvalidArgument
from perdure.kernel.transcoding import jsontext
from perdure.kernel.transcoding.decode import Decoder
from perdure.kernel.transcoding.encode import Encoder
from perdure.kernel.transcoding.requests import build_request, parse_query
from perdure.kernel.transcoding.routes import Binding, RouteTable, bindings_of
from tests.support.fuzz import fill
from tests.support.http_requests import SERVICES, compose, make_expressible, messages

TABLE = RouteTable(binding for service in SERVICES for binding in bindings_of(service))
RPCS = {binding.rpc_path: binding for binding in reversed(TABLE.bindings)}
CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
EXAMPLES = 5


def same(one: Message, other: Message) -> bool:
    """As JSON, where NaN is equal to itself."""
    return bool(json_format.MessageToDict(one) == json_format.MessageToDict(other))


@pytest.mark.parametrize("binding", TABLE.bindings, ids=lambda each: f"{each.method} {each.template.text}")
def test_requests_are_what_was_meant(binding: Binding) -> None:
    @settings(max_examples=EXAMPLES, suppress_health_check=CHECKS, deadline=None)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        message = data.draw(messages(binding))
        request = compose(binding, message)
        match = TABLE.find(request.method, request.path)
        assert match.binding is binding
        assert same(build_request(match, parse_query(request.query), request.body), message)

    check()


@pytest.mark.parametrize("binding", RPCS.values(), ids=RPCS)
def test_answers_are_those_of_the_library(binding: Binding) -> None:
    @settings(max_examples=EXAMPLES, suppress_health_check=CHECKS, deadline=None)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        message = fill(data.draw, GetMessageClass(binding.rpc.output_type)())
        make_expressible(message)
        text = jsontext.dump(Encoder().write(message))
        assert json.loads(text) == json_format.MessageToDict(message)
        again = type(message)()
        Decoder().read(jsontext.parse(text), again)
        assert same(again, message)

    check()


@pytest.mark.parametrize("binding", RPCS.values(), ids=RPCS)
def test_whatever_handlers_answer_can_be_written(binding: Binding) -> None:
    """Times that JSON has no notation for, and damaged Any too: clients can store both over gRPC."""

    @settings(max_examples=EXAMPLES, suppress_health_check=CHECKS, deadline=None)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        message = fill(data.draw, GetMessageClass(binding.rpc.output_type)())
        for shorthand in (False, True):
            assert isinstance(json.loads(jsontext.dump(Encoder(shorthand=shorthand).write(message))), dict)

    check()


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.sampled_from(["1", "2s", "AA=="]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def nearly(draw: st.DrawFn, binding: Binding) -> object:
    """JSON that has the fields of the request, with any values."""
    names = [field.json_name for field in binding.rpc.input_type.fields]
    return draw(st.dictionaries(st.sampled_from(names or ["x"]), _JSON, max_size=4))


@pytest.mark.parametrize("binding", RPCS.values(), ids=RPCS)
def test_any_json_is_a_message_or_the_callers_error(binding: Binding) -> None:
    @settings(max_examples=20, suppress_health_check=CHECKS, deadline=None)
    @given(nearly(binding), st.booleans())
    def check(value: object, shorthand: bool) -> None:
        message = GetMessageClass(binding.rpc.input_type)()
        try:
            Decoder(shorthand=shorthand).read(value, message)
        except InvalidArgument:
            return
        assert message.IsInitialized()

    check()
