"""PURE. JSON texts as values and back, strictly: no repeated keys, no NaN, bounded."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from perdure.kernel.errors import InvalidArgument

#: As of a gRPC message.
BODY_BYTES_MAX = 4 * 1024 * 1024
#: Of objects and arrays; protobuf itself parses no more than 100 levels of messages.
DEPTH_MAX = 100

_COMPACT = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_PRETTY = json.JSONEncoder(ensure_ascii=False, allow_nan=False, indent=2)


def parse(text: bytes) -> Any:
    """The value of a JSON text.

    Raises:
        InvalidArgument: it is none, is not UTF-8, is too large, or repeats a key.
    """
    if len(text) > BODY_BYTES_MAX:
        raise InvalidArgument(f"body is larger than {BODY_BYTES_MAX} bytes")
    try:
        return json.loads(text.decode(), object_pairs_hook=_object, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise InvalidArgument("body is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise InvalidArgument(f"body is not JSON: {error.msg} at line {error.lineno} column {error.colno}") from error
    except RecursionError as error:
        raise InvalidArgument(f"body is nested deeper than {DEPTH_MAX}") from error
    except ValueError as error:  # Python refuses to convert thousands of digits
        raise InvalidArgument("body has a number of too many digits") from error


def dump(value: Any, *, pretty: bool = False) -> bytes:
    """The JSON text of a value of plain types, as UTF-8."""
    return (_PRETTY if pretty else _COMPACT).encode(value).encode()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise InvalidArgument(f"body repeats the key {shown(key)}")
            seen.add(key)
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidArgument(f"body is not JSON: {name} is not a number of JSON")


def shown(name: str) -> str:
    """A name that a caller made up, as part of a message: quoted, on one line, not too long."""
    return json.dumps(name if len(name) <= 64 else name[:64] + "...")
