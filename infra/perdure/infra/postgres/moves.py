"""Shards move from one database to another while the cluster runs.

Of each shard, while its owner goes on: copy what differs, over and over, until little does. Then, with writes to this
one shard refused:

    FENCED      the old database has a new epoch, whose owner nobody is
    CAUGHT_UP   the rest is copied, and the new database has a row for the shard too, with that epoch
    SWITCHED    the map names the new database
    DEPARTED    the old database has no row for the shard any more, and its count of departures is one more
    ARRIVED     whoever wants the shard can take it, in the new database

Lists are right throughout: between SWITCHED and DEPARTED both databases have the same and nobody writes to either;
whoever looks with an old map after that sees from the count that it is old. The old rows are deleted at the end.

The mover may end anywhere. Before SWITCHED the old database has the truth, after it the new one, and the table `moves`
says where there is something to be finished or undone, which the next mover does first. What ends between FENCED and
ARRIVED leaves a shard that belongs to nobody until then.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from enum import StrEnum
from typing import NamedTuple

import asyncpg

from perdure.infra.postgres.maintenance import Maintenance
from perdure.infra.postgres.schema import SHARD_TABLES, BadDatabases
from perdure.infra.postgres.shards import MOVER
from perdure.kernel.ids import ShardId
from perdure.kernel.news import News, Topic

#: Runs that may still differ when writes are stopped, and how often we copy before that at most.
_REST_MAX = 50
_ROUNDS_MAX = 5
#: How long earlier owners have to notice that they have lost their shards, before the old rows go.
FAREWELL_S_MAX = 10.0
_LOOK_S = 0.1
#: Pieces of a copy between the two connections.
_PIECES_MAX = 16

_STALE = """
    CREATE TEMPORARY TABLE IF NOT EXISTS stale (
        namespace_id text COLLATE "C", run_id text COLLATE "C", workflow_id text COLLATE "C", kind smallint,
        copied bigint, gone boolean)
    ON COMMIT DELETE ROWS"""

_HEADS = "SELECT namespace_id, run_id, workflow_id, kind, sequence, quarantined FROM heads WHERE shard = $1"

_SAME_RUN = "(t.namespace_id, t.run_id, t.workflow_id, t.kind) = (s.namespace_id, s.run_id, s.workflow_id, s.kind)"
_SAME_WORKFLOW = "(t.namespace_id, t.workflow_id, t.kind) IN (SELECT namespace_id, workflow_id, kind FROM stale)"

#: A run's rows that change with its head, the journal, which only grows, what changes in the present hour only, mostly,
#: and what there is little of.
_REPLACED = ("heads", "snapshots", "visibility", "search_attributes")
_HOURLY = ("usage", "storage")
_WHOLE = ("quarantine",)

#: Hours whose rows have the same one are the same: a hash of each row, added up.
_DIGESTS = "SELECT hour, sum(hashtextextended({table}::text, 0)) FROM {table} WHERE shard = $1 GROUP BY hour"

_OWNER = "SELECT owner FROM shards WHERE shard = $1"
_FENCE = "UPDATE shards SET epoch = epoch + 1, owner = $2 WHERE shard = $1 RETURNING epoch"
_LEAVE_UNFENCED = "UPDATE shards SET owner = '' WHERE shard = $1 AND owner = $2"
_ARRIVE = """
    INSERT INTO shards (shard, epoch, owner) VALUES ($1, $2, $3)
    ON CONFLICT (shard) DO UPDATE SET epoch = excluded.epoch, owner = excluded.owner"""
_FORGET = "DELETE FROM shards WHERE shard = $1 AND owner = $2"
_DEPART = """
    WITH gone AS (DELETE FROM shards WHERE shard = $1 AND owner = $2 RETURNING shard)
    UPDATE origin SET departures = departures + 1 WHERE EXISTS (SELECT FROM gone)"""


class Step(StrEnum):
    """What has just been done with a shard."""

    COPIED = "copied"
    FENCED = "fenced"
    CAUGHT_UP = "caught up"
    SWITCHED = "switched"
    DEPARTED = "departed"
    ARRIVED = "arrived"
    CLEANED = "cleaned"
    UNDONE = "undone"


class Move(NamedTuple):
    """`pause_s` is for how long the shard could not be taken by anybody."""

    shard: ShardId
    source: str
    target: str
    had_owner: bool = True
    pause_s: float = 0.0


#: Is told of every step.
Progress = Callable[[Step, Move], None]


class ShardMover:
    def __init__(self, at: Maintenance, news: News, progress: Progress) -> None:
        self._at = at
        self._news = news
        self._progress = progress

    async def move(self, shards: Sequence[ShardId], target: str, stopping: asyncio.Event) -> int:
        """Move those of the shards that are elsewhere, and say how many. First what was left unfinished is finished.

        Once `stopping` is set it ends after the shard at hand.

        Raises:
            BadDatabases: no such shard, or no such database.
        """
        held = await self._at.shard_map()
        if target not in self._at.connections:
            raise BadDatabases(f"there is no database {target}, but {', '.join(self._at.connections)}")
        if unknown := [shard for shard in shards if shard not in held]:
            raise BadDatabases(f"there is no shard {unknown[0]}: they are numbered from 0 to {max(held)}")
        arrived = await self._take_up(set(shards), target, held)
        moved = 0
        for shard in shards:
            if held[shard] == target or stopping.is_set():
                continue
            arrived.append(await self._move(Move(shard, held[shard], target)))
            moved += 1
        await self._clean_up(arrived)
        return moved

    async def _take_up(self, wanted: set[ShardId], target: str, held: dict[int, str]) -> list[Move]:
        """Finish what was switched, and undo what was not unless it is to go on.

        Returns moves of which only old rows are left.
        """
        arrived = []
        for row in await self._at.directory.fetch("SELECT shard, source, target FROM moves ORDER BY shard"):
            move = Move(ShardId(row[0]), row[1], row[2])
            if held[move.shard] == move.target:
                await self._arrive(move)
                arrived.append(move)
                continue
            await self._at.connections[move.target].execute(_FORGET, move.shard, MOVER)
            await self._at.connections[move.source].execute(_LEAVE_UNFENCED, move.shard, MOVER)
            self._news.tell(Topic.SHARDS)
            if move.shard not in wanted or move.target != target:
                await self._delete_rows(move.target, move.shard)
                await self._at.directory.execute("DELETE FROM moves WHERE shard = $1", move.shard)
                self._progress(Step.UNDONE, move)
        return arrived

    async def _move(self, move: Move) -> Move:
        shard, source, target = move.shard, self._at.connections[move.source], self._at.connections[move.target]
        is_new = await self._at.directory.fetchval(
            "INSERT INTO moves (shard, source, target) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING true",
            *move[:3],
        )
        if is_new:
            await self._delete_rows(move.target, shard)
        for connection in (source, target):
            await connection.execute(_STALE)
        for _ in range(_ROUNDS_MAX):
            if await _copy(shard, source, target) <= _REST_MAX:
                break
        self._progress(Step.COPIED, move)
        loop = asyncio.get_running_loop()
        began_at_s = loop.time()
        had_owner = bool(await source.fetchval(_OWNER, shard))
        epoch = await source.fetchval(_FENCE, shard, MOVER)
        self._progress(Step.FENCED, move)
        try:
            await _copy(shard, source, target)
            await target.execute(_ARRIVE, shard, epoch, MOVER)
            self._progress(Step.CAUGHT_UP, move)
        except Exception:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                # Or both would show the shard. Who is out of reach now is rid of it by the next mover.
                await target.execute(_FORGET, shard, MOVER)
            await source.execute(_LEAVE_UNFENCED, shard, MOVER)
            raise
        # If this fails the map may say either: the next mover looks.
        await self._at.directory.execute("UPDATE shard_map SET database = $2 WHERE shard = $1", shard, move.target)
        self._progress(Step.SWITCHED, move)
        await self._arrive(move)
        done = move._replace(had_owner=had_owner, pause_s=loop.time() - began_at_s)
        self._progress(Step.ARRIVED, done)
        return done

    async def _arrive(self, move: Move) -> None:
        await self._at.connections[move.source].execute(_DEPART, move.shard, MOVER)
        self._progress(Step.DEPARTED, move)
        await self._at.connections[move.target].execute(_LEAVE_UNFENCED, move.shard, MOVER)
        self._news.tell(Topic.SHARDS)

    async def _clean_up(self, moves: Sequence[Move]) -> None:
        """Delete the old rows, once earlier owners cannot read them any more."""
        # They notice by what they write, by news, or after a while; then somebody has taken the shard anew.
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_S_MAX):
                for move in moves:
                    if move.had_owner:
                        await self._taken(move)
        for move in moves:
            await self._delete_rows(move.source, move.shard)
            await self._at.directory.execute("DELETE FROM moves WHERE shard = $1", move.shard)
            self._progress(Step.CLEANED, move)

    async def _taken(self, move: Move) -> None:
        while True:
            if await self._at.connections[move.target].fetchval(_OWNER, move.shard):
                return
            await asyncio.sleep(_LOOK_S)

    async def _delete_rows(self, database: str, shard: ShardId) -> None:
        # Whoever has lost the lock may not know: the shard may have come back.
        await self._at.directory.execute("SELECT")
        for table in SHARD_TABLES:
            await self._at.connections[database].execute(
                f"DELETE FROM {table} WHERE shard = $1 AND NOT EXISTS (SELECT FROM shards WHERE shard = $1)", shard
            )


async def _copy(shard: ShardId, source: asyncpg.Connection, target: asyncpg.Connection) -> int:
    """Make the target have what the source has of a shard at this moment. Returns how many runs differed."""
    async with source.transaction(isolation="repeatable_read"), target.transaction():
        here, there = await _versions(source, shard), await _versions(target, shard)
        stale = [
            (*run, there[run].sequence if run in there else 0, False)
            for run, version in here.items()
            if there.get(run) != version
        ]
        stale += [(*run, 0, True) for run in there.keys() - here.keys()]
        for connection in (source, target):
            await connection.copy_records_to_table("stale", records=stale)
            await connection.execute("ANALYZE stale")
        of_shard = f"t.shard = {int(shard)}"
        for table in _REPLACED:
            await target.execute(f"DELETE FROM {table} t USING stale s WHERE {of_shard} AND {_SAME_RUN}")
        await target.execute(f"DELETE FROM journal t USING stale s WHERE {of_shard} AND gone AND {_SAME_RUN}")
        await target.execute(f"DELETE FROM current_runs t WHERE {of_shard} AND {_SAME_WORKFLOW}")
        for table in _WHOLE:
            await target.execute(f"DELETE FROM {table} t WHERE {of_shard}")
        for table in _REPLACED:
            await _pipe(
                source, f"SELECT t.* FROM {table} t JOIN stale s ON {_SAME_RUN} WHERE {of_shard}", target, table
            )
        added = f"SELECT t.* FROM journal t JOIN stale s ON {_SAME_RUN} AND t.sequence > s.copied WHERE {of_shard}"
        await _pipe(source, added, target, "journal")
        await _pipe(
            source, f"SELECT * FROM current_runs t WHERE {of_shard} AND {_SAME_WORKFLOW}", target, "current_runs"
        )
        for table in _WHOLE:
            await _pipe(source, f"SELECT * FROM {table} t WHERE {of_shard}", target, table)
        for table in _HOURLY:
            await _copy_hours(table, shard, source, target)
    return len(stale)


async def _copy_hours(table: str, shard: ShardId, source: asyncpg.Connection, target: asyncpg.Connection) -> None:
    digests = _DIGESTS.format(table=table)
    here, there = [dict(await each.fetch(digests, shard)) for each in (source, target)]
    differing = [hour for hour in here.keys() | there.keys() if here.get(hour) != there.get(hour)]
    if differing:
        of_hours = f"shard = {int(shard)} AND hour IN ({', '.join(map(str, sorted(differing)))})"
        await target.execute(f"DELETE FROM {table} WHERE {of_hours}")
        await _pipe(source, f"SELECT * FROM {table} WHERE {of_hours}", target, table)


class _Version(NamedTuple):
    """Two copies of a run with the same one are the same."""

    sequence: int
    quarantined: bool


async def _versions(connection: asyncpg.Connection, shard: ShardId) -> dict[tuple[str, str, str, int], _Version]:
    return {tuple(row[:4]): _Version(*row[4:]) for row in await connection.fetch(_HEADS, shard)}


async def _pipe(source: asyncpg.Connection, query: str, target: asyncpg.Connection, table: str) -> None:
    """Copy rows without holding more than a few pieces of them."""
    pieces: asyncio.Queue[bytes | None] = asyncio.Queue(_PIECES_MAX)

    async def read() -> None:
        await source.copy_from_query(query, output=pieces.put, format="binary")
        await pieces.put(None)

    async def arriving() -> AsyncIterator[bytes]:
        while (piece := await pieces.get()) is not None:
            yield piece

    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(read())
            both.create_task(target.copy_to_table(table, source=arriving(), format="binary"))
    except* Exception as errors:
        first = errors.exceptions[0]
    else:
        return
    raise first
