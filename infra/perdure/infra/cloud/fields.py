"""PURE but for reading files: what `--set` and `--spec` say of a specification."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer

SPEC_HELP = "The specification in JSON, or @FILE."
SET_HELP = (
    "path=value of a field, such as retentionDays=7 or mtlsAuth.acceptedClientCa=@ca.pem; a dot in a name is "
    r"\., as in access.namespaceAccesses.orders\.a1b2c3.permission=PERMISSION_WRITE; repeatable. "
    "'fields' shows which there are."
)
UNSET_HELP = "path of a field to leave out; repeatable."


def read_spec(text: str | None) -> dict[str, Any]:
    """Raises typer.BadParameter: it is not a JSON object, or the file cannot be read."""
    if text is None:
        return {}
    if text.startswith("@"):
        text = _file(text[1:]).decode("utf-8", "replace")
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise typer.BadParameter(f"is not JSON: {error}", param_hint="--spec") from None
    if not isinstance(found, dict):
        raise typer.BadParameter("is not a JSON object", param_hint="--spec")
    return found


def apply(spec: dict[str, Any], sets: Iterable[str], unsets: Iterable[str] = ()) -> None:
    """Change single fields. Values are JSON if they look like it, else text; `@FILE` is the contents of a file, base64.

    A `\\.` in a path is a dot in the name of a field, as in names of namespaces.

    Raises:
        typer.BadParameter: one is not of the form path=value, leads through something that has no fields, or a file
            cannot be read.
    """
    for each in sets:
        path, separator, value = each.partition("=")
        if not separator or not path:
            raise typer.BadParameter(f"{each!r} is not of the form path=value", param_hint="--set")
        parent, name = _parent(spec, path)
        parent[name] = _value(value)
    for path in unsets:
        parent, name = _parent(spec, path)
        parent.pop(name, None)


def _parent(spec: dict[str, Any], path: str) -> tuple[dict[str, Any], str]:
    *steps, name = (step.replace("\0", ".") for step in path.replace("\\.", "\0").split("."))
    for step in steps:
        spec = spec.setdefault(step, {})
        if not isinstance(spec, dict):
            raise typer.BadParameter(f"{step} of {path} has no fields", param_hint="--set")
    return spec, name


def _value(text: str) -> Any:
    if text.startswith("@"):
        return base64.b64encode(_file(text[1:])).decode()
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _file(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{name}: {error.strerror}") from None
