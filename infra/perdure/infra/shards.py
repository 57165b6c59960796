"""`perdure admin shards`: the map of shards, shown and changed."""

from __future__ import annotations

import asyncio
import re
import signal
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import groupby

from perdure.infra.postgres import PostgresClusterStore, PostgresDatabases, PostgresMembershipStore, PostgresShardStore
from perdure.infra.postgres.maintenance import maintenance
from perdure.infra.postgres.moves import Move, ShardMover, Step
from perdure.infra.redis.news import RedisNews
from perdure.infra.settings import Settings
from perdure.kernel.entropy import Entropy
from perdure.kernel.ids import ShardId
from perdure.kernel.news import News, NoNews

_NOBODY = "nobody"


def parse_range(text: str) -> list[ShardId]:
    """The shards of `FROM-TO`, both included, or of one number.

    Raises:
        ValueError: it is neither.
    """
    found = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
    if first > last:
        raise ValueError(f"{text!r} is not of the form FROM-TO, such as 0-127, or one number")
    return [ShardId(number) for number in range(first, last + 1)]


async def listing(dsns: Mapping[str, str]) -> list[str]:
    """A line for each range of shards that are in one database: which, and how many of them each member owns.

    Raises:
        StoreError: a database cannot be read.
    """
    databases = await PostgresDatabases.open(dsns)
    try:
        owners = {lease.shard: lease.owner for lease in (await PostgresShardStore(databases).leases()).known}
        addresses = await PostgresMembershipStore(databases).addresses()
        shards = [ShardId(number) for number in range(databases.shard_count)]

        def line(database: str, held: Sequence[ShardId]) -> str:
            owned = Counter(addresses.get(owner, owner) or _NOBODY for owner in (owners.get(s, "") for s in held))
            shown = ", ".join(f"{owner} {count}" for owner, count in sorted(owned.items()))
            return f"{held[0]}-{held[-1]}\t{database}\t{shown}"

        ranges = groupby(shards, lambda shard: databases.holding(shard).name)
        return [line(database, list(held)) for database, held in ranges]
    finally:
        await databases.close()


async def move(settings: Settings, shards: Sequence[ShardId], target: str) -> int:
    """Move those of the shards that are elsewhere to the target, print what is done, and return how many were moved.

    A signal ends it after the shard at hand.

    Raises:
        StoreError: a database cannot be used.
        BadDatabases: there is no such shard or database, or somebody else is at it.
    """
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)

    def show(step: Step, moved: Move) -> None:
        if step is Step.ARRIVED:
            print(f"shard {moved.shard}: {moved.source} to {moved.target}, {moved.pause_s * 1000:.0f} ms", flush=True)
        elif step is Step.UNDONE:
            print(f"shard {moved.shard}: an unfinished move to {moved.target} was undone", flush=True)

    async with maintenance(settings.databases) as at, _news(settings) as news:
        return await ShardMover(at, news, show).move(shards, target, stopping)


@asynccontextmanager
async def _news(settings: Settings) -> AsyncIterator[News]:
    if not settings.redis.url:
        yield NoNews()
        return
    entropy = Entropy()
    databases = await PostgresDatabases.open(settings.databases)
    try:
        cluster_id = await PostgresClusterStore(databases).identify(entropy.uuid())
    finally:
        await databases.close()
    news = RedisNews(settings.redis.url, cluster_id, entropy)
    news.start()
    try:
        yield news
    finally:
        await news.stop()
