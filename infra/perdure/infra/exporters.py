"""Counters of the running process in Prometheus' text format.

The client library is imported with the first scrape: a development server that nobody scrapes does not pay for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from perdure.kernel.metrics import Family, Histogram, Kind, Sample, Source

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric


class PrometheusExporter:
    """Asks the sources anew for each scrape."""

    content_type = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources

    def render(self) -> bytes:
        from prometheus_client import CollectorRegistry, ProcessCollector
        from prometheus_client.exposition import generate_latest

        registry = CollectorRegistry()
        registry.register(self)
        ProcessCollector(registry=registry)
        return generate_latest(registry)

    def collect(self) -> Iterable[Metric]:
        """What a registry of the client library asks of a collector."""
        by_family: dict[Family, list[Sample]] = {}
        for source in self._sources:
            for sample in source():
                by_family.setdefault(sample.family, []).append(sample)
        return [_metric(family, samples) for family, samples in by_family.items()]


def _metric(family: Family, samples: Sequence[Sample]) -> Metric:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    name = f"perdure_{family.name}"
    if family.kind is Kind.HISTOGRAM:
        histogram = HistogramMetricFamily(name, family.help, labels=family.labels)
        for sample in samples:
            assert isinstance(sample.value, Histogram)
            bounds = [*map(str, sample.value.bounds), "+Inf"]
            buckets = zip(bounds, accumulate(sample.value.counts), strict=True)
            histogram.add_metric(sample.labels, buckets=list(buckets), sum_value=sample.value.sum)
        return histogram
    kind = CounterMetricFamily if family.kind is Kind.COUNTER else GaugeMetricFamily
    metric = kind(name, family.help, labels=family.labels)
    for sample in samples:
        assert not isinstance(sample.value, Histogram)
        metric.add_metric(sample.labels, sample.value)
    return metric
