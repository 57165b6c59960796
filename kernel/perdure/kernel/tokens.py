"""Task tokens: what a worker hands back with its answer, so that the answer finds its task.

Opaque to callers and not secret: a token proves nothing, so whoever decodes one compares it with the state that it
names. Evolution rule: new fields go to the end and have a default, since workers hold tokens across an upgrade.
"""

from __future__ import annotations

import msgspec

from perdure.kernel.errors import InvalidArgument, NotFound
from perdure.kernel.ids import ExecutionKey, ExecutionKind, NamespaceId, RunId, WorkflowId


class WorkflowTaskToken(msgspec.Struct, frozen=True, array_like=True, tag="w"):
    """One started attempt of a workflow task."""

    namespace_id: NamespaceId
    workflow_id: WorkflowId
    run_id: RunId
    scheduled_event_id: int
    started_event_id: int
    attempt: int
    started_at_ns: int

    @property
    def key(self) -> ExecutionKey:
        return ExecutionKey(self.namespace_id, self.workflow_id, self.run_id)


class ActivityToken(msgspec.Struct, frozen=True, array_like=True, tag="a"):
    """One started attempt of an activity."""

    namespace_id: NamespaceId
    workflow_id: WorkflowId
    run_id: RunId
    scheduled_event_id: int
    activity_id: str
    attempt: int
    stamp: int
    started_at_ns: int
    #: What `workflow_id` and `run_id` name: a workflow, or the activity itself if it is a standalone one.
    kind: ExecutionKind = ExecutionKind.WORKFLOW

    @property
    def key(self) -> ExecutionKey:
        return ExecutionKey(self.namespace_id, self.workflow_id, self.run_id, self.kind)


class QueryToken(msgspec.Struct, frozen=True, array_like=True, tag="q"):
    """A query that a worker was handed outside of any workflow task; `queue` says which matching owner waits."""

    namespace_id: NamespaceId
    queue: str
    query_id: str


class NexusToken(msgspec.Struct, frozen=True, array_like=True, tag="n"):
    """A Nexus request that a worker was handed; `queue` says which matching owner waits for the answer."""

    namespace_id: NamespaceId
    queue: str
    task_id: str


#: What an activity can belong to.
_WITH_ACTIVITIES = (ExecutionKind.WORKFLOW, ExecutionKind.ACTIVITY)
_Token = WorkflowTaskToken | ActivityToken | QueryToken | NexusToken
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[_Token] = msgspec.msgpack.Decoder(_Token)


def encode(token: _Token) -> bytes:
    """The token as it travels to the worker."""
    return _encoder.encode(token)


def decode_workflow_task(data: bytes, namespace_id: NamespaceId) -> WorkflowTaskToken:
    """Read the token of a workflow task.

    Raises:
        InvalidArgument: the token is missing, is not one of ours, or was made in another namespace.
        NotFound: the token is of another kind.
    """
    token = _decode(data, namespace_id)
    if not isinstance(token, WorkflowTaskToken):
        raise NotFound("Workflow task not found.")
    return token


def decode_activity(data: bytes, namespace_id: NamespaceId) -> ActivityToken:
    """Read the token of an activity task.

    Raises:
        InvalidArgument: the token is missing, is not one of ours, or was made in another namespace.
        NotFound: the token is of another kind.
    """
    token = _decode(data, namespace_id)
    if not isinstance(token, ActivityToken):
        raise NotFound("invalid activityID or activity already timed out or invoking workflow is completed")
    if token.kind not in _WITH_ACTIVITIES:
        raise _not_ours()
    return token


def decode_query(data: bytes, namespace_id: NamespaceId) -> QueryToken:
    """Read the token of a query task.

    Raises:
        InvalidArgument: the token is missing, is not one of ours, or was made in another namespace.
        NotFound: the token is of another kind.
    """
    token = _decode(data, namespace_id)
    if not isinstance(token, QueryToken):
        raise NotFound("query task not found, or already expired")
    return token


def decode_nexus(data: bytes, namespace_id: NamespaceId) -> NexusToken:
    """Read the token of a Nexus task.

    Raises:
        InvalidArgument: the token is missing, is not one of ours, or was made in another namespace.
        NotFound: the token is of another kind.
    """
    token = _decode(data, namespace_id)
    if not isinstance(token, NexusToken):
        raise NotFound("Nexus task not found or already expired")
    return token


def namespace_of(data: bytes) -> NamespaceId:
    """The namespace in which a token of any kind was made.

    Raises:
        InvalidArgument: the token is missing, or is not one of ours.
    """
    return _read(data).namespace_id


def workflow_of(data: bytes) -> WorkflowId:
    """The id of the execution whose task it is; empty if the token is of a query or a Nexus request.

    Raises:
        InvalidArgument: the token is missing, or is not one of ours.
    """
    token = _read(data)
    return WorkflowId("") if isinstance(token, QueryToken | NexusToken) else token.workflow_id


def queue_of(data: bytes) -> str:
    """The task queue whose query or Nexus request it is; empty if the token is of another kind.

    Raises:
        InvalidArgument: the token is missing, or is not one of ours.
    """
    token = _read(data)
    return token.queue if isinstance(token, QueryToken | NexusToken) else ""


def _read(data: bytes) -> _Token:
    if not data:
        raise InvalidArgument("Task token not set on request.")
    try:
        return _decoder.decode(data)
    except ValueError:  # msgspec's own errors are of this class, and so is a string that is not UTF-8
        raise _not_ours() from None


def _not_ours() -> InvalidArgument:
    return InvalidArgument("Error deserializing task token.")


def _decode(data: bytes, namespace_id: NamespaceId) -> _Token:
    token = _read(data)
    if token.namespace_id != namespace_id:
        raise InvalidArgument("Operation requested with a token from a different namespace.")
    return token
