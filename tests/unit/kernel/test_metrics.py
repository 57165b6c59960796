from __future__ import annotations

from perdure.kernel.metrics import OTHER, SERIES_MAX, Histogram, Series


def test_an_observation_counts_in_the_bucket_whose_bound_it_does_not_exceed() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 9.0):
        histogram.observe(value)
    assert (histogram.counts, histogram.count, histogram.sum) == ([2, 1, 1], 4, 12.0)


def test_labels_are_counted_apart() -> None:
    series = Series(2, list[int])
    series.of("a", "b").append(1)
    series.of("a", "c").append(2)
    series.of("a", "b").append(3)
    assert series.items() == [(("a", "b"), [1, 3]), (("a", "c"), [2])]


def test_labels_beyond_the_limit_are_counted_together() -> None:
    series = Series(1, list[int])
    for number in range(SERIES_MAX + 5):
        series.of(str(number)).append(number)
    items = dict(series.items())
    assert len(items) == SERIES_MAX + 1
    assert items[OTHER,] == list(range(SERIES_MAX, SERIES_MAX + 5))
    assert series.counted_as(("0",)) == ("0",)
    assert series.counted_as((str(SERIES_MAX),)) == (OTHER,)
