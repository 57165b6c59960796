"""The checked syntax tree of a visibility query."""
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Query:
    """placeholder: designed by the visibility slice."""
