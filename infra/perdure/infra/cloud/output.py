"""What commands print: a table for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any


class Output(StrEnum):
    TABLE = "table"
    JSON = "json"


#: Enum values are shown without what all of them begin with.
_PREFIXES = (
    "RESOURCE_STATE_",
    "ROLE_",
    "STATE_",
    "PERMISSION_",
    "HEALTH_",
    "CLOUD_PROVIDER_",
    "RECORD_TYPE_",
    "RECORD_UNIT_",
)


def as_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def as_table(rows: Iterable[Any], columns: Sequence[tuple[str, str]]) -> str:
    """Columns as wide as what is in them. A path that ends in `?` is of a yes or a no, where what holds it is there."""
    lines = [[heading for heading, _ in columns], *([_cell(row, path) for _, path in columns] for row in rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    return "\n".join(
        "  ".join(value.ljust(width) for value, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def at(value: Any, path: str) -> Any:
    """What a path leads to, or nothing."""
    for step in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(step)
    return value


def _cell(row: Any, path: str) -> str:
    if not path.endswith("?"):
        return _text(at(row, path))
    holder, _, name = path.removesuffix("?").rpartition(".")
    held = at(row, holder)
    # What is false is left out.
    return ("yes" if held.get(name) else "no") if isinstance(held, dict) else ""


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    text = str(value)
    for prefix in _PREFIXES:
        if text.startswith(prefix):
            return text.removeprefix(prefix).replace("_", " ").lower()
    # It might be anything that somebody has called something.
    return "".join(letter if letter.isprintable() else "?" for letter in text)
