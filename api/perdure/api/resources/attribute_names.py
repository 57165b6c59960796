"""PURE: by which names search attributes are stored, when those that people use change."""

from __future__ import annotations

from collections.abc import Collection, Mapping


def renamed(stored: Mapping[str, str], old: str, new: str) -> dict[str, str]:
    """The stored names of those that have another one, after a rename."""
    others = {name: each for name, each in stored.items() if name != old}
    return _without_same({**others, new: stored.get(old, old)})


def updated(stored: Mapping[str, str], before: Collection[str], now: Collection[str]) -> dict[str, str]:
    """The same after attributes have come and gone. One that comes does not get what another is stored by."""
    kept = {name: stored.get(name, name) for name in now if name in before}
    for name in now:
        if name not in before:
            kept[name] = _free(name, kept.values())
    return _without_same(kept)


def _free(name: str, taken: Collection[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}#{number}"
    return free


def _without_same(stored: Mapping[str, str]) -> dict[str, str]:
    return {name: each for name, each in stored.items() if name != each}
