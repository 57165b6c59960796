"""PURE: changes of a resource, as clients in the field send them (RFC 7644, 3.5.2).

Beyond the standard: operations in any case, truth as text, several attributes by their paths in one value, members to
be removed in the value of the operation. What the schema does not have is left alone, since clients send whatever
their directory has.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

from perdure.api.scim.errors import INVALID_PATH, INVALID_SYNTAX, INVALID_VALUE, MUTABILITY, NO_TARGET, BadScim
from perdure.api.scim.filters import Path, matches, parse_path, read

SCHEMA: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
OPERATIONS_MAX: Final = 1000
_READ_ONLY: Final = frozenset({"id", "meta", "schemas", "groups"})

Attributes = Mapping[str, Any]


def apply(resource: Mapping[str, Any], body: Any, attributes: Attributes) -> dict[str, Any]:
    """The resource after all operations. `attributes` are those that can be changed: for each its type, or its own
    attributes, or a list of such.

    Raises:
        BadScim: an operation makes no sense.
    """
    result = copy.deepcopy(dict(resource))
    for operation in _operations(body):
        verb = str(_member(operation, "op")).lower()
        if verb not in ("add", "replace", "remove"):
            raise BadScim(INVALID_SYNTAX, "Operations.op: must be add, replace or remove.")
        path, value = _member(operation, "path"), _member(operation, "value")
        if path is not None and not isinstance(path, str):
            raise BadScim(INVALID_PATH, "Operations.path: must be a string.")
        if path:
            _apply(result, verb, parse_path(path), value, attributes)
        elif verb == "remove":
            raise BadScim(NO_TARGET, "Operations.path: must be given to remove something.")
        elif not isinstance(value, dict):
            raise BadScim(INVALID_VALUE, "Operations.value: must be an object if there is no path.")
        else:
            for name, each in value.items():
                if name.lower() not in _READ_ONLY:
                    _apply(result, verb, parse_path(name), each, attributes)
    return result


def _operations(body: Any) -> list[Mapping[str, Any]]:
    operations = _member(body, "operations") if isinstance(body, dict) else None
    if not isinstance(operations, list) or not operations:
        raise BadScim(INVALID_SYNTAX, "Operations: must be a list with something in it.")
    if len(operations) > OPERATIONS_MAX:
        raise BadScim(INVALID_VALUE, f"Operations: at most {OPERATIONS_MAX}.")
    if not all(isinstance(each, dict) for each in operations):
        raise BadScim(INVALID_SYNTAX, "Operations: must be objects.")
    return operations


def _member(of: Mapping[str, Any], name: str) -> Any:
    return read(of, name)


def _apply(result: dict[str, Any], verb: str, path: Path, value: Any, attributes: Attributes) -> None:
    if path.attribute in _READ_ONLY:
        raise BadScim(MUTABILITY, f"{path.attribute}: cannot be changed.")
    name = next((each for each in attributes if each.lower() == path.attribute), None)
    if name is None:
        return
    kind = attributes[name]
    if isinstance(kind, list):
        _change_list(result, verb, name, path, value)
    elif path.within is not None:
        raise BadScim(INVALID_PATH, f"{name}: has one value only.")
    elif isinstance(kind, dict):
        _change_parts(result, verb, name, path, value, kind)
    elif path.sub:
        raise BadScim(INVALID_PATH, f"{name}: has no {path.sub}.")
    else:
        _set(result, name, None if verb == "remove" else value)


def _change_parts(
    result: dict[str, Any], verb: str, name: str, path: Path, value: Any, parts: Mapping[str, Any]
) -> None:
    found = dict(result.get(name) or {})
    if path.sub:
        part = next((each for each in parts if each.lower() == path.sub), None)
        if part is not None:
            _set(found, part, None if verb == "remove" else value)
    elif verb == "remove" or value is None:
        found = {}
    elif isinstance(value, dict):
        for part in parts:
            if (given := read(value, part.lower())) is not None:
                found[part] = given
    else:
        raise BadScim(INVALID_VALUE, f"{name}: must be an object.")
    _set(result, name, found)


def _change_list(result: dict[str, Any], verb: str, name: str, path: Path, value: Any) -> None:
    held = {str(each["value"]): each for each in result.get(name) or []}
    if path.within is not None:
        chosen = [each for each in held.values() if matches(path.within, each)]
        if path.sub or verb != "remove":
            raise BadScim(MUTABILITY, f"{name}: is added to or removed from, its values do not change.")
        gone = {str(each["value"]) for each in chosen}
    elif path.sub:
        raise BadScim(INVALID_PATH, f"{name}: is added to or removed from as a whole.")
    else:
        given = _listed(name, value)
        if verb == "remove":
            # Without a value, all of them.
            gone = set(given) if value is not None else set(held)
        else:
            gone = set(held) if verb == "replace" else set()
            held = {**held, **given}
            gone -= set(given)
    _set(result, name, [each for key, each in held.items() if key not in gone])


def _listed(name: str, value: Any) -> dict[str, dict[str, Any]]:
    """What is given, by its values."""
    found = {}
    for each in value if isinstance(value, list) else [] if value is None else [value]:
        key = read(each, "value") if isinstance(each, dict) else each
        if not isinstance(key, str) or not key:
            raise BadScim(INVALID_VALUE, f"{name}: each must have a value.")
        found[key] = {"value": key}
    return found


def _set(of: dict[str, Any], name: str, value: Any) -> None:
    if value in (None, "", [], {}):
        of.pop(name, None)
    else:
        of[name] = value
