"""A webhook: batches are posted to an address, signed as standardwebhooks.com says."""

from __future__ import annotations

import base64
import hmac
from typing import Final

import msgspec

from perdure.api.audit.sinks.batches import Batch, DeliveryFailed
from perdure.api.outgoing.calls import GuardedCalls
from perdure.kernel.clock import SECOND_NS, Clock
from perdure.kernel.entropy import Entropy

PREFIX: Final = "whsec_"


class WebhookSpec(msgspec.Struct, frozen=True, tag="webhook"):
    url: str
    secret: str


def new_secret(entropy: Entropy) -> str:
    """To be shown once to whoever has to check signatures."""
    return PREFIX + base64.b64encode(entropy.bits(256).to_bytes(32, "big")).decode()


def is_secret(secret: str) -> bool:
    """PURE."""
    try:
        return secret.startswith(PREFIX) and 24 <= len(base64.b64decode(secret[len(PREFIX) :], validate=True)) <= 64
    except ValueError:
        return False


def signature(secret: str, message_id: str, timestamp_s: int, body: bytes) -> str:
    """PURE: of what the body, its id and time are, and nobody else could have said."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    digest = hmac.new(key, f"{message_id}.{timestamp_s}.".encode() + body, "sha256").digest()
    return f"v1,{base64.b64encode(digest).decode()}"


class WebhookSink:
    """See `perdure.api.audit.sinks.batches.Sink`."""

    def __init__(self, spec: WebhookSpec, calls: GuardedCalls, clock: Clock) -> None:
        self._spec = spec
        self._calls = calls
        self._clock = clock

    async def deliver(self, batch: Batch) -> None:
        message_id = f"{batch.account_id}-{batch.first}-{batch.last}"
        timestamp_s = self._clock.now_ns() // SECOND_NS
        headers = {
            "content-type": "application/x-ndjson",
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp_s),
            "webhook-signature": signature(self._spec.secret, message_id, timestamp_s, batch.lines),
        }
        status = await self._calls.send("POST", self._spec.url, batch.lines, headers)
        if not 200 <= status < 300:
            raise DeliveryFailed(f"the webhook answered {status}", is_theirs=300 <= status < 500 and status != 429)
