"""Which shards this process owns: all of them if it is alone, its share of them in a cluster.

Taking a shard raises its epoch, after which no earlier owner can write to it. So nothing here has to be right for the
data to be safe; it has to be right for calls to be answered soon.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Set
from contextlib import suppress
from functools import partial

import structlog

from perdure.history.engine import Engine, RecoveryFailed, insist
from perdure.history.shard import Shard
from perdure.kernel.ids import ShardId
from perdure.kernel.membership import Member, Membership, Role, candidates, owner, shard_item
from perdure.kernel.news import News, Topic
from perdure.kernel.persistence.executions import ShardLost, StoreError, StoreUnusable
from perdure.kernel.persistence.shards import ShardLease, ShardStore

logger = structlog.get_logger(__name__)

#: How often to look while another member is expected to give a shard back.
_WAITING_S = 0.2
#: How long a shard is left alone where what it owes could not be taken up.
_REST_S = 5.0
#: How long to wait for shards to be given back before looking after others.
_GIVING_S = 1.0
#: How often to look anyway.
_PERIOD_S = 5.0
#: For how long a living owner may keep a shard that is ours by now before it is taken by force: longer than any lease,
#: so that an owner which does not hear of it has stopped showing what it holds.
PATIENCE_S = 5.0


class SoleOwner:
    """Owns every shard, for a process that is alone with its store."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        engine.dropped = self._dropped
        self._retaking: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Take the shards, and take up what was left open by whoever owned them before.

        Raises:
            StoreUnavailable: the store cannot be written.
            StoreUnusable: it never can be read.
        """
        await self._engine.recover(await self._engine.acquire([ShardId(n) for n in range(self._engine.shard_count)]))

    async def stop(self) -> None:
        for task in self._retaking:
            task.cancel()
        await asyncio.gather(*self._retaking, return_exceptions=True)

    @property
    def background(self) -> list[asyncio.Task[None]]:
        """What runs until `stop`."""
        return list(self._retaking)

    def _dropped(self, shards: Set[ShardId], error: Exception) -> None:
        """A shard that somebody else has taken is left to him, any other is taken again."""
        if not isinstance(error, ShardLost):
            delay_s = _REST_S if isinstance(error, RecoveryFailed) else 0.0
            task = asyncio.get_running_loop().create_task(self._retake(list(shards), delay_s))
            self._retaking.add(task)
            task.add_done_callback(self._retaking.discard)

    async def _retake(self, shards: list[ShardId], delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        while True:
            try:
                taken = await insist(partial(self._engine.acquire, shards))
                break
            except StoreUnusable:
                logger.exception("shards could not be taken again", shards=shards, retry_in_s=_REST_S)
            await asyncio.sleep(_REST_S)
        with suppress(StoreUnusable):
            # What could not be recovered was dropped, and is retaken by itself.
            await self._engine.recover(taken)


class SharedOwnership:
    """Keeps this process owning its share, as members come and go."""

    def __init__(self, engine: Engine, shards: ShardStore, membership: Membership, news: News) -> None:
        self._engine = engine
        self._shards = shards
        self._membership = membership
        self._news = news
        engine.dropped = self._dropped
        # Nothing is shown before we have looked.
        engine.trusted_until_s = 0.0
        #: Since when (on the event loop's clock) we wait for a living owner to give a shard back.
        self._awaited: dict[ShardId, float] = {}
        #: Until when (as above) a shard is left alone, since recovering it has failed.
        self._resting: dict[ShardId, float] = {}
        #: Until when all others were to take this process for alive, as of the last look.
        self._lease_ended_s = 0.0
        self._wake = asyncio.Event()
        self._loop_task: asyncio.Task[None] | None = None
        self._recovering: set[asyncio.Task[None]] = set()
        #: What is being given back, and by whom.
        self._giving: dict[asyncio.Task[None], frozenset[ShardId]] = {}
        self._leaving = False
        #: The share, and for which members it was worked out.
        self._share: tuple[list[Member], frozenset[ShardId]] = ([], frozenset())

    async def start(self) -> None:
        """Begin to own this process's share; the shards come in the background.

        Raises:
            StoreError: the store cannot be used.
        """
        self._membership.listen(self._looked)
        self._news.listen(Topic.SHARDS, self._wake.set)
        await self._settle()
        self._loop_task = asyncio.get_running_loop().create_task(self._keep_settled())

    async def leave(self) -> None:
        """Give everything back and take nothing any more. To be called when the other members know that we leave."""
        self._leaving = True
        if self._loop_task is not None:
            self._loop_task.cancel()
            await asyncio.gather(self._loop_task, return_exceptions=True)
        try:
            await self._engine.release(list(self._engine.shards))
        except StoreError:
            logger.exception("shards could not be given back")
        await asyncio.gather(*self._giving, return_exceptions=True)
        self._news.tell(Topic.SHARDS)

    async def stop(self) -> None:
        tasks = self.background
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def loops(self) -> list[asyncio.Task[None]]:
        """What never ends before `stop`."""
        return [self._loop_task] if self._loop_task else []

    @property
    def background(self) -> list[asyncio.Task[None]]:
        """What runs at the moment."""
        return [*self._recovering, *self._giving, *self.loops]

    def _looked(self) -> None:
        """The members are known anew, and for how long the others believe that we live."""
        now = asyncio.get_running_loop().time()
        if now > self._lease_ended_s:
            # We were taken for dead for a while, in which an owner did not know that we wait for his shards.
            self._awaited.clear()
        self._lease_ended_s = self._membership.lease_ends_s
        # Whoever is to have what we still hold waits no longer than he could believe us to show it.
        if now <= self._engine.trusted_until_s and self._owned <= self._wanted():
            self._engine.trusted_until_s = self._membership.lease_ends_s
        # Otherwise somebody may have taken our shards meanwhile: nothing is shown before we have looked.
        if now > self._engine.trusted_until_s or self._owned != self._wanted():
            self._wake.set()

    def _dropped(self, shards: Set[ShardId], error: Exception) -> None:
        if isinstance(error, RecoveryFailed):
            until_s = asyncio.get_running_loop().time() + _REST_S
            self._resting.update(dict.fromkeys(shards, until_s))
        if isinstance(error, ShardLost):
            # Whoever has taken it is alive, and not in our list if that is why he has taken it.
            self._membership.look()
            now = asyncio.get_running_loop().time()
            self._awaited.update(dict.fromkeys(shards, now))
        self._wake.set()

    @property
    def _owned(self) -> Set[ShardId]:
        return self._engine.shards.keys()

    def _wanted(self) -> frozenset[ShardId]:
        members = candidates(self._membership.members, Role.HISTORY)
        if self._leaving:
            return frozenset()
        if members != self._share[0]:
            me = self._membership.me.id
            shards = map(ShardId, range(self._engine.shard_count))
            mine = (shard for shard in shards if (first := owner(shard_item(shard), members)) and first.id == me)
            self._share = members, frozenset(mine)
        return self._share[1]

    async def _keep_settled(self) -> None:
        while True:
            period_s = _WAITING_S if self._owned != self._wanted() else _PERIOD_S
            try:
                async with asyncio.timeout(period_s):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                await self._settle()
            except Exception as error:
                # Whatever it is: without this loop the process would never take or give back a shard again.
                unexpected = not isinstance(error, StoreError)
                logger.warning("shards could not be settled, trying again", error=str(error), exc_info=unexpected)
                await asyncio.sleep(_WAITING_S)

    async def _settle(self) -> None:
        """One look, and whatever follows from it."""
        if surplus := self._owned - self._wanted():
            await self._give_back(frozenset(surplus))
        lease_ends_s = self._membership.lease_ends_s
        known, unknown = await self._shards.leases()
        leases = {lease.shard: lease for lease in known}
        # Nobody has a reason to take what we hold for as long as everybody takes us for alive.
        now = asyncio.get_running_loop().time()
        is_trusted = now <= self._engine.trusted_until_s
        kept = unknown if is_trusted else frozenset()
        # Owners that have not written since do not know yet that somebody else has taken their shard.
        ours = [(shard, leases.get(shard.id)) for shard in self._engine.shards.values() if shard.id not in kept]
        self._engine.drop([shard.id for shard, lease in ours if lease is None or lease.epoch != shard.epoch])
        if not is_trusted and now <= lease_ends_s:
            # Whoever had one before this lease began may only now be about to take them.
            await self._engine.renew()
        # The look may have lasted, and we may have been seen alive meanwhile.
        self._engine.trusted_until_s = max(self._engine.trusted_until_s, lease_ends_s)
        if any(self._is_dead(leases.get(shard)) for shard in self._wanted() - self._owned):
            # An owner that we do not know may have come since we looked.
            await self._membership.refresh()
        take = self._free(leases, unknown)
        if take:
            # Only as we have seen them: while we ask, others may take them, or come back and show what they hold.
            seen = {shard: lease.epoch if (lease := leases.get(shard)) else 0 for shard in take}
            self._recover(await self._engine.acquire(take, seen))
            self._news.tell(Topic.SHARDS)

    async def _give_back(self, surplus: frozenset[ShardId]) -> None:
        """Does not wait long for a database that hangs: there are the shards of others to look after."""
        task = asyncio.get_running_loop().create_task(self._giving_back(surplus))
        self._giving[task] = surplus
        task.add_done_callback(self._giving.pop)
        await asyncio.wait({task}, timeout=_GIVING_S)

    async def _giving_back(self, surplus: frozenset[ShardId]) -> None:
        try:
            await self._engine.release(surplus)
        except Exception as error:
            # They are not served any more; whoever is to have them waits, and takes them by force then.
            unexpected = not isinstance(error, StoreError)
            logger.warning("shards could not be given back", error=str(error), exc_info=unexpected)
        self._news.tell(Topic.SHARDS)
        self._wake.set()

    def _free(self, leases: Mapping[ShardId, ShardLease], unknown: Set[ShardId]) -> list[ShardId]:
        """Which shards of our share can be taken now. For the others we wait."""
        now = asyncio.get_running_loop().time()
        take, waiting = [], {}
        self._resting = {shard: until_s for shard, until_s in self._resting.items() if until_s > now}
        leaving = frozenset[ShardId]().union(*self._giving.values())
        for shard in self._wanted() - self._owned - unknown - leaving - self._resting.keys():
            lease = leases.get(shard)
            if lease is None or not self._is_held(lease):
                take.append(shard)
                continue
            since = waiting[shard] = self._awaited.get(shard, now)
            if now - since > PATIENCE_S and now <= self._membership.lease_ends_s:
                take.append(shard)
                del waiting[shard]
            else:
                self._engine.hints[shard] = lease.owner
        self._awaited = waiting
        return take

    def _is_held(self, lease: ShardLease) -> bool:
        """Whether another member that lives has it."""
        me = self._membership.me.id
        return lease.owner != me and any(lease.owner == member.id for member in self._membership.members)

    def _is_dead(self, lease: ShardLease | None) -> bool:
        """Whether another member has it that lives no more, as far as we know."""
        return lease is not None and lease.owner not in ("", self._membership.me.id) and not self._is_held(lease)

    def _recover(self, shards: Iterable[Shard]) -> None:
        task = asyncio.get_running_loop().create_task(self._recovery(list(shards)))
        self._recovering.add(task)
        task.add_done_callback(self._recovering.discard)

    async def _recovery(self, shards: list[Shard]) -> None:
        with suppress(StoreUnusable):
            # What could not be recovered was dropped, and rests.
            await self._engine.recover(shards)
