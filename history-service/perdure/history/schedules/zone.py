"""PURE: a time zone as schedules see it: between instants and the local clock, both in whole seconds.

Where a clock change makes a local time ambiguous or skips it, the answers are those of Go's time library, which decides
when schedules fire in such hours.
"""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from io import BytesIO
from zoneinfo import ZoneInfo

from perdure.kernel import timezones

DAY_S = 86_400
HOUR_S = 3_600
#: Instants between which a local clock can be told at all: the calendar's years 1 to 9999, and a day to spare.
_INSTANT_MIN = -62_135_596_800 + DAY_S
_INSTANT_MAX = 253_402_300_799 - DAY_S

#: Where compiled zones are probed: each month, until the rule for all later years has shown what it says.
_PROBED_UNTIL = 4_133_980_800
_PROBED_EVERY = 30 * DAY_S


class Zone:
    """Seconds since the epoch on the local clock are those that a clock in UTC would show at the same reading."""

    __slots__ = ("_info",)

    def __init__(self, info: tzinfo) -> None:
        self._info = info

    @classmethod
    def load(cls, name: str, data: bytes) -> Zone:
        """The zone that `data`, a compiled zone file, describes; without data the one of this name.

        Raises:
            ValueError: no such zone, or the data is damaged.
        """
        if not data:
            return cls(timezones.load(name))
        try:
            zone = cls(ZoneInfo.from_file(BytesIO(data), name or "UTC"))
            zone._probe()
        except Exception as error:
            raise ValueError("malformed time zone information") from error
        return zone

    def _probe(self) -> None:
        """Read the clock at many instants. Raises ValueError if it shows nonsense, such as a day more than in UTC."""
        for instant in range(0, _PROBED_UNTIL, _PROBED_EVERY):
            self._told_offset(instant)

    def local(self, instant: int) -> int:
        """What the local clock shows at an instant."""
        return instant + self._offset(instant)

    def instant(self, local: int) -> int:
        """The instant at which the local clock shows this, one of two if there are two, one close by if none."""
        return local - self._offset(local - self._offset(local))

    def _offset(self, instant: int) -> int:
        if self._info is UTC:
            return 0
        try:
            return self._told_offset(instant)
        except ValueError:
            # Nobody can tell what such a clock means.
            return 0

    def _told_offset(self, instant: int) -> int:
        at = datetime.fromtimestamp(min(max(instant, _INSTANT_MIN), _INSTANT_MAX), self._info)
        offset = at.utcoffset()
        return offset.days * DAY_S + offset.seconds if offset is not None else 0
