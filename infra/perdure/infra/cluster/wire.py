"""What calls between roles look like as bytes.

Requests of the public API travel as they are, under `/perdure.internal.<Role>/<RPC>`. What only roles ask each other is
a msgpack array of the arguments, with protos inside as bytes. What every call carries besides (`Call`) is metadata.

Evolution rule: processes of two versions talk to each other during an upgrade. New fields and arguments go to the end
and have a default; who does not know them leaves them out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from functools import cache
from typing import Any, Generic, TypeVar, get_args, get_origin, get_type_hints

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
_NAMESPACE_VERSION = "perdure-namespace-version"
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


class Decoder(Generic[T]):
    """Decodes what `encode` made of a value of this type, here or in a later version."""

    def __init__(self, kind: type[T]) -> None:
        self._kind = kind
        self._decode = msgspec.msgpack.Decoder(kind, dec_hook=_from_builtin).decode

    def decode(self, body: bytes) -> T:
        """Raises msgspec.DecodeError."""
        try:
            return self._decode(body)
        except msgspec.ValidationError:
            # Tuples with more elements than ours are refused, at a fifth of the price of a type that would take them.
            known = _without_unknown(self._kind, msgspec.msgpack.decode(body))
            return msgspec.convert(known, self._kind, dec_hook=_from_builtin)


def _without_unknown(kind: Any, value: Any) -> Any:
    """The decoded value without the elements of tuples that this version does not know. Structs leave out theirs."""
    if isinstance(value, list):
        if get_origin(kind) is list:
            return [_without_unknown(get_args(kind)[0], each) for each in value]
        if kinds := _elements(kind):
            return [_without_unknown(of, each) for of, each in zip(kinds, value, strict=False)]
        inside = [of for of in get_args(kind) if _elements(of)]
        return _without_unknown(inside[0], value) if len(inside) == 1 else value
    if isinstance(value, dict) and is_dataclass(kind):
        return {name: _without_unknown(of, value[name]) for name, of in _hints(kind).items() if name in value}
    return value


def _elements(kind: Any) -> Sequence[Any]:
    """The types of a tuple's elements; none if it is something else."""
    if get_origin(kind) is tuple:
        return get_args(kind)
    if isinstance(kind, type) and issubclass(kind, tuple):
        return list(_hints(kind).values())
    return ()


_hints: Callable[[Any], Mapping[str, Any]] = cache(get_type_hints)


def timeout_s(call: Call, clock: Clock) -> float:
    """How long the caller waits."""
    if call.deadline_ns is None:
        return TIMEOUT_S
    return max(call.deadline_ns - clock.now_ns(), 0) / SECOND_NS


def metadata_of(call: Call) -> dict[str, str]:
    metadata = {_NAMESPACE: call.namespace_id, _NAMESPACE_VERSION: str(call.namespace.version)}
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
        """The call in a namespace that is at least as new as the caller's: it may be for what was just added.

        Raises:
            NamespaceNotFound: the namespace is gone.
        """
        metadata: Mapping[str, str] = incoming.metadata
        namespace_id = NamespaceId(metadata[_NAMESPACE])
        namespace = await self._directory.by_id(namespace_id)
        if namespace.version < int(metadata.get(_NAMESPACE_VERSION, 0)):
            namespace = await self._directory.by_id(namespace_id, fresh=True)
        deadline_ns = None
        if incoming.timeout_s is not None:
            deadline_ns = self.clock.now_ns() + int(incoming.timeout_s * SECOND_NS)
        return Call(namespace, deadline_ns, metadata)
