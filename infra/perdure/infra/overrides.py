"""Values of limits as operators write them, in flags and in files."""

from __future__ import annotations

from collections.abc import Mapping

from perdure.kernel.clock import SECOND_NS
from perdure.kernel.limits import ControlLimits, Limits, NamespaceLimits

_DURATION_UNITS = {"ms": SECOND_NS // 1000, "s": SECOND_NS, "m": 60 * SECOND_NS, "h": 3600 * SECOND_NS}
_DIGITS_MAX = 15


def split(
    limits: type[Limits] | type[NamespaceLimits] | type[ControlLimits], written: Mapping[str, str]
) -> tuple[dict[str, int], dict[str, str]]:
    """Those that are limits of this kind, read, for `override`; and the others, as they are.

    A limit may be called by the name that operators of Temporal know or by that of its field.

    Raises:
        ValueError: a value cannot be one. The message is one line that names the limit.
    """
    known = limits.keys()
    keys = {field.name: key for key, field in known.items()} | {key: key for key in known}
    chosen = {
        keys[name]: number(name, text, is_duration=known[keys[name]].name.endswith("_ns"))
        for name, text in written.items()
        if name in keys
    }
    return chosen, {name: text for name, text in written.items() if name not in keys}


def number(name: str, text: str, *, is_duration: bool) -> int:
    """A whole number; for durations, in nanoseconds, one with a unit (`10s`), or bare seconds.

    Raises:
        ValueError: it is none.
    """
    unit_ns = SECOND_NS if is_duration else 1
    digits = text
    if is_duration:
        for unit, length_ns in _DURATION_UNITS.items():
            if text.endswith(unit) and text.removesuffix(unit).isdigit():
                digits, unit_ns = text.removesuffix(unit), length_ns
                break
    if not digits.isascii() or not digits.isdigit() or len(digits) > _DIGITS_MAX:
        raise ValueError(f"{name} must be a whole number{' or a duration' * is_duration}, not {text!r}")
    return int(digits) * unit_ns


def duration(length_ns: int) -> str:
    """As `number` reads it."""
    seconds, rest_ns = divmod(length_ns, SECOND_NS)
    return f"{length_ns * 1000 // SECOND_NS}ms" if rest_ns else f"{seconds}s"
