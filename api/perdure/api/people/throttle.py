"""PURE: how trying again and again is slowed.

Some tries are free; after each further one the next has to wait, twice as long each time, up to a bound. Tries are
forgotten one by one as time goes by. A try counts before it is known what comes of it, so that many at once are as slow
as one after the other; what turns out well is given back.
"""

from __future__ import annotations

from typing import NamedTuple

from perdure.kernel.clock import SECOND_NS

MINUTE_NS = 60 * SECOND_NS
#: After so long one try is forgotten.
FORGOTTEN_NS = 6 * MINUTE_NS
#: Tries beyond the free ones that are remembered at most, so that it does not take for ever to forget them.
_REMEMBERED_MAX = 20


class Rule(NamedTuple):
    free: int
    delay_ns_max: int


class Tries(NamedTuple):
    """The next try may be made at `open_at_ns`. `changed_at_ns` is since when none has been forgotten."""

    failures: int = 0
    open_at_ns: int = 0
    changed_at_ns: int = 0


def wait_ns(tries: Tries, now_ns: int) -> int:
    """How long the next try has to wait, 0 for not at all."""
    return max(tries.open_at_ns - now_ns, 0)


def tried(tries: Tries, rule: Rule, now_ns: int) -> Tries:
    """With one more, which was allowed."""
    forgotten = max(now_ns - tries.changed_at_ns, 0) // FORGOTTEN_NS
    count = max(tries.failures - forgotten, 0)
    # What is left of the current interval counts on.
    changed_at_ns = tries.changed_at_ns + forgotten * FORGOTTEN_NS if count else now_ns
    count = min(count + 1, rule.free + _REMEMBERED_MAX)
    return Tries(count, now_ns + _delay_ns(count, rule), changed_at_ns)


def taken_back(tries: Tries) -> Tries:
    """Without the last one."""
    return Tries(max(tries.failures - 1, 0), 0, tries.changed_at_ns)


def _delay_ns(count: int, rule: Rule) -> int:
    if count < rule.free:
        return 0
    return min(SECOND_NS << (count - rule.free), rule.delay_ns_max)
