"""How often an account, and each identity in it, may call the control plane, and each address without credentials. One
process counts for itself.
"""

from __future__ import annotations

from temporalio.api.enums.v1 import ResourceExhaustedCause, ResourceExhaustedScope

from perdure.kernel.buckets import TokenBucket
from perdure.kernel.clock import Clock
from perdure.kernel.errors import ResourceExhausted
from perdure.kernel.identity import Principal, PrincipalKind
from perdure.kernel.limits import ControlLimits

#: Beyond it all begin anew, with what they may do at once.
_KNOWN_MAX = 10_000
_KEYS = {limit.name: key for key, limit in ControlLimits.keys().items()}


class ControlRates:
    def __init__(self, limits: ControlLimits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._buckets: dict[tuple[str, str], TokenBucket] = {}

    def take(self, principal: Principal) -> None:
        """Raises ResourceExhausted: too often."""
        is_user = principal.kind is PrincipalKind.USER
        own = "user_requests_per_second" if is_user else "service_account_requests_per_second"
        self._take(own, principal.id)
        self._take("account_requests_per_second", principal.account_id)

    def take_address(self, address: str) -> None:
        """Of somebody without credentials. Raises ResourceExhausted: too often."""
        self._take("anonymous_requests_per_second", address)

    def _take(self, limit: str, who: str) -> None:
        if not self._bucket(limit, who).take(self._clock.now_ns()):
            raise ResourceExhausted(
                f"too many control-plane requests: {_KEYS[limit]} is {getattr(self._limits, limit)}",
                ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_RPS_LIMIT,
                ResourceExhaustedScope.RESOURCE_EXHAUSTED_SCOPE_UNSPECIFIED,
            )

    def _bucket(self, limit: str, who: str) -> TokenBucket:
        bucket = self._buckets.get((limit, who))
        if bucket is None:
            if len(self._buckets) >= _KNOWN_MAX:
                self._buckets.clear()
            rate = getattr(self._limits, limit)
            bucket = self._buckets[limit, who] = TokenBucket(rate, rate, self._clock.now_ns())
        return bucket
