"""PURE. Shorthand of the HTTP API: a payload that holds JSON is written as that JSON, and may be given so.

`{"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": "NQ=="}` is `5`. Payloads of other encodings, or with more
metadata, are written at length; what looks like a payload at length is read as one. Null is read as the payload of no
value, which is always written at length.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any, NamedTuple

from perdure.kernel.errors import InvalidArgument
from perdure.kernel.transcoding import jsontext

_NULL, _PLAIN, _PROTOBUF = b"binary/null", b"json/plain", b"json/protobuf"
#: The key that says of which message an object is the JSON.
_MESSAGE_TYPE = "_protoMessageType"
_COMPACT = json.JSONEncoder(allow_nan=False, separators=(",", ":"))


class Shorthand(NamedTuple):
    """`expand` takes what was given, and its path, to what the message's JSON is at length; `abbreviate` takes the
    message and its JSON at length to what is answered.
    """

    expand: Callable[[Any, str], Any]
    abbreviate: Callable[[Any, Any], Any]


def _expand_payload(value: Any, path: str) -> Any:
    if value is None:
        return _at_length(None, encoding=_NULL)
    if isinstance(value, dict):
        if _is_at_length(value):
            return value
        if _MESSAGE_TYPE in value:
            kind = value[_MESSAGE_TYPE]
            if not isinstance(kind, str):
                raise InvalidArgument(f"{path}.{_MESSAGE_TYPE}: expected a string")
            content = {key: item for key, item in value.items() if key != _MESSAGE_TYPE}
            return _at_length(_dumped(content, path), encoding=_PROTOBUF, messageType=kind.encode(errors="replace"))
    return _at_length(_dumped(value, path), encoding=_PLAIN)


def _expand_payloads(value: Any, path: str) -> Any:
    if isinstance(value, list):
        # Each is a payload, which is expanded when it is read.
        return {"payloads": value}
    return value


class _AtLength(dict[str, Any]):
    """What was not abbreviated, so that it is not taken for a value that happens to look like it."""


def _abbreviate_payload(payload: Any, at_length: Any) -> Any:
    encoding, kind = payload.metadata.get("encoding", b""), payload.metadata.get("messageType", b"")
    if encoding == _NULL:
        return at_length
    try:
        if encoding == _PLAIN and len(payload.metadata) == 1:
            value = jsontext.parse(payload.data)
            # Null, and an object with such keys, would be read as something else.
            return _AtLength(at_length) if value is None or _is_ambiguous(value) else value
        if encoding == _PROTOBUF and len(payload.metadata) == 2 and kind:
            value = jsontext.parse(payload.data)
            if isinstance(value, dict) and not _is_ambiguous(value):
                return {_MESSAGE_TYPE: kind.decode(), **value}
    except (InvalidArgument, UnicodeDecodeError):
        pass  # it says that it is JSON, but it is not
    return _AtLength(at_length)


def _abbreviate_payloads(payloads: Any, at_length: dict[str, Any]) -> Any:
    """An array, unless a payload among them, other than that of no value, has to be written at length."""
    short = at_length.get("payloads", [])
    return at_length if any(isinstance(each, _AtLength) for each in short) else short


def _at_length(data: bytes | None, **metadata: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {"metadata": {key: base64.b64encode(value).decode() for key, value in metadata.items()}}
    if data is not None:
        found["data"] = base64.b64encode(data).decode()
    return found


SHORTHANDS = {
    "temporal.api.common.v1.Payload": Shorthand(_expand_payload, _abbreviate_payload),
    "temporal.api.common.v1.Payloads": Shorthand(_expand_payloads, _abbreviate_payloads),
}


def _is_at_length(value: dict[str, Any]) -> bool:
    metadata = value.get("metadata")
    if not isinstance(metadata, dict) or not value.keys() <= {"metadata", "data", "externalPayloads"}:
        return False
    return isinstance(metadata.get("encoding"), str) and isinstance(value.get("data", ""), str)


def _is_ambiguous(value: Any) -> bool:
    return isinstance(value, dict) and (_MESSAGE_TYPE in value or _is_at_length(value))


def _dumped(value: Any, path: str) -> bytes:
    try:
        return _COMPACT.encode(value).encode()
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"{path}: not a value that JSON can hold") from error
