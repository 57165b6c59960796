"""PURE: the groups of a count."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from perdure.kernel.persistence.visibility import CountGroup


def ordered_groups(rows: Iterable[Sequence[Any]]) -> list[CountGroup]:
    """Groups from rows of values and a count: largest first, then by values. Rows with the same values are one group,
    and may come from several databases."""
    counts: dict[tuple[Any, ...], int] = {}
    for *values, count in rows:
        counts[tuple(values)] = counts.get(tuple(values), 0) + count
    groups = [CountGroup(values, count) for values, count in counts.items()]
    return sorted(groups, key=lambda group: (-group.count, [(value is not None, value) for value in group.values]))
