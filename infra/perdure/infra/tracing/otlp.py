"""`Tracer` on OpenTelemetry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from perdure.kernel.tracing import SpanKind
from perdure.kernel.transport import trace_context

_KINDS = {SpanKind.SERVER: trace.SpanKind.SERVER, SpanKind.INTERNAL: trace.SpanKind.INTERNAL}
#: As SDKs and the well-known server name them.
_NAMES = {"workflow_id": "temporalWorkflowID", "run_id": "temporalRunID", "namespace": "temporalNamespace"}
#: Of an attribute, which may be an id that a client has made up.
_ATTRIBUTE_LENGTH_MAX = 1_000


class OtlpTracer:
    """Implements `perdure.kernel.tracing.Tracer`. Spans are sent by a thread of their own, and dropped in a flood.

    A trace is recorded if its beginning was; of those that begin here, a part of `ratio` (0 to 1) is.
    """

    def __init__(self, endpoint: str, ratio: float, roles: Sequence[str], instance: str) -> None:
        """`endpoint` is a collector's `http://host:port` or `https://host:port`, which need not be there yet."""
        resource = Resource({"service.name": "perdure", "service.instance.id": instance, "perdure.roles": list(roles)})
        self._provider = TracerProvider(
            resource=resource,
            sampler=ParentBased(TraceIdRatioBased(ratio)),
            shutdown_on_exit=False,
            span_limits=SpanLimits(max_attribute_length=_ATTRIBUTE_LENGTH_MAX),
        )
        exporter = OTLPSpanExporter(endpoint, insecure=endpoint.startswith("http://"))
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("perdure")
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def span(self, name: str, kind: SpanKind, attributes: Mapping[str, str]) -> Iterator[None]:
        parent = self._propagator.extract(trace_context.get())
        named = {_NAMES.get(key, key): value for key, value in attributes.items()}
        with self._tracer.start_as_current_span(name, parent, _KINDS[kind], attributes=named, record_exception=False):
            headers: dict[str, str] = {}
            self._propagator.inject(headers)
            before = trace_context.set(headers)
            try:
                yield
            finally:
                trace_context.reset(before)

    def close(self) -> None:
        """Send what is left, and stop. Blocks for a few seconds at most."""
        self._provider.shutdown()
