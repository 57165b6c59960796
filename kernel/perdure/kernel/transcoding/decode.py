"""PURE. Proto3 JSON to messages. What is refused is refused with the path of its field, and never quoted."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from google.protobuf import descriptor_pool, json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from perdure.kernel.errors import InvalidArgument
from perdure.kernel.transcoding.jsontext import DEPTH_MAX, shown
from perdure.kernel.transcoding.payloads import SHORTHANDS

#: Of messages, elements and entries in one request. Each costs some 2 us, in which nobody else is served.
VALUES_MAX = 50_000

_F = FieldDescriptor
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,19})")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_NUMBER_LENGTH_MAX = 400
_TIME_LENGTH_MAX = 64
_FLOAT32_MAX = 3.4028235677973366e38  # halfway to what the next one would be: more does not round to a float32
_BOUNDS = {
    _F.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    _F.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    _F.CPPTYPE_UINT32: (0, 2**32 - 1),
    _F.CPPTYPE_UINT64: (0, 2**64 - 1),
}


@cache
def fields_of(message: Descriptor) -> dict[str, FieldDescriptor]:
    """Fields by both of their names, that of JSON and that of the proto file."""
    return {name: each for each in message.fields for name in (each.name, each.json_name)}


def is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


class Decoder:
    """Reads the values of one request into messages. With `shorthand`, payloads may be plain JSON values."""

    def __init__(self, *, shorthand: bool = False) -> None:
        self._shorthand = shorthand
        self._values = 0

    def read(self, value: Any, message: Message, path: str = "", depth: int = 0) -> None:
        """Set what the value has on an empty message.

        Raises:
            InvalidArgument: the value is not this message; names the path of the field.
        """
        self._take(1)
        name = message.DESCRIPTOR.full_name
        if depth > DEPTH_MAX:
            raise InvalidArgument(f"{path[:200]}: nested deeper than {DEPTH_MAX}")
        if self._shorthand and name in SHORTHANDS:
            value = SHORTHANDS[name].expand(value, path)
        special = _WELL_KNOWN.get(name)
        if special is not None:
            special(self, value, message, path, depth)
        else:
            self._read_fields(value, message, path, depth)

    def _read_fields(self, value: Any, message: Message, path: str, depth: int) -> None:
        if not isinstance(value, dict):
            raise _wrong(path, "an object", value)
        known = fields_of(message.DESCRIPTOR)
        seen: set[str] = set()
        for name, item in value.items():
            field = known.get(name)
            if field is None:
                raise InvalidArgument(f"{_under(path, shown(name))}: no such field")
            inner = _under(path, field.json_name)
            if field.name in seen:
                raise InvalidArgument(f"{inner}: given twice, by both of its names")
            seen.add(field.name)
            if item is None and not _takes_null(field):
                continue
            oneof = field.containing_oneof
            if oneof is not None and message.WhichOneof(oneof.name) is not None:
                raise InvalidArgument(f"{inner}: excludes {message.WhichOneof(oneof.name)}, which is also given")
            self.read_field(item, message, field, inner, depth + 1)

    def read_field(self, value: Any, message: Message, field: FieldDescriptor, path: str, depth: int = 1) -> None:
        """Set one field of a message.

        Raises:
            InvalidArgument: the value is not of the field's type.
        """
        if is_map(field):
            self._read_map(value, message, field, path, depth)
        elif field.is_repeated:
            if not isinstance(value, list):
                raise _wrong(path, "an array", value)
            self._take(len(value))
            target = getattr(message, field.name)
            for index, item in enumerate(value):
                if field.message_type is not None:
                    self.read(item, target.add(), f"{path}[{index}]", depth + 1)
                else:
                    target.append(read_scalar(item, field, f"{path}[{index}]"))
        elif field.message_type is not None:
            target = getattr(message, field.name)
            target.SetInParent()
            self.read(value, target, path, depth)
        else:
            setattr(message, field.name, read_scalar(value, field, path))

    def _read_map(self, value: Any, message: Message, field: FieldDescriptor, path: str, depth: int) -> None:
        if not isinstance(value, dict):
            raise _wrong(path, "an object", value)
        entry = field.message_type
        assert entry is not None
        key_field, value_field = entry.fields_by_name["key"], entry.fields_by_name["value"]
        self._take(len(value))
        target = getattr(message, field.name)
        for name, item in value.items():
            inner = f"{path}[{shown(name)}]"
            key = read_scalar(from_text(name, key_field), key_field, inner)
            if value_field.message_type is not None:
                self.read(item, target[key], inner, depth + 1)
            else:
                target[key] = read_scalar(item, value_field, inner)

    def read_json(self, value: Any, message: Message, path: str, depth: int) -> None:
        """Struct and what it is made of: any JSON, which the library reads."""
        try:
            self._take(_count(value))
            json_format.ParseDict(value, message, max_recursion_depth=DEPTH_MAX)
        except (json_format.Error, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise InvalidArgument(f"{path}: not a {message.DESCRIPTOR.name}") from error

    def _take(self, values: int) -> None:
        self._values += values
        if self._values > VALUES_MAX:
            raise InvalidArgument(f"request has more than {VALUES_MAX} values")

    def read_any(self, value: Any, message: Any, path: str, depth: int) -> None:
        if not isinstance(value, dict):
            raise _wrong(path, "an object", value)
        if not value:
            return
        url = value.get("@type")
        if not isinstance(url, str):
            raise InvalidArgument(f"{_under(path, '@type')}: expected the type of the message")
        try:
            inner = GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(url.rpartition("/")[2]))()
        except (KeyError, UnicodeEncodeError) as error:
            raise InvalidArgument(f"{_under(path, '@type')}: no such type") from error
        content = {name: item for name, item in value.items() if name != "@type"}
        if inner.DESCRIPTOR.full_name in _WELL_KNOWN:
            if content.keys() != {"value"}:
                raise InvalidArgument(f"{path}: a message of this type has exactly the field value")
            content = content["value"]
        self.read(content, inner, path, depth + 1)
        message.type_url = url
        message.value = inner.SerializeToString()


def from_text(text: str, field: FieldDescriptor) -> Any:
    """What a text means as JSON in a query, a path or as the key of a map. It is not checked."""
    kind = field.message_type.fields_by_name.get("value") if field.message_type is not None else field
    if kind is not None and kind.cpp_type == _F.CPPTYPE_BOOL:
        return {"true": True, "1": True, "false": False, "0": False}.get(text, text)
    if kind is not None and kind.enum_type is not None and _INTEGER.fullmatch(text):
        return int(text)
    return text


def read_scalar(value: Any, field: FieldDescriptor, path: str) -> Any:
    """What the value means for a field that is no message.

    Raises:
        InvalidArgument: nothing.
    """
    kind = field.cpp_type
    if kind == _F.CPPTYPE_STRING:
        return _bytes(value, path) if field.type == _F.TYPE_BYTES else _string(value, path)
    if kind == _F.CPPTYPE_BOOL:
        if not isinstance(value, bool):
            raise _wrong(path, "true or false", value)
        return value
    if kind == _F.CPPTYPE_ENUM:
        return _enum(value, field, path)
    if kind in (_F.CPPTYPE_FLOAT, _F.CPPTYPE_DOUBLE):
        return _float(value, path, single=kind == _F.CPPTYPE_FLOAT)
    return _integer(value, path, *_BOUNDS[kind])


def _string(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise _wrong(path, "a string", value)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgument(f"{path}: not valid Unicode") from error
    return value


def _bytes(value: Any, path: str) -> bytes:
    if not isinstance(value, str):
        raise _wrong(path, "a base64 string", value)
    standard = value.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidArgument(f"{path}: expected base64") from error


def _enum(value: Any, field: FieldDescriptor, path: str) -> int:
    if isinstance(value, str):
        assert field.enum_type is not None
        named = field.enum_type.values_by_name.get(value)
        if named is None:
            raise InvalidArgument(f"{path}: no such value of {field.enum_type.name}")
        return int(named.number)
    return _integer(value, path, *_BOUNDS[_F.CPPTYPE_INT32])


def _integer(value: Any, path: str, least: int, most: int) -> int:
    if (isinstance(value, str) and _INTEGER.fullmatch(value)) or (isinstance(value, float) and value.is_integer()):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(path, "an integer", value)
    if not least <= value <= most:
        raise InvalidArgument(f"{path}: not between {least} and {most}")
    return value


def _float(value: Any, path: str, *, single: bool) -> float:
    if value in ("NaN", "Infinity", "-Infinity") and isinstance(value, str):
        return float(value)
    if isinstance(value, str) and len(value) <= _NUMBER_LENGTH_MAX and _NUMBER.fullmatch(value):
        value = float(value)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _wrong(path, "a number", value)
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if math.isinf(found) or (single and abs(found) >= _FLOAT32_MAX):
        raise InvalidArgument(f"{path}: number out of range")
    return found


def _read_as_text(decoder: Decoder, value: Any, message: Any, path: str, depth: int) -> None:
    """Timestamps, durations and field masks: strings, which the library reads."""
    if not isinstance(value, str):
        raise _wrong(path, f"a {message.DESCRIPTOR.name} string", value)
    try:
        if len(value) > _TIME_LENGTH_MAX and message.DESCRIPTOR.name != "FieldMask":
            raise ValueError(len(value))
        message.FromJsonString(value)
    except (ValueError, TypeError, OverflowError, IndexError, json_format.Error) as error:
        raise InvalidArgument(f"{path}: not a {message.DESCRIPTOR.name}") from error


def _count(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(_count, inner))


def _read_wrapped(decoder: Decoder, value: Any, message: Any, path: str, depth: int) -> None:
    message.value = read_scalar(value, message.DESCRIPTOR.fields_by_name["value"], path)


_WRAPPERS = ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes")
_WELL_KNOWN: dict[str, Callable[[Decoder, Any, Any, str, int], None]] = {
    "google.protobuf.Any": Decoder.read_any,
    **{f"google.protobuf.{name}": _read_as_text for name in ("Timestamp", "Duration", "FieldMask")},
    **{f"google.protobuf.{name}": Decoder.read_json for name in ("Struct", "Value", "ListValue")},
    **{f"google.protobuf.{name}Value": _read_wrapped for name in _WRAPPERS},
}
#: Those among them that a single text can be.
TEXTUAL = frozenset(name for name, read in _WELL_KNOWN.items() if read in (_read_as_text, _read_wrapped))


def _takes_null(field: FieldDescriptor) -> bool:
    kind = field.message_type or field.enum_type
    return kind is not None and kind.full_name in ("google.protobuf.Value", "google.protobuf.NullValue")


def _under(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


_JSON_TYPES = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}


def _wrong(path: str, expected: str, value: Any) -> InvalidArgument:
    got = _JSON_TYPES.get(type(value), "a number")
    where = f"{path}: " if path else "body: "
    return InvalidArgument(f"{where}expected {expected}" + (f", got {got}" if got not in expected else ""))
