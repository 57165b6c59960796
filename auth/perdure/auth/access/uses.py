"""When API keys and sessions were last used: about so, and never at the cost of a call.

A call notes the time in memory. Every few minutes a process reports what it has noted, and forgets it; what it has not
reported when it dies is lost. A session's idle time is counted from what is reported, so it must be much longer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Protocol

import structlog

from perdure.kernel.clock import SECOND_NS
from perdure.kernel.persistence.executions import StoreError

PERIOD_S = 120.0
#: By so much a reported use may be older than the last one, at most.
DELAY_NS = int(2 * PERIOD_S) * SECOND_NS
#: Credentials of which one process notes a use between two reports. Further ones are not noted.
_NOTED_MAX = 50_000

_log = structlog.get_logger("perdure.auth")


class CredentialUses:
    """Noted by the guard, each time that it is asked: for one call it may be asked twice."""

    def __init__(self) -> None:
        self._at_ns: dict[str, int] = {}

    def note(self, credential_id: str, now_ns: int) -> None:
        if credential_id in self._at_ns or len(self._at_ns) < _NOTED_MAX:
            self._at_ns[credential_id] = now_ns

    def take(self) -> Mapping[str, int]:
        """All of them, which are not known here any more."""
        taken, self._at_ns = self._at_ns, {}
        return taken

    def put_back(self, uses: Mapping[str, int]) -> None:
        """What could not be reported, unless something newer is known."""
        for credential_id, at_ns in uses.items():
            if credential_id not in self._at_ns:
                self.note(credential_id, at_ns)


class UseStore(Protocol):
    """Where uses are reported to."""

    async def report(self, uses: Mapping[str, int]) -> None:
        """Credentials by their ids, each with an instant of its use. What is not known is ignored.

        Raises:
            StoreError: the store cannot be written; it may be tried again.
        """
        ...


class UseReporter:
    """`start` and `stop` are each called once."""

    def __init__(self, uses: CredentialUses, store: UseStore, period_s: float = PERIOD_S) -> None:
        self._uses = uses
        self._store = store
        self._period_s = period_s
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name="credential-uses")

    async def stop(self) -> None:
        """What is known is reported once more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.report()

    @property
    def background(self) -> list[asyncio.Task[None]]:
        """What runs until `stop`."""
        return [self._task] if self._task else []

    async def report(self) -> None:
        taken = self._uses.take()
        if not taken:
            return
        try:
            await self._store.report(taken)
        except StoreError as error:
            self._uses.put_back(taken)
            _log.warning("uses of credentials are not reported", error=str(error))

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._period_s)
            try:
                await self.report()
            except Exception as error:
                # Whatever it is: without this loop sessions would end while they are used.
                _log.warning("uses of credentials are not reported", error=str(error), exc_info=True)
