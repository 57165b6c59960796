"""One Postgres database and our connections to it.

Every operation has a time limit, so that nobody waits for ever for a server that is gone without a word. A connection
whose operation ran out of time, or was left in the middle of a transaction, is closed; others are made as needed, which
is all that recovering from a restart of Postgres takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import TypeVar

import asyncpg

from perdure.infra.postgres.failures import FAILURES, spoils_connection, store_error
from perdure.kernel.metrics import Family, Histogram, Kind, Sample
from perdure.kernel.persistence.executions import StoreUnavailable

T = TypeVar("T")

#: Of a whole operation, waiting for a free connection and making it included.
OPERATION_S_MAX = 20.0
#: Of a statement, on the server.
STATEMENT_S_MAX = 15
#: How often the server looks, while it works on a statement, whether we still wait for it.
CHECK_S = 1
#: Of silence in the middle of a transaction: who has been stopped there must not keep others from its shards for long.
SILENCE_S_MAX = 2
CONNECT_S_MAX = 5.0
#: Connections to one database, by what they are for.
READERS_MAX = 4
SCANNERS_MAX = 4

_ALWAYS = {
    "application_name": "perdure",
    "statement_timeout": f"{STATEMENT_S_MAX}s",
    "client_connection_check_interval": f"{CHECK_S}s",
    "idle_in_transaction_session_timeout": f"{SILENCE_S_MAX}s",
    "jit": "off",
    "TimeZone": "UTC",
}

#: Statements by key. There is one good plan for each of them, by its index, on an empty and on a full database: it is
#: made once, whatever the statistics say.
BY_KEY = {
    **_ALWAYS,
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}

#: Statements that callers compose: planned for their values.
AD_HOC = {**_ALWAYS, "plan_cache_mode": "force_custom_plan"}


_BY_USE = ("database", "operation")
REQUESTS = Family(
    "persistence_requests",
    Kind.COUNTER,
    "Operations on a database, by what they are for: write, read, scan (lists), claim (shards), beat.",
    _BY_USE,
    "persistence_requests",
)
ERRORS = Family(
    "persistence_errors",
    Kind.COUNTER,
    "Operations that failed.",
    _BY_USE,
    "persistence_errors, persistence_error_with_type",
)
LATENCY = Family(
    "persistence_latency_seconds",
    Kind.HISTOGRAM,
    "How long operations took, waiting for a connection included.",
    _BY_USE,
    "persistence_latency, visibility_persistence_latency",
)

FAMILIES = (REQUESTS, ERRORS, LATENCY)


class Connections:
    """Connections with the same settings, at most so many, made when they are needed."""

    def __init__(
        self, database: str, dsn: str, settings: Mapping[str, str], limit: int, *, commits: bool = True
    ) -> None:
        """`commits`: what is done on them may be a commit, which is never cancelled on the server."""
        #: How long operations took, those included that failed, and how many failed.
        self.latency = Histogram()
        self.failures = 0
        self._database = database
        self._dsn = dsn
        self._settings = dict(settings)
        self._commits = commits
        self._free = asyncio.Semaphore(limit)
        self._idle: list[asyncpg.Connection] = []
        self._is_closed = False

    async def run(self, operation: Callable[[asyncpg.Connection], Awaitable[T]], within_s: float | None = None) -> T:
        """Run an operation on a connection that is its own meanwhile, within `OPERATION_S_MAX` or what is given.

        Raises:
            StoreUnavailable: there is no answer; whether a write has happened is unknown.
            StoreUnusable: the server refuses for good.
        """
        connection: asyncpg.Connection | None = None
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        within_s = within_s or OPERATION_S_MAX
        try:
            async with asyncio.timeout(within_s), self._free:
                connection = await self._take()
                try:
                    return await operation(connection)
                except asyncio.CancelledError:
                    if self._commits:
                        # The server would then show a commit that waits for its replica.
                        connection.terminate()
                    raise
                finally:
                    self._give_back(connection)
        except TimeoutError:
            self.failures += 1
            if connection is not None:
                self._discard(connection)
            raise StoreUnavailable(f"database {self._database}: no answer within {within_s:g} s") from None
        except FAILURES as error:
            self.failures += 1
            if connection is not None and spoils_connection(error):
                self._discard(connection)
            raise store_error(self._database, error) from error
        finally:
            self.latency.observe(loop.time() - began_s)

    async def close(self) -> None:
        """Close all of them, those in use when they are given back."""
        self._is_closed = True
        while self._idle:
            connection = self._idle.pop()
            with suppress(TimeoutError, *FAILURES):
                await connection.close(timeout=CONNECT_S_MAX)

    async def _take(self) -> asyncpg.Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        return await asyncpg.connect(
            self._dsn,
            timeout=CONNECT_S_MAX,
            # After a fail-over an address may lead to the old primary still, which has not all that was acknowledged.
            target_session_attrs="read-write",
            server_settings=self._settings,
            # However old and long they are; of those that callers compose the oldest go.
            max_cached_statement_lifetime=0,
            max_cacheable_statement_size=0,
        )

    def _give_back(self, connection: asyncpg.Connection) -> None:
        if connection.is_closed():
            return
        if self._is_closed or connection.is_in_transaction():
            connection.terminate()
            return
        self._idle.append(connection)

    def _discard(self, connection: asyncpg.Connection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)
        connection.terminate()


class Database:
    """A database by the name that the cluster knows it by."""

    def __init__(self, name: str, dsn: str) -> None:
        self.name = name
        self._dsn = dsn
        #: One connection: writes to a database take turns, in the order in which they were asked for.
        self.writes = Connections(name, dsn, BY_KEY, 1)
        self.reads = Connections(name, dsn, BY_KEY, READERS_MAX, commits=False)
        self.scans = Connections(name, dsn, AD_HOC, SCANNERS_MAX, commits=False)
        #: For taking shards, which may have to wait for writes of others, and for telling that we are alive, which must
        #: not have to wait for anything.
        self.claims = Connections(name, dsn, BY_KEY, 1)
        self.beats = Connections(name, dsn, BY_KEY, 1)
        self._by_use = {
            "write": self.writes,
            "read": self.reads,
            "scan": self.scans,
            "claim": self.claims,
            "beat": self.beats,
        }

    def samples(self) -> Iterable[Sample]:
        """What was counted on the connections."""
        for use, connections in self._by_use.items():
            labels = self.name, use
            yield Sample(REQUESTS, labels, connections.latency.count)
            yield Sample(ERRORS, labels, connections.failures)
            yield Sample(LATENCY, labels, connections.latency)

    async def close(self) -> None:
        for connections in self._by_use.values():
            await connections.close()
