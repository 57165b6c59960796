"""Sinks from what is stored of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from perdure.api.audit.sinks.batches import Sink
from perdure.api.audit.sinks.calls import GuardedCalls
from perdure.api.audit.sinks.files import FileSink, FileSpec
from perdure.api.audit.sinks.s3 import S3Sink, S3Spec
from perdure.api.audit.sinks.webhooks import WebhookSink, WebhookSpec
from perdure.kernel.clock import Clock

SinkSpec = FileSpec | WebhookSpec | S3Spec
_decoder: msgspec.json.Decoder[SinkSpec] = msgspec.json.Decoder(SinkSpec)


def encode(spec: SinkSpec) -> bytes:
    return msgspec.json.encode(spec)


def decode(data: bytes) -> SinkSpec:
    return _decoder.decode(data)


@dataclass(frozen=True, slots=True)
class SinkMaker:
    """What sinks are made with. `directory` is for files; without one there are none."""

    calls: GuardedCalls
    clock: Clock
    directory: Path | None = None

    def make(self, name: str, spec: SinkSpec) -> Sink:
        match spec:
            case FileSpec():
                return FileSink(self.directory, name)
            case WebhookSpec():
                return WebhookSink(spec, self.calls, self.clock)
            case S3Spec():
                return S3Sink(spec, self.calls, self.clock)
