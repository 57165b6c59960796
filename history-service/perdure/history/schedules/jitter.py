"""PURE: the delay that spreads actions of many schedules which would otherwise happen at the same second.

It depends on nothing but the schedule and the nominal time, and equals what the reference server adds to a schedule
of the same ids: the 32-bit FarmHash of the time, in Go's binary form, and the schedule's ids.
"""

from __future__ import annotations

import struct

from perdure.kernel.clock import MILLISECOND_NS

_YEAR_ONE_S = -62_135_596_800
_DELAY_MS_MAX = 2**32 - 1

_MASK = 2**32 - 1
_C1 = 0xCC9E2D51
_C2 = 0x1B873593
_C3 = 0xE6546B64


def delay_ns(seed: str, nominal_s: int, longest_ns: int) -> int:
    """A delay of less than `longest_ns`, in whole milliseconds. The seed has at least ten characters."""
    longest_ms = min(max(longest_ns, 0) // MILLISECOND_NS, _DELAY_MS_MAX)
    # Version, seconds since year one, nanoseconds, and -1 for UTC.
    moment = struct.pack(">bqih", 1, nominal_s - _YEAR_ONE_S, 0, -1)
    return (_fingerprint(moment + seed.encode()) * longest_ms >> 32) * MILLISECOND_NS


def _fingerprint(text: bytes) -> int:
    """FarmHash's `Fingerprint32` of more than 24 bytes."""
    size = len(text)
    if size <= 24:
        raise ValueError("too short to be hashed this way")
    ends = [_scramble(word) for word in struct.unpack("<5I", text[-20:])]
    h = _blend(_blend(size, ends[4]), ends[1])
    g = _blend(_blend(size * _C1 & _MASK, ends[3]), ends[2])
    f = _rotate((size * _C1 & _MASK) + ends[0] & _MASK, 19) + 113 & _MASK
    for a, b, c, d, e in struct.iter_unpack("<5I", text[: (size - 1) // 20 * 20]):
        h = _mix(d, h + a & _MASK) + e & _MASK
        g = _mix(c, g + b & _MASK) + a & _MASK
        f = _mix(b + e * _C1 & _MASK, f + c & _MASK) + d & _MASK
        f = f + g & _MASK
        g = g + f & _MASK
    g = _stir(_stir(g, 11), 17)
    f = _stir(_stir(f, 11), 17)
    for other in (g, f):
        h = _rotate(h + other & _MASK, 19)
        h = _stir(h * 5 + _C3 & _MASK, 17)
    return h


def _rotate(word: int, by: int) -> int:
    return (word >> by | word << 32 - by) & _MASK


def _stir(word: int, by: int) -> int:
    return _rotate(word, by) * _C1 & _MASK


def _scramble(word: int) -> int:
    return _rotate(word * _C1 & _MASK, 17) * _C2 & _MASK


def _blend(word: int, other: int) -> int:
    return _rotate(word ^ other, 19) * 5 + _C3 & _MASK


def _mix(word: int, into: int) -> int:
    return _blend(into, _scramble(word))
