"""How long a call waits before this process looks at it: measured by calls to itself.

Calls that have arrived queue inside of grpc, out of our sight, and each is handed over when the event loop comes round.
So neither the lag of the loop nor the number of calls in our hands tells that the queue grows; waiting in it does. An
answer says how long those have waited who are looked at now.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import grpc.aio

from perdure.frontend.limits.overload import Admission

#: Calls to itself are this far apart, whether the one before is answered or not.
PERIOD_S = 0.05
#: The same while nobody waits: each costs about as much as any other call.
QUIET_PERIOD_S = 0.1
#: Other calls between two of them without which the process cannot be overloaded.
CALLS_MIN = 3
UNANSWERED_MAX = 200
_CHECK = "/grpc.health.v1.Health/Check"


class Probe:
    """Tells an `Admission` how long calls wait. Without calls it sleeps."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._calls = 0
        self._unanswered = 0
        self._last_s = 0.0
        self._task: asyncio.Task[None] | None = None
        self._target = ""
        self._channel: grpc.aio.Channel | None = None

    def aim(self, target: str) -> None:
        """`target` is the process's own `host:port`, which is known before anybody calls."""
        self._target = target

    def count(self) -> None:
        """To be called for each call."""
        self._calls += 1
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="probe")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        if self._channel is not None:
            await self._channel.close()

    async def _run(self) -> None:
        try:
            while self._calls or self._unanswered:
                self._calls = 0
                await asyncio.sleep(PERIOD_S if self._last_s > PERIOD_S else QUIET_PERIOD_S)
                if self._calls >= CALLS_MIN and self._unanswered < UNANSWERED_MAX:
                    self._ask()
                elif not self._unanswered:
                    self._tell(0.0)
        finally:
            self._task = None

    def _ask(self) -> None:
        if self._channel is None:
            self._channel = grpc.aio.insecure_channel(self._target, [("grpc.use_local_subchannel_pool", 1)])
        # The machine's time: that of a loop may be skipped, and nobody has waited then.
        asked_s = time.monotonic()

        def answered(call: object) -> None:
            # That the process refuses, or is about to stop, is an answer like any other.
            self._unanswered -= 1
            self._tell(time.monotonic() - asked_s)

        self._unanswered += 1
        invoke: Any = self._channel.unary_unary(_CHECK)
        invoke(b"").add_done_callback(answered)

    def _tell(self, wait_s: float) -> None:
        self._last_s = wait_s
        self._admission.waited(wait_s)
