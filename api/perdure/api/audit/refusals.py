"""PURE: how many refusals an account's log is told. They cost whoever is refused nothing, so they must not fill it."""

from __future__ import annotations

from typing import Final

from perdure.kernel.buckets import TokenBucket

#: What a record calls the number of refusals before it of which there are none.
LEFT_OUT: Final = "refusalsNotRecorded"
#: Of one account, by one process.
TOLD_AT_ONCE: Final = 100
_TOLD_PER_SECOND: Final = 1.0
#: Accounts with a bucket. Beyond it all begin anew.
_KNOWN_MAX: Final = 10_000


class Refusals:
    """Beyond what is told of an account they are counted, and the next one that is told says how many there were."""

    def __init__(self) -> None:
        #: Since the process began, of all accounts.
        self.left_out = 0
        self._buckets: dict[str, TokenBucket] = {}
        self._left_out: dict[str, int] = {}

    def tell(self, account_id: str, now_ns: int, *, has_room: bool = True) -> int | None:
        """How many refusals were left out since the last one that was told; None: this one is left out too."""
        if not has_room or not self._bucket(account_id, now_ns).take(now_ns):
            self.left_out += 1
            self._left_out[account_id] = self._left_out.get(account_id, 0) + 1
            return None
        return self._left_out.pop(account_id, 0)

    def _bucket(self, account_id: str, now_ns: int) -> TokenBucket:
        bucket = self._buckets.get(account_id)
        if bucket is None:
            if len(self._buckets) >= _KNOWN_MAX:
                self._buckets.clear()
                self._left_out.clear()
            bucket = self._buckets[account_id] = TokenBucket(_TOLD_PER_SECOND, TOLD_AT_ONCE, now_ns)
        return bucket
