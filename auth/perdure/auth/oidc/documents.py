"""PURE: JSON of strangers."""

from __future__ import annotations

import json
from typing import Any


def read_object(data: bytes) -> dict[str, Any]:
    """Raises ValueError: it is no JSON object, or not one of text; the message goes on from "it"."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("is not JSON") from None
    if not isinstance(found, dict):
        raise ValueError("is not a JSON object")
    check_text(found)
    return found


def check_text(found: object) -> None:
    """JSON can name halves of characters (`"\\ud800"`), which nobody can write down or send on.

    Raises:
        ValueError: there is one somewhere in what was read from JSON.
    """
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("has text that is none") from None
