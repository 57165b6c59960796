"""PURE. Messages to proto3 JSON: fields with their default values are left out, as protobuf does."""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Callable
from typing import Any

from google.protobuf import descriptor_pool, json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from perdure.kernel.transcoding.decode import is_map
from perdure.kernel.transcoding.payloads import SHORTHANDS

_F = FieldDescriptor
#: The first and last second that a timestamp of JSON can name, and the longest duration, in seconds.
_FIRST_S, _LAST_S = -62_135_596_800, 253_402_300_799
_DURATION_S_MAX = 315_576_000_000
_NANOS_MAX = 999_999_999


class Encoder:
    """Writes messages as values of plain types. With `shorthand`, payloads of JSON are written as what they hold."""

    def __init__(self, *, shorthand: bool = False) -> None:
        self._shorthand = shorthand

    def write(self, message: Message) -> Any:
        """What `jsontext.dump` takes."""
        name = message.DESCRIPTOR.full_name
        special = _WELL_KNOWN.get(name)
        if special is not None:
            return special(self, message)
        written = {field.json_name: self.write_field(field, value) for field, value in message.ListFields()}
        if self._shorthand and name in SHORTHANDS:
            return SHORTHANDS[name].abbreviate(message, written)
        return written

    def write_field(self, field: FieldDescriptor, value: Any) -> Any:
        """The value of one field, which may be repeated."""
        if is_map(field):
            assert field.message_type is not None
            kind = field.message_type.fields_by_name["value"]
            return {_key(key): self._write_single(kind, item) for key, item in value.items()}
        if field.is_repeated:
            return [self._write_single(field, item) for item in value]
        return self._write_single(field, value)

    def _write_single(self, field: FieldDescriptor, value: Any) -> Any:
        if field.message_type is not None:
            return self.write(value)
        return write_scalar(field, value)

    def write_any(self, message: Any) -> Any:
        """An Any with its content. What cannot be read here is shown as its type and bytes."""
        if not message.type_url:
            return {}
        try:
            inner = GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(message.TypeName()))()
            inner.ParseFromString(message.value)
        except (KeyError, DecodeError):
            return {"@type": message.type_url, "value": base64.b64encode(message.value).decode()}
        content = self.write(inner)
        if inner.DESCRIPTOR.full_name in _WELL_KNOWN:
            content = {"value": content}
        return {"@type": message.type_url, **content}


def write_scalar(field: FieldDescriptor, value: Any) -> Any:
    """The value of a field that is no message. 64 bits do not fit into numbers of JavaScript and become strings."""
    kind = field.cpp_type
    if field.type == _F.TYPE_BYTES:
        return base64.b64encode(value).decode()
    if kind in (_F.CPPTYPE_INT64, _F.CPPTYPE_UINT64):
        return str(value)
    if kind == _F.CPPTYPE_ENUM:
        assert field.enum_type is not None
        named = field.enum_type.values_by_number.get(value)
        return named.name if named is not None else value
    if kind in (_F.CPPTYPE_FLOAT, _F.CPPTYPE_DOUBLE):
        if math.isnan(value):
            return "NaN"
        if math.isinf(value):
            return "Infinity" if value > 0 else "-Infinity"
        return _shortest(value) if kind == _F.CPPTYPE_FLOAT else value
    return value


def _shortest(value: float) -> float:
    """The float of 32 bits in as few digits as tell it apart: 0.1, not 0.10000000149011612."""
    for digits in (6, 7, 8):
        short = float(f"{value:.{digits}g}")
        if struct.pack("f", short) == struct.pack("f", value):
            return short
    return float(f"{value:.9g}")


def _key(key: Any) -> str:
    return ("true" if key else "false") if isinstance(key, bool) else str(key)


def _write_timestamp(encoder: Encoder, message: Any) -> str:
    """Clients can store times that JSON cannot say; those are shown as the first or the last that it can."""
    shown = type(message)(
        seconds=min(max(message.seconds, _FIRST_S), _LAST_S), nanos=min(max(message.nanos, 0), _NANOS_MAX)
    )
    text: str = shown.ToJsonString()
    return text


def _write_duration(encoder: Encoder, message: Any) -> str:
    seconds = min(max(message.seconds, -_DURATION_S_MAX), _DURATION_S_MAX)
    least, most = (0 if seconds > 0 else -_NANOS_MAX), (0 if seconds < 0 else _NANOS_MAX)
    shown = type(message)(seconds=seconds, nanos=min(max(message.nanos, least), most))
    text: str = shown.ToJsonString()
    return text


def _write_mask(encoder: Encoder, message: Any) -> str:
    """Paths that JSON has no notation for (not in snake case) are shown as they are."""
    try:
        text: str = message.ToJsonString()
    except ValueError:
        return ",".join(message.paths)
    return text


def _write_as_json(encoder: Encoder, message: Message) -> Any:
    """Struct and what it is made of; what JSON cannot say in them (NaN, a value without a kind) is null."""
    try:
        return json_format.MessageToDict(message)
    except (json_format.Error, ValueError):
        return None


def _write_wrapped(encoder: Encoder, message: Any) -> Any:
    return write_scalar(message.DESCRIPTOR.fields_by_name["value"], message.value)


_WRAPPERS = ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes")
_WELL_KNOWN: dict[str, Callable[[Encoder, Any], Any]] = {
    "google.protobuf.Any": Encoder.write_any,
    "google.protobuf.Timestamp": _write_timestamp,
    "google.protobuf.Duration": _write_duration,
    "google.protobuf.FieldMask": _write_mask,
    **{f"google.protobuf.{name}": _write_as_json for name in ("Struct", "Value", "ListValue")},
    **{f"google.protobuf.{name}Value": _write_wrapped for name in _WRAPPERS},
}
