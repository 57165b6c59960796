"""Sinks from what is stored of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from perdure.api.audit.sinks.batches import DeliveryFailed, Sink
from perdure.api.audit.sinks.files import FileSink, FileSpec
from perdure.api.audit.sinks.s3 import S3Sink, S3Spec
from perdure.api.audit.sinks.webhooks import WebhookSink, WebhookSpec
from perdure.api.data.tables import ResourceRow
from perdure.api.outgoing.calls import GuardedCalls
from perdure.api.sealing import CannotOpen, Sealer
from perdure.kernel.clock import Clock

SinkSpec = FileSpec | WebhookSpec | S3Spec
_decoder: msgspec.json.Decoder[SinkSpec] = msgspec.json.Decoder(SinkSpec)


def encode(spec: SinkSpec) -> bytes:
    return msgspec.json.encode(spec)


def decode(data: bytes) -> SinkSpec:
    """As it is stored: its secret is sealed."""
    return _decoder.decode(data)


def secret_of(spec: SinkSpec) -> str:
    match spec:
        case WebhookSpec():
            return spec.secret
        case S3Spec():
            return spec.secret_access_key
    return ""


def with_secret(spec: SinkSpec, secret: str) -> SinkSpec:
    """The same with another one, or with none if it is empty."""
    match spec:
        case WebhookSpec():
            return msgspec.structs.replace(spec, secret=secret)
        case S3Spec():
            return msgspec.structs.replace(spec, secret_access_key=secret)
    return spec


def about(sink_id: str) -> str:
    """What the secret of a sink is sealed for."""
    return f"audit export:{sink_id}"


@dataclass(frozen=True, slots=True)
class SinkMaker:
    """What sinks are made with. `directory` is for files; without one there are none."""

    calls: GuardedCalls
    clock: Clock
    sealer: Sealer
    directory: Path | None = None

    def make_stored(self, row: ResourceRow) -> Sink:
        """Raises DeliveryFailed: its secret cannot be read."""
        spec = decode(row.spec)
        try:
            secret = self.sealer.open(secret_of(spec), about(row.id))
        except CannotOpen as error:
            raise DeliveryFailed(str(error), is_theirs=False) from error
        return self.make(row.name, with_secret(spec, secret))

    def make(self, name: str, spec: SinkSpec) -> Sink:
        match spec:
            case FileSpec():
                return FileSink(self.directory, name)
            case WebhookSpec():
                return WebhookSink(spec, self.calls, self.clock)
            case S3Spec():
                return S3Sink(spec, self.calls, self.clock)
