"""Says that this process is alive, and hears who else is."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

import structlog

from perdure.kernel.clock import SECOND_NS
from perdure.kernel.membership import Member
from perdure.kernel.news import News, Topic
from perdure.kernel.persistence.executions import StoreError
from perdure.kernel.persistence.membership import MembershipStore

_log = structlog.get_logger("perdure.cluster")

#: Beats in the time of a lease: so many in a row have to fail before others take this process for dead.
_BEATS_PER_LEASE = 4
#: Beats that somebody asks for are this far apart at least.
_SPACING_S = 0.05
_RETRY_S = 0.2


class Heartbeat:
    """Implements `perdure.kernel.membership.Membership` on a store that has the truth."""

    def __init__(self, store: MembershipStore, lease_s: float, news: News) -> None:
        self._store = store
        self._lease_s = lease_s
        self._news = news
        self._members: Sequence[Member] = []
        self._lease_ends_s = 0.0
        self._beaten_at_s = 0.0
        #: Beats that failed, since the process started.
        self.failures = 0
        self._listeners: list[Callable[[], None]] = []
        self._wanted = asyncio.Event()
        self._beating: asyncio.Task[None] | None = None
        self._one_at_a_time = asyncio.Lock()

    @property
    def me(self) -> Member:
        return self._me

    @property
    def members(self) -> Sequence[Member]:
        return self._members

    @property
    def lease_ends_s(self) -> float:
        return self._lease_ends_s

    @property
    def age_s(self) -> float:
        """How long ago the last beat was that got through; 0 before the first."""
        return asyncio.get_running_loop().time() - self._beaten_at_s if self._beaten_at_s else 0.0

    @property
    def lease_left_s(self) -> float:
        """For how long the others take this process for alive."""
        return max(self._lease_ends_s - asyncio.get_running_loop().time(), 0.0)

    @property
    def background(self) -> list[asyncio.Task[None]]:
        """What runs until `stop`."""
        return [self._beating] if self._beating else []

    def listen(self, looked: Callable[[], None]) -> None:
        self._listeners.append(looked)

    def look(self) -> None:
        self._wanted.set()

    async def refresh(self) -> None:
        """See `Membership.refresh`."""
        await self._beat()

    async def start(self, me: Member) -> None:
        """Be known, without a share of anything yet. Nothing here is to be asked before.

        Raises:
            StoreError: the store cannot be used.
        """
        self._me = me._replace(leaving=True)
        await self._beat()
        self._news.listen(Topic.MEMBERS, self.look)
        self._news.tell(Topic.MEMBERS)
        self._beating = asyncio.get_running_loop().create_task(self._keep_beating())

    async def join(self) -> None:
        """Have a share of everything from now on: this process is going to stay.

        Raises:
            StoreError: the store cannot be used.
        """
        self._me = self._me._replace(leaving=False)
        await self._beat()
        self._news.tell(Topic.MEMBERS)

    async def leave(self) -> None:
        """Ask the others to take over, from which on this process gets no share of anything."""
        if self._beating is None:
            return
        self._me = self._me._replace(leaving=True)
        with contextlib.suppress(StoreError):
            await self._beat()
        self._news.tell(Topic.MEMBERS)

    async def stop(self) -> None:
        """Be gone. Whoever never joined has nobody to tell, here as in `leave`."""
        if self._beating is None:
            return
        self._beating.cancel()
        await asyncio.gather(self._beating, return_exceptions=True)
        with contextlib.suppress(StoreError):
            await self._store.leave(self._me.id)
        self._news.tell(Topic.MEMBERS)

    async def _keep_beating(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._lease_s / _BEATS_PER_LEASE):
                    await self._wanted.wait()
            self._wanted.clear()
            try:
                await self._beat()
            except Exception as error:
                # Whatever it is: without this loop the process is dead to the others, for as long as it runs.
                self.failures += 1
                _log.warning("no heartbeat", error=str(error), exc_info=not isinstance(error, StoreError))
                await asyncio.sleep(_RETRY_S)
                self._wanted.set()
            else:
                await asyncio.sleep(_SPACING_S)

    async def _beat(self) -> None:
        async with self._one_at_a_time:
            sent_at_s = asyncio.get_running_loop().time()
            members = await self._store.beat(self._me, int(self._lease_s * SECOND_NS))
            # What was asked before the answer counts from the question: the store's lease ends later than this.
            self._lease_ends_s = sent_at_s + self._lease_s
            self._beaten_at_s = sent_at_s
            if list(members) != list(self._members):
                _log.info(
                    "members", members=[f"{member.address} {'/'.join(sorted(member.roles))}" for member in members]
                )
                self._members = members
        for looked in self._listeners:
            try:
                looked()
            except Exception:
                _log.exception("somebody could not be told of the members")
