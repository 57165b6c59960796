"""Counters of the running process in Prometheus' text format.

The client library is imported with the first scrape: a development server that nobody scrapes does not pay for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from perdure.kernel.clock import SECOND_NS
from perdure.kernel.metrics import GatewayMetrics

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric


class PrometheusExporter:
    """Reads the counters anew for each scrape."""

    content_type = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self, gateway: GatewayMetrics) -> None:
        self._gateway = gateway

    def render(self) -> bytes:
        from prometheus_client import CollectorRegistry, ProcessCollector
        from prometheus_client.exposition import generate_latest

        registry = CollectorRegistry()
        registry.register(self)
        ProcessCollector(registry=registry)
        return generate_latest(registry)

    def collect(self) -> Iterable[Metric]:
        """What a registry of the client library asks of a collector."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        calls = CounterMetricFamily("perdure_calls", "Calls received, by RPC.", labels=["rpc"])
        seconds = CounterMetricFamily(
            "perdure_call_seconds", "Time spent serving calls, waits included.", labels=["rpc"]
        )
        failures = CounterMetricFamily(
            "perdure_call_failures", "Calls refused, by RPC and code.", labels=["rpc", "code"]
        )
        for rpc, counts in self._gateway.by_rpc.items():
            if counts.calls:
                calls.add_metric([rpc], counts.calls)
                seconds.add_metric([rpc], counts.duration_ns / SECOND_NS)
            for code, count in counts.failures.items():
                failures.add_metric([rpc, code], count)
        in_flight = GaugeMetricFamily("perdure_calls_in_flight", "Calls being served, waiting polls included.")
        in_flight.add_metric([], self._gateway.in_flight)
        refusals = CounterMetricFamily(
            "perdure_refusals", "Calls over a limit, by namespace and limit.", labels=["namespace", "limit"]
        )
        for (namespace, limit), count in self._gateway.refusals.items():
            refusals.add_metric([namespace, limit], count)
        wait = GaugeMetricFamily("perdure_admission_wait_seconds", "How long calls wait until they are looked at.")
        wait.add_metric([], self._gateway.admission_wait_s)
        return (calls, seconds, failures, in_flight, refusals, wait)
