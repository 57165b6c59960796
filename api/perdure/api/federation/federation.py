"""What handlers about tokens of others have besides what all have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from temporalio.api.enums.v1 import ResourceExhaustedCause, ResourceExhaustedScope

from perdure.api.protos import federation_pb2 as api
from perdure.auth.oidc.issuers import Fetch, Issuers
from perdure.auth.oidc.tokens import Claims
from perdure.kernel.buckets import TokenBucket
from perdure.kernel.errors import ResourceExhausted
from perdure.kernel.runtime import Runtime

#: Tokens that are looked at, at the same time: an issuer that takes its time must not hold up all others.
AT_ONCE_MAX: Final = 128
AT_ONCE_PER_ISSUER_MAX: Final = 32
#: Refusals that an account is told of a trusted issuer: strangers are not to fill its log.
_TOLD_AT_ONCE: Final = 10
_TOLD_PER_SECOND: Final = 0.1
#: For a document of an issuer: whoever has sent a token waits.
FETCH_S: Final = 4.0
#: Beyond it all begin anew.
_KNOWN_MAX: Final = 10_000


class Federation:
    """Of one process. `fetch` gets documents of issuers that tenants have named."""

    def __init__(self, runtime: Runtime, fetch: Fetch) -> None:
        self.runtime = runtime
        self.issuers = Issuers(fetch, runtime.clock)
        self._running: Counter[str] = Counter()
        self._told: dict[str, TokenBucket] = {}

    async def claims(self, spec: api.TrustedIssuerSpec, token: str) -> Claims:
        """What a token says that the issuer has made for us.

        Raises:
            TokenRefused: it is not good.
            FetchFailed: nobody can tell, since the issuer's keys cannot be had.
            ResourceExhausted: too many are being looked at.
        """
        with self._room(spec.issuer):
            return await self.issuers.claims(token, spec.issuer, list(spec.audiences))

    def tells(self, trusted_issuer_id: str) -> bool:
        """Whether the account is told of another refusal."""
        now_ns = self.runtime.clock.now_ns()
        bucket = self._told.get(trusted_issuer_id)
        if bucket is None:
            if len(self._told) >= _KNOWN_MAX:
                self._told.clear()
            bucket = self._told[trusted_issuer_id] = TokenBucket(_TOLD_PER_SECOND, _TOLD_AT_ONCE, now_ns)
        return bucket.take(now_ns)

    @contextmanager
    def _room(self, issuer: str) -> Iterator[None]:
        if self._running[issuer] >= AT_ONCE_PER_ISSUER_MAX:
            raise _exhausted("AT_ONCE_PER_ISSUER_MAX", AT_ONCE_PER_ISSUER_MAX)
        if self._running.total() >= AT_ONCE_MAX:
            raise _exhausted("AT_ONCE_MAX", AT_ONCE_MAX)
        self._running[issuer] += 1
        try:
            yield
        finally:
            self._running[issuer] -= 1
            if not self._running[issuer]:
                del self._running[issuer]


def _exhausted(limit: str, value: int) -> ResourceExhausted:
    return ResourceExhausted(
        f"too many tokens at the same time: {limit} is {value}",
        ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_CONCURRENT_LIMIT,
        ResourceExhaustedScope.RESOURCE_EXHAUSTED_SCOPE_SYSTEM,
    )
