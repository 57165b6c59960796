"""What is counted on the way of a call: plain numbers, which somebody reads whenever he is asked for them.

Counting has to cost next to nothing: an addition, a look into a dict, a bisection. Names, help and labels are put to
the numbers only when they are read, as samples of a family.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar

#: Upper bounds of buckets, in seconds.
LATENCY_BOUNDS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
#: For what workflows and activities take.
DURATION_BOUNDS_S = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 600.0, 3_600.0, 86_400.0, 604_800.0)
SIZE_BOUNDS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0)

#: Sets of labels that one family may have in a process; what is beyond counts as one more, all of them together.
SERIES_MAX = 1_000
#: The value of every label of those.
OTHER = "(other)"
#: Sticky queues, which are made up by workers, count as one.
STICKY = "(sticky)"


class Kind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Family(NamedTuple):
    """What a number means. `counterpart` is what the well-known server calls the same, if it has it."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    counterpart: str = ""

    @property
    def exported_name(self) -> str:
        """As it is queried; a histogram's comes with `_bucket`, `_sum` and `_count`."""
        return f"perdure_{self.name}_total" if self.kind is Kind.COUNTER else f"perdure_{self.name}"


class Histogram:
    """How many observations were at most each of the bounds, and their sum."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...] = LATENCY_BOUNDS_S) -> None:
        self.bounds = bounds
        #: One more than bounds: the last is for what is above all of them.
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    @property
    def count(self) -> int:
        return sum(self.counts)


class Sample(NamedTuple):
    """One number of a family, with the values of its labels in their order."""

    family: Family
    labels: tuple[str, ...]
    value: float | Histogram


#: Reads what was counted.
Source = Callable[[], Iterable[Sample]]

#: From a namespace's id to its name, or the id itself if the name is not at hand.
NameOf = Callable[[str], str]

S = TypeVar("S")


class Series(Generic[S]):
    """What is counted by labels, made when they are first seen, and bounded: see `SERIES_MAX`."""

    __slots__ = ("_by_labels", "_make", "_other", "_width")

    def __init__(self, width: int, make: Callable[[], S]) -> None:
        """`width` is how many labels there are."""
        self._width = width
        self._make = make
        self._by_labels: dict[tuple[str, ...], S] = {}
        self._other: S | None = None

    def of(self, *labels: str) -> S:
        found = self._by_labels.get(labels)
        return found if found is not None else self._first_seen(labels)

    def counted_as(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """The labels under which `of` these labels is listed."""
        return labels if labels in self._by_labels else (OTHER,) * self._width

    def items(self) -> list[tuple[tuple[str, ...], S]]:
        items = list(self._by_labels.items())
        if self._other is not None:
            items.append(((OTHER,) * self._width, self._other))
        return items

    def _first_seen(self, labels: tuple[str, ...]) -> S:
        if len(self._by_labels) < SERIES_MAX:
            made = self._by_labels[labels] = self._make()
            return made
        if self._other is None:
            self._other = self._make()
        return self._other
