"""How state and changes are written down: MessagePack, with protos as opaque bytes inside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, TypeVar

import msgspec
from google.protobuf.message import Message
from temporalio.api.history.v1 import History, HistoryEvent

from perdure.history.state.changes import AnyChange

S = TypeVar("S", bound=msgspec.Struct)


def _encode_proto(value: Any) -> bytes:
    if isinstance(value, Message):
        return value.SerializeToString()
    raise TypeError(f"{type(value).__name__} has no stored form")


def _decode_proto(kind: type[Any], value: Any) -> Any:
    if issubclass(kind, Message):
        return kind.FromString(value)
    raise TypeError(f"{kind.__name__} has no stored form")


_encoder = msgspec.msgpack.Encoder(enc_hook=_encode_proto)
_changes_decoder = msgspec.msgpack.Decoder(list[AnyChange], dec_hook=_decode_proto)


def encode_state(state: msgspec.Struct) -> bytes:
    """A snapshot."""
    return _encoder.encode(state)


@cache
def _state_decoder(state_type: type[S]) -> msgspec.msgpack.Decoder[S]:
    return msgspec.msgpack.Decoder(state_type, dec_hook=_decode_proto)


def decode_state(state_type: type[S], blob: bytes) -> S:
    """Raises msgspec.DecodeError if the blob is not a snapshot of such a state."""
    state: S = _state_decoder(state_type).decode(blob)
    return state


def encode_changes(changes: Sequence[AnyChange]) -> bytes:
    """The changes of one journal record; none are no bytes at all."""
    return _encoder.encode(changes) if changes else b""


def decode_changes(blob: bytes) -> list[AnyChange]:
    """Raises msgspec.DecodeError if the blob is not a list of changes."""
    return _changes_decoder.decode(blob) if blob else []


def encode_events(events: Iterable[HistoryEvent]) -> bytes:
    """A serialised `History`; such blobs may be concatenated."""
    return History(events=events).SerializeToString()


def decode_events(blob: bytes) -> Sequence[HistoryEvent]:
    return History.FromString(blob).events
