"""What administrators do to a running cluster, one at a time, over connections of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import asyncpg

from perdure.infra.postgres import schema
from perdure.infra.postgres.failures import FAILURES, store_error
from perdure.infra.postgres.schema import BadDatabases

#: Held in the directory by whoever moves shards or copies them: "PRDM".
_LOCK = 0x5052444D
_UNLOCK_S_MAX = 2


class Busy(BadDatabases):
    """Somebody else is at it."""


class Maintenance:
    """Connections to all databases, and the lock. They are lost together: without the lock nothing can be switched."""

    def __init__(self, dsns: Mapping[str, str], connections: Mapping[str, asyncpg.Connection]) -> None:
        """Both by the names of the databases, the first of which is the directory."""
        self.dsns = dsns
        self.connections = connections
        self.directory_name = next(iter(dsns))
        self.directory = connections[self.directory_name]

    async def shard_map(self) -> dict[int, str]:
        return dict(await self.directory.fetch("SELECT shard, database FROM shard_map ORDER BY shard"))


@asynccontextmanager
async def maintenance(dsns: Mapping[str, str]) -> AsyncIterator[Maintenance]:
    """Connected to all databases, alone.

    Raises:
        Busy: somebody else is at it.
        BadDatabases: they do not belong together, or one that holds shards is not named.
        StoreUnavailable, StoreUnusable: a database cannot be reached, or refuses.
    """
    directory = next(iter(dsns))
    name = directory
    async with AsyncExitStack() as stack:
        try:
            connections: dict[str, asyncpg.Connection] = {}
            for name, dsn in dsns.items():
                connections[name] = connection = await asyncpg.connect(
                    dsn, server_settings={"application_name": "perdure admin", "jit": "off", "TimeZone": "UTC"}
                )
                stack.callback(connection.terminate)
                await schema.check(connection, name, schema.SHARDS)
            name = directory
            await schema.check(connections[directory], directory, schema.DIRECTORY)
            mark = await connections[directory].fetchval("SELECT mark FROM cluster")
            for name, connection in connections.items():
                await schema.check_origin(connection, name, mark)
            name = directory
            if not await connections[directory].fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
                raise Busy(
                    "shards are being moved, backed up or restored by somebody else: try again when that is done"
                )
            stack.push_async_callback(_unlock, connections[directory])
            found = Maintenance(dsns, connections)
            if unknown := set((await found.shard_map()).values()) - dsns.keys():
                raise BadDatabases(f"no address is given for database {', '.join(sorted(unknown))}, which holds shards")
            name = "of the cluster"
            yield found
        except FAILURES as error:
            raise store_error(name, error) from error


async def _unlock(connection: asyncpg.Connection) -> None:
    """The server notices a little late that a connection has ended: whoever is next is not to find it locked."""
    with suppress(*FAILURES):
        await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK, timeout=_UNLOCK_S_MAX)
