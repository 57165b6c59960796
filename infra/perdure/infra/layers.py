"""Settings from their layers: file, environment, flags; and where each value came from."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource, SettingsError

from perdure.infra import overrides
from perdure.infra.settings import ENVIRONMENT_DELIMITER, ENVIRONMENT_PREFIX, Settings
from perdure.kernel.limits import ControlLimits, Limits, NamespaceLimits

DEFAULT = "default"
MASK = "***"
#: Up to the last `@`, wherever it is: an address that is not encoded as it should be must not show its password.
_PASSWORD = re.compile(r"(://[^:@/?#]*:).*@")
#: Names of settings whose values are never shown.
_SECRET = ("password", "secret_access_key")
_PASSWORD_PARAMETER = re.compile(r"([?&][^=&]*password[^=&]*=)[^&#]*", re.IGNORECASE)

TreePath = tuple[str, ...]


class BadSettings(Exception):
    """One line for the operator: what is wrong, and where it was written."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """`origins` has the places of all values that are not defaults, by their path in the tree."""

    settings: Settings
    origins: Mapping[TreePath, str]


def load(file: Path | None, flags: Mapping[str, Any]) -> Loaded:
    """Settings of this process. `flags` is a tree of what the command line says.

    Raises:
        BadSettings: see there.
    """
    merged: dict[str, Any] = {}
    origins: dict[TreePath, str] = {}
    for layer, name in (
        (_from_file(file) if file else {}, f"file {file}"),
        (_from_environment(), "environment"),
        (flags, "flag"),
    ):
        try:
            values = _with_named_limits(layer)
        except ValueError as error:
            raise BadSettings(f"{error} ({name})") from None
        _merge(merged, values)
        origins |= {path: _variable(path) if name == "environment" else name for path, _ in leaves(values)}
    try:
        return Loaded(Settings(**merged), origins)
    except ValidationError as error:
        raise BadSettings(_first_of(error, origins)) from None


def show(loaded: Loaded) -> Iterator[str]:
    """The settings in force as lines of a settings file, each with its origin. Passwords are masked."""
    settings = loaded.settings
    tree = settings.model_dump(mode="json")
    tree["limits"] = _values(settings.all_limits())
    tree["namespace_limits"] = _values(NamespaceLimits().override(settings.namespace_limits))
    for path, value in leaves(tree):
        key = ".".join(part if part.replace("_", "").replace("-", "").isalnum() else json.dumps(part) for part in path)
        origin = loaded.origins.get(path, DEFAULT)
        if value is None:
            yield f"# {key} is not set"
        else:
            shown = MASK if path[-1] in _SECRET and value else masked(value) if isinstance(value, str) else value
            yield f"{key} = {json.dumps(shown)}  # {origin}"


def masked(value: str) -> str:
    """The value without the password that it contains, if it is the address of a database."""
    return _PASSWORD_PARAMETER.sub(rf"\1{MASK}", _PASSWORD.sub(rf"\1{MASK}@", value))


def leaves(tree: Mapping[str, Any], path: TreePath = ()) -> Iterator[tuple[TreePath, Any]]:
    """Values with their paths; a list is one value."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from leaves(value, (*path, name))
        else:
            yield (*path, name), value


def _from_file(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except OSError as error:
        raise BadSettings(f"cannot read {file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSettings(f"{file} is not a TOML file: {' '.join(str(error).split())}") from None


def _from_environment() -> dict[str, Any]:
    try:
        return EnvSettingsSource(Settings)()
    except SettingsError as error:
        raise BadSettings(f"environment: {' '.join(str(error).split())}") from None


def _variable(path: TreePath) -> str:
    """The variable that set this value, be it for the value alone or for a part of the tree that it is in."""
    names = [ENVIRONMENT_PREFIX + ENVIRONMENT_DELIMITER.join(path[:end]).upper() for end in range(len(path), 0, -1)]
    known = {name.upper(): name for name in os.environ}
    return f"environment {next((known[name] for name in names if name in known), f'{names[-1]}...')}"


def _with_named_limits(layer: Mapping[str, Any]) -> dict[str, Any]:
    """Limits of all layers are to have one name each, so that one replaces another. Raises ValueError."""
    values = dict(layer)
    if "limits" in values:
        values["limits"] = _named(Limits, "limits", values["limits"])
    if "namespace_limits" in values:
        values["namespace_limits"] = _named(NamespaceLimits, "namespace_limits", values["namespace_limits"])
    if isinstance(namespaces := values.get("namespaces"), Mapping):
        values["namespaces"] = {
            name: _named(NamespaceLimits, f"namespaces.{name}", limits) for name, limits in namespaces.items()
        }
    if isinstance(control_plane := values.get("control_plane"), Mapping) and "limits" in control_plane:
        named = _named(ControlLimits, "control_plane.limits", control_plane["limits"])
        values["control_plane"] = {**control_plane, "limits": named}
    return values


def _named(
    kind: type[Limits] | type[NamespaceLimits] | type[ControlLimits], path: str, written: object
) -> dict[str, int]:
    if not isinstance(written, Mapping):
        raise ValueError(f"{path} must be a table")
    chosen, unknown = overrides.split(kind, {name: str(value) for name, value in _flat(written)})
    if unknown:
        raise ValueError(f"{path} has no limit {next(iter(unknown))}")
    return chosen


def _flat(tree: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Names of limits contain dots, which a file may leave unquoted."""
    for path, value in leaves(tree):
        yield ".".join(path), value


def _merge(into: dict[str, Any], values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, Mapping) and isinstance(known := into.get(name), dict):
            _merge(known, value)
        else:
            into[name] = dict(value) if isinstance(value, Mapping) else value


def _values(limits: Limits | NamespaceLimits) -> dict[str, int | str]:
    return {
        key: overrides.duration(value) if field.name.endswith("_ns") else value
        for key, field in limits.keys().items()
        for value in [getattr(limits, field.name)]
    }


def _first_of(error: ValidationError, origins: Mapping[TreePath, str]) -> str:
    """What is wrong first, and who said so. The value is left out: it may be a secret."""
    fault = error.errors(include_url=False, include_input=False)[0]
    path = tuple(str(part) for part in fault["loc"])
    place = f"{'.'.join(path)}: " if path else ""
    origin = _origin_of(path, origins)
    return place + fault["msg"].removeprefix("Value error, ") + (f" ({origin})" if origin else "")


def _origin_of(path: TreePath, origins: Mapping[TreePath, str]) -> str:
    """Who said what is there, or nothing if several did: of values that do not go together, none is the wrong one."""
    said = {name for known, name in origins.items() if known[: len(path)] == path or path[: len(known)] == known}
    return said.pop() if len(said) == 1 else ""
