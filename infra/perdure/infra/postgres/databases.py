"""The databases of a cluster, and the map that says which of them holds a shard.

The first database is also the *directory*: it keeps the map, and whatever there is one of in a cluster.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import asyncpg
import structlog

from perdure.infra.postgres import schema
from perdure.infra.postgres.database import Connections, Database
from perdure.infra.postgres.schema import BadDatabases
from perdure.kernel.ids import ShardId
from perdure.kernel.persistence.executions import StoreUnavailable, StoreUnusable

logger = structlog.get_logger(__name__)

_CLUSTER = "SELECT mark, shard_count FROM cluster"

_MAP = "SELECT shard, database FROM shard_map"

_DEPARTURES = "SELECT departures FROM origin"

#: What is asked of a database, and of which shards. Of others there may be rows too, which are on their way.
Question = Callable[[asyncpg.Connection, Sequence[ShardId]], Awaitable[Sequence[asyncpg.Record]]]


class _Cluster(NamedTuple):
    mark: object
    shard_count: int


class PostgresDatabases:
    """Belongs to one event loop; the stores of this package share it."""

    def __init__(self, dsns: Mapping[str, str]) -> None:
        """DSNs by the names that the cluster knows the databases by; the first is the directory's."""
        self._by_name = {name: Database(name, dsn) for name, dsn in dsns.items()}
        self._of_shard: dict[ShardId, Database] = {}
        self._held: dict[str, list[ShardId]] = {}
        #: What says that databases belong together, and which of them are known to.
        self._mark: object = None
        self._checked: set[str] = set()
        #: Databases that hold shards and of which we have no address.
        self._nameless: set[str] = set()
        #: Per database, how many shards had left it when we looked, before the map was read.
        self._departures: dict[str, int] = {}
        self.directory = next(iter(self._by_name.values()))
        self.shard_count = 0

    @classmethod
    async def open(cls, dsns: Mapping[str, str], *, all_there: bool = True) -> PostgresDatabases:
        """Look at all databases and read the map. Unless they must be `all_there`, the directory is enough to begin.

        Raises:
            StoreUnavailable: a database cannot be reached.
            StoreUnusable: its schema is not what this version knows.
            BadDatabases: they do not belong together, or one that holds shards is not named.
        """
        databases = cls(dsns)
        try:
            await databases._check(all_there)
            await databases.refresh()
            databases._require_addresses()
        except BaseException:
            await databases.close()
            raise
        return databases

    async def close(self) -> None:
        for database in self:
            await database.close()

    def __iter__(self) -> Iterator[Database]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def holding(self, shard: ShardId) -> Database:
        """The database that holds the shard, as far as we know.

        A map that is out of date does no harm: a database refuses writes to a shard that it has lost, and who then
        takes the shard again has looked at the map first.
        """
        return self._of_shard[shard]

    def held_by(self, name: str) -> Sequence[ShardId]:
        """The shards of a database, as far as we know."""
        return self._held.get(name, [])

    async def check(self, database: Database) -> None:
        """See, once, that a database is what this version knows, and belongs to this cluster.

        Raises:
            StoreUnavailable, StoreUnusable, BadDatabases: as `open`.
        """
        if database.name in self._checked:
            return

        async def look(connection: asyncpg.Connection) -> None:
            await schema.check(connection, database.name, schema.SHARDS)
            await schema.check_origin(connection, database.name, self._mark)

        await database.reads.run(look)
        self._checked.add(database.name)

    async def ask_all(
        self, connections: Callable[[Database], Connections], question: Question
    ) -> list[Sequence[asyncpg.Record]]:
        """What every database answers about the shards that it holds: no shard is left out or asked for twice.

        A shard is written to in its old database until the map names the new one, and in the new one only when the old
        one has noted that it has gone. So an answer is whole if no shard had gone by then that the map knew there.

        Raises:
            StoreUnavailable, StoreUnusable: one of them cannot be read.
        """

        async def ask(database: Database, shards: Sequence[ShardId]) -> tuple[Sequence[asyncpg.Record], int]:
            async def both(connection: asyncpg.Connection) -> tuple[Sequence[asyncpg.Record], int]:
                rows = await question(connection, shards)
                return rows, await connection.fetchval(_DEPARTURES)

            return await connections(database).run(both)

        while True:
            held, known = self._held, self._departures
            answers = await asyncio.gather(*(ask(database, held.get(database.name, [])) for database in self))
            departures = {database.name: gone for database, (_, gone) in zip(self, answers, strict=True)}
            if departures == known:
                return [rows for rows, _ in answers]
            await self.refresh()
            self._require_addresses()
            self._departures = departures

    async def refresh(self) -> None:
        """Read the map again.

        Shards that have moved to a database of which we have no address stay where they were for us, which is where
        nobody can take them: the others are served as before.

        Raises:
            StoreUnavailable, StoreUnusable: the directory cannot be read.
        """
        rows = await self.directory.reads.run(lambda connection: connection.fetch(_MAP))
        nameless = {name for _, name in rows} - self._by_name.keys()
        if nameless - self._nameless:
            logger.error("no address is given for a database that holds shards", databases=sorted(nameless))
        self._nameless = nameless
        self._of_shard |= {ShardId(shard): self._by_name[name] for shard, name in rows if name not in nameless}
        self._held = {}
        for shard, name in rows:
            self._held.setdefault(name, []).append(ShardId(shard))

    def _require_addresses(self) -> None:
        """Raises BadDatabases if a database that holds shards is not among ours."""
        if self._nameless:
            names = ", ".join(sorted(self._nameless))
            raise BadDatabases(f"no address is given for database {names}, which holds shards")

    async def _check(self, all_there: bool) -> None:
        async def look(connection: asyncpg.Connection) -> _Cluster:
            await schema.check(connection, self.directory.name, schema.DIRECTORY)
            row = await connection.fetchrow(_CLUSTER)
            if row is None:
                raise BadDatabases(
                    f"database {self.directory.name} has no cluster yet: run `perdure admin migrate` first"
                )
            return _Cluster(*row)

        cluster = await self.directory.reads.run(look)
        self.shard_count = cluster.shard_count
        self._mark = cluster.mark
        for database in self:
            try:
                await self.check(database)
            except StoreUnavailable as error:
                if all_there or isinstance(error, StoreUnusable):
                    raise
                logger.warning("a database cannot be reached", database=database.name, error=str(error))
