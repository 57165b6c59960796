"""How state and changes are written down: MessagePack, with protos as opaque bytes inside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from google.protobuf.message import Message
from temporalio.api.history.v1 import History, HistoryEvent

from perdure.history.state.changes import AnyChange
from perdure.history.state.execution import Execution


def _encode_proto(value: Any) -> bytes:
    if isinstance(value, Message):
        return value.SerializeToString()
    raise TypeError(f"{type(value).__name__} has no stored form")


def _decode_proto(kind: type[Any], value: Any) -> Any:
    if issubclass(kind, Message):
        return kind.FromString(value)
    raise TypeError(f"{kind.__name__} has no stored form")


_encoder = msgspec.msgpack.Encoder(enc_hook=_encode_proto)
_state_decoder = msgspec.msgpack.Decoder(Execution, dec_hook=_decode_proto)
_changes_decoder = msgspec.msgpack.Decoder(list[AnyChange], dec_hook=_decode_proto)


def encode_state(state: Execution) -> bytes:
    """A snapshot."""
    return _encoder.encode(state)


def decode_state(blob: bytes) -> Execution:
    """Raises msgspec.DecodeError if the blob is not a snapshot."""
    return _state_decoder.decode(blob)


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
