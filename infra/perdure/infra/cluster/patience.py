"""Asking again: for calls that went to the wrong process, or to one that was not there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from perdure.infra.rpc import RetryBudget
from perdure.kernel.call import Call
from perdure.kernel.clock import SECOND_NS, Clock
from perdure.kernel.errors import NotOwner, Unavailable
from perdure.kernel.transport import PeerUnreachable

T = TypeVar("T")

#: For how long the owner of something is looked for. A fail-over takes less.
PATIENCE_S = 10.0
_DELAY_S_MIN, _DELAY_S_MAX = 0.01, 0.25
#: The time that is left to a caller after we have given up.
_MARGIN_S = 0.2


@dataclass(slots=True)
class RoutingMetrics:
    """Calls to one role that did not reach an owner at once, since the process started."""

    not_owner: int = 0
    peer_failures: int = 0
    given_up: int = 0


class Patience:
    """Repeats calls that are known to have done nothing, and with `repeatable` those that may have done something."""

    def __init__(self, clock: Clock) -> None:
        self.metrics = RoutingMetrics()
        self._clock = clock
        self._budget = RetryBudget(asyncio.get_running_loop().time())

    async def insist(
        self,
        attempt: Callable[[], Awaitable[T]],
        failed: Callable[[NotOwner | PeerUnreachable], None],
        call: Call | None = None,
        *,
        repeatable: bool = False,
    ) -> T:
        """`failed` is told why an attempt did not reach the owner, before there is another.

        Raises:
            Unavailable: the owner was not found in time, or nobody knows whether it has done what it was asked for.
        """
        loop = asyncio.get_running_loop()
        until_s = loop.time() + PATIENCE_S
        if call is not None and call.deadline_ns is not None:
            remaining_s = (call.deadline_ns - self._clock.now_ns()) / SECOND_NS
            until_s = min(until_s, loop.time() + remaining_s - _MARGIN_S)
        delay_s = 0.0
        self._budget.called()
        while True:
            try:
                return await attempt()
            except NotOwner as error:
                self.metrics.not_owner += 1
                failure: NotOwner | PeerUnreachable = error
            except PeerUnreachable as error:
                self.metrics.peer_failures += 1
                if error.may_have_executed and not (repeatable and self._budget.may_retry(loop.time())):
                    failed(error)
                    raise
                failure = error
            failed(failure)
            if loop.time() + delay_s > until_s:
                self.metrics.given_up += 1
                # Not as it came: whoever called us is not to look for another owner of what we look for.
                raise Unavailable(failure.message) from failure
            await asyncio.sleep(delay_s)
            delay_s = min(max(2 * delay_s, _DELAY_S_MIN), _DELAY_S_MAX)
