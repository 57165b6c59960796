"""What calls between roles look like as bytes.

Requests of the public API travel as they are, under `/perdure.internal.<Role>/<RPC>`. What only roles ask each other is
a msgpack array of the arguments, with protos inside as bytes. What every call carries besides (`Call`) is metadata.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

import msgspec
from google.protobuf.message import Message

from perdure.frontend.routes import WORKFLOW_ROUTES, Access, Wait
from perdure.kernel.call import Call
from perdure.kernel.clock import SECOND_NS, Clock
from perdure.kernel.ids import NamespaceId
from perdure.kernel.namespace import NamespaceDirectory
from perdure.kernel.transport import IncomingCall

T = TypeVar("T")

HISTORY = "/perdure.internal.History/"
MATCHING = "/perdure.internal.Matching/"

#: How long a call may take whose client has set no deadline.
TIMEOUT_S = 60.0

#: RPCs that may be asked again when nobody knows what became of the first time: they change nothing, or only wait for
#: a task, which is handed out to one of them.
REPEATABLE = frozenset(
    rpc for rpc, route in WORKFLOW_ROUTES.items() if route.access is Access.READ or route.wait is Wait.POLL
)

_NAMESPACE = "perdure-namespace-id"
#: What roles want to know of the client.
_FORWARDED = ("client-name", "client-version")


def _to_builtin(value: Any) -> bytes:
    if isinstance(value, Message):
        return value.SerializeToString()
    raise NotImplementedError(f"{type(value).__name__} does not travel")


def _from_builtin(kind: type[Any], value: Any) -> Any:
    if issubclass(kind, Message):
        return kind.FromString(value)
    raise NotImplementedError(f"{kind.__name__} does not travel")


encode = msgspec.msgpack.Encoder(enc_hook=_to_builtin).encode


def decoder(kind: type[T]) -> msgspec.msgpack.Decoder[T]:
    """Decodes what `encode` made of a value of this type. Raises msgspec.DecodeError."""
    return cast("msgspec.msgpack.Decoder[T]", msgspec.msgpack.Decoder(kind, dec_hook=_from_builtin))


def timeout_s(call: Call, clock: Clock) -> float:
    """How long the caller waits."""
    if call.deadline_ns is None:
        return TIMEOUT_S
    return max(call.deadline_ns - clock.now_ns(), 0) / SECOND_NS


def metadata_of(call: Call) -> dict[str, str]:
    metadata = {_NAMESPACE: call.namespace_id}
    for name in _FORWARDED:
        if value := call.metadata.get(name):
            metadata[name] = value
    return metadata


class Calls:
    """Makes a `Call` again of one that has travelled."""

    def __init__(self, directory: NamespaceDirectory, clock: Clock) -> None:
        self._directory = directory
        self.clock = clock

    async def received(self, incoming: IncomingCall) -> Call:
        """Raises NamespaceNotFound."""
        metadata: Mapping[str, str] = incoming.metadata
        namespace = await self._directory.by_id(NamespaceId(metadata[_NAMESPACE]))
        deadline_ns = None
        if incoming.timeout_s is not None:
            deadline_ns = self.clock.now_ns() + int(incoming.timeout_s * SECOND_NS)
        return Call(namespace, deadline_ns, metadata)
