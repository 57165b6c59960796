"""PURE: what is read of the bodies of requests: attributes that we have a use for, of the types that they have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from perdure.api.scim.errors import INVALID_SYNTAX, INVALID_VALUE, BadScim
from perdure.api.scim.filters import read

BODY_BYTES_MAX: Final = 512 * 1024
TEXT_LENGTH_MAX: Final = 256
_PRINTABLE: Final = re.compile(r"[^\x00-\x1f\x7f]*")
_TRUTH: Final = {"true": True, "false": False}

#: Attributes by their names: a type, parts with types, or a list of what has a value.
USER: Final[Mapping[str, Any]] = {
    "userName": str,
    "externalId": str,
    "displayName": str,
    "name": {"formatted": str, "familyName": str, "givenName": str},
    "active": bool,
}
GROUP: Final[Mapping[str, Any]] = {"displayName": str, "externalId": str, "members": [str]}


def decode(body: bytes) -> dict[str, Any]:
    """Raises BadScim: it is not a JSON object."""
    try:
        found = msgspec.json.decode(body)
    except (ValueError, RecursionError, msgspec.MsgspecError):
        raise BadScim(INVALID_SYNTAX, "The body is not JSON.") from None
    if not isinstance(found, dict):
        raise BadScim(INVALID_SYNTAX, "The body is not a JSON object.")
    return found


def attributes_in(body: Mapping[str, Any], attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Those of them that have a value, checked. Whatever else is there has no use here, and is not kept.

    Raises:
        BadScim: one is not of its type.
    """
    found: dict[str, Any] = {}
    for name, kind in attributes.items():
        value = _checked(name, kind, read(body, name.lower()))
        if value not in (None, "", [], {}):
            found[name] = value
    return found


def _checked(name: str, kind: Any, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(kind, dict):
        if not isinstance(value, dict):
            raise BadScim(INVALID_VALUE, f"{name}: must be an object.")
        return attributes_in(value, kind)
    if isinstance(kind, list):
        return _members(name, value)
    if kind is bool:
        return _truth(name, value)
    return _text(name, value)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise BadScim(INVALID_VALUE, f"{name}: must be a string.")
    if len(value) > TEXT_LENGTH_MAX:
        raise BadScim(INVALID_VALUE, f"{name}: has {len(value)} characters, the limit is {TEXT_LENGTH_MAX}.")
    if not _PRINTABLE.fullmatch(value):
        raise BadScim(INVALID_VALUE, f"{name}: must not contain control characters.")
    return value


def _truth(name: str, value: Any) -> bool:
    """Some say it in words."""
    if isinstance(value, str):
        value = _TRUTH.get(value.lower())
    if not isinstance(value, bool):
        raise BadScim(INVALID_VALUE, f"{name}: must be true or false.")
    return value


def _members(name: str, value: Any) -> list[dict[str, str]]:
    if not isinstance(value, list):
        raise BadScim(INVALID_VALUE, f"{name}: must be a list.")
    found = {}
    for each in value:
        key = read(each, "value") if isinstance(each, dict) else None
        if not isinstance(key, str) or not key:
            raise BadScim(INVALID_VALUE, f"{name}: each must have a value.")
        if str(read(each, "type") or "").lower() == "group":
            raise BadScim(INVALID_VALUE, f"{name}: must be users, groups in groups are not supported.")
        found[_text(f"{name}.value", key)] = {"value": key}
    return list(found.values())
