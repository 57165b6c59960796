"""Objects in a bucket of anything that speaks S3: one for a batch, named by its numbers, so it may come twice.

Bytes go the same guarded way as those of webhooks.
"""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

import msgspec

from perdure.api.audit.sinks.batches import Batch, DeliveryFailed
from perdure.api.outgoing.calls import GuardedCalls
from perdure.kernel.aws_signature import signed
from perdure.kernel.clock import SECOND_NS, Clock


class S3Spec(msgspec.Struct, frozen=True, tag="s3"):
    """`endpoint` is a URL; objects are at `<endpoint>/<bucket>/<prefix><account>/...`."""

    endpoint: str
    region: str
    bucket: str
    access_key_id: str
    secret_access_key: str
    prefix: str = ""


class S3Sink:
    """See `perdure.api.audit.sinks.batches.Sink`."""

    def __init__(self, spec: S3Spec, calls: GuardedCalls, clock: Clock) -> None:
        self._spec = spec
        self._calls = calls
        self._clock = clock

    async def deliver(self, batch: Batch) -> None:
        url = f"{self._spec.endpoint.rstrip('/')}{quote(f'/{self._spec.bucket}/{key_of(self._spec, batch)}')}"
        now = datetime.fromtimestamp(self._clock.now_ns() // SECOND_NS, UTC)
        status = await self._calls.send("PUT", url, batch.lines, signed(self._spec, "PUT", url, batch.lines, now))
        if status != 200:
            raise DeliveryFailed(f"the bucket answered {status}", is_theirs=300 <= status < 500 and status != 429)


def key_of(spec: S3Spec, batch: Batch) -> str:
    """PURE: what the object of a batch is called."""
    day = datetime.fromtimestamp(batch.emitted_at_ns // SECOND_NS, UTC)
    return f"{spec.prefix}{batch.account_id}/{day:%Y/%m/%d}/{batch.first:020}-{batch.last:020}.jsonl"
