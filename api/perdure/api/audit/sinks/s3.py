"""Objects in a bucket of anything that speaks S3: one for a batch, named by its numbers, so it may come twice.

Requests are signed as AWS says (Signature Version 4); all that is needed of it is one PUT, which is why there is no
library for it here, and why bytes go the same guarded way as those of webhooks.
"""

from __future__ import annotations

import hmac
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import quote, urlsplit

import msgspec

from perdure.api.audit.sinks.batches import Batch, DeliveryFailed
from perdure.api.outgoing.calls import GuardedCalls
from perdure.kernel.clock import SECOND_NS, Clock

_ALGORITHM = "AWS4-HMAC-SHA256"
_SIGNED = "host;x-amz-content-sha256;x-amz-date"


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


def signed(spec: S3Spec, method: str, url: str, body: bytes, now: datetime) -> dict[str, str]:
    """PURE: the headers of a request whose path is quoted already and that has no query."""
    parts = urlsplit(url)
    digest, time = sha256(body).hexdigest(), f"{now:%Y%m%dT%H%M%SZ}"
    scope = f"{now:%Y%m%d}/{spec.region}/s3/aws4_request"
    headers = f"host:{parts.netloc}\nx-amz-content-sha256:{digest}\nx-amz-date:{time}\n"
    request = f"{method}\n{parts.path}\n\n{headers}\n{_SIGNED}\n{digest}"
    text = f"{_ALGORITHM}\n{time}\n{scope}\n{sha256(request.encode()).hexdigest()}"
    key = f"AWS4{spec.secret_access_key}".encode()
    for part in scope.split("/"):
        key = _mac(key, part)
    credentials = f"Credential={spec.access_key_id}/{scope}, SignedHeaders={_SIGNED}, Signature={_mac(key, text).hex()}"
    return {"authorization": f"{_ALGORITHM} {credentials}", "x-amz-content-sha256": digest, "x-amz-date": time}


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), "sha256").digest()
