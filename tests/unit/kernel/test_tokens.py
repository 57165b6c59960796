import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.kernel import tokens
from perdure.kernel.errors import InvalidArgument, NotFound
from perdure.kernel.ids import ExecutionKind, NamespaceId, RunId, WorkflowId

NAMESPACE = NamespaceId("ns")
WORKFLOW_TASK = tokens.WorkflowTaskToken(NAMESPACE, WorkflowId("w"), RunId("r"), 2, 3, 1, 1_700_000_000_000_000_000)
ACTIVITY = tokens.ActivityToken(NAMESPACE, WorkflowId("w"), RunId("r"), 5, "a", 2, 7, 1_700_000_000_000_000_000)
QUERY = tokens.QueryToken(NAMESPACE, "queue", "id")


def test_round_trip() -> None:
    assert tokens.decode_workflow_task(tokens.encode(WORKFLOW_TASK), NAMESPACE) == WORKFLOW_TASK
    assert tokens.decode_activity(tokens.encode(ACTIVITY), NAMESPACE) == ACTIVITY
    assert tokens.decode_query(tokens.encode(QUERY), NAMESPACE) == QUERY


@pytest.mark.parametrize("token", [WORKFLOW_TASK, ACTIVITY, QUERY])
def test_namespace_of_any_kind(token) -> None:
    assert tokens.namespace_of(tokens.encode(token)) == NAMESPACE


@pytest.mark.parametrize(
    ("decode", "token"),
    [
        (tokens.decode_workflow_task, ACTIVITY),
        (tokens.decode_workflow_task, QUERY),
        (tokens.decode_activity, WORKFLOW_TASK),
        (tokens.decode_query, ACTIVITY),
    ],
)
def test_token_of_another_kind_is_not_found(decode, token) -> None:
    with pytest.raises(NotFound):
        decode(tokens.encode(token), NAMESPACE)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "Task token not set on request."),
        (b"garbage", "Error deserializing task token."),
        (tokens.encode(ACTIVITY)[:-1], "Error deserializing task token."),
        (tokens.encode(tokens.QueryToken(NamespaceId("other"), "q", "i")), "different namespace"),
    ],
)
@pytest.mark.parametrize("decode", [tokens.decode_workflow_task, tokens.decode_activity, tokens.decode_query])
def test_bad_token(decode, data: bytes, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        decode(data, NAMESPACE)


def test_an_activity_of_what_has_none_is_refused() -> None:
    for kind in ExecutionKind:
        token = msgspec.structs.replace(ACTIVITY, kind=kind)
        if kind in (ExecutionKind.WORKFLOW, ExecutionKind.ACTIVITY):
            assert tokens.decode_activity(tokens.encode(token), NAMESPACE) == token
        else:
            with pytest.raises(InvalidArgument, match="Error deserializing task token"):
                tokens.decode_activity(tokens.encode(token), NAMESPACE)


@given(
    st.one_of(
        st.binary(),
        st.builds(lambda cut, end: tokens.encode(ACTIVITY)[:cut] + end, st.integers(0, 60), st.binary(max_size=8)),
    )
)
def test_no_bytes_break_the_decoder(data: bytes) -> None:
    try:
        tokens.decode_activity(data, NAMESPACE)
    except (InvalidArgument, NotFound):
        return
    # Bytes that were accepted are a token: the same one, or one that differs in a value only.
    assert tokens.decode_activity(data, NAMESPACE).namespace_id == NAMESPACE
