"""The control plane's database: SQLite for one process, Postgres for several."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine

from perdure.api.data.transaction import Transaction
from perdure.kernel.persistence.executions import StoreError

_MIGRATIONS = Path(__file__).with_name("migrations")
_BUSY_MS = 5_000
_POOL_SIZE = 8
#: How long Postgres may take to let us in, and to answer a statement. Whoever is silent for longer is away.
_CONNECT_S_MAX = 3.0
_ANSWER_S_MAX = 5.0
#: Errors of Postgres after which the same transaction may succeed: serialization failure, deadlock.
_LOST_RACES = ("40001", "40P01")
#: For who only reads (nobody loses a race to him, nor he to anybody), and for who decides by what he writes to.
_SNAPSHOT = "REPEATABLE READ"
#: Between tries. Whoever has lost a race comes back when those who have won it are done.
_PAUSES_S = (0.0, 0.005, 0.02, 0.08, 0.3)

_T = TypeVar("_T")

_log = structlog.get_logger("perdure.api")


class UnknownSchema(StoreError):
    """The database has another schema than this server knows. The message says what to do."""


class LostRace(StoreError):
    """Somebody else was faster. The transaction may be tried again, from its beginning."""


async def persist(attempt: Callable[[], Awaitable[_T]]) -> _T:
    """Do it, and anew from the beginning whenever it has lost a race. Raises LostRace: it has lost several."""
    for pause_s in _PAUSES_S:
        try:
            return await attempt()
        except LostRace:
            await asyncio.sleep(pause_s)
    return await attempt()


class ControlDatabase:
    """Transactions that are as if one came after the other. `open` and `aclose` are each called once."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Not connected yet, and its schema not looked at: the first transaction does that."""
        self._engine = engine
        self._is_known = False
        self._sessions = async_sessionmaker(engine, expire_on_commit=False, autoflush=False)
        # SQLite has one writer; those who wait do so here, instead of trying again and again.
        self._is_embedded = engine.dialect.name == "sqlite"
        self._writer: Any = asyncio.Lock() if self._is_embedded else nullcontext()

    @classmethod
    async def open(cls, url: str, *, migrate: bool = False) -> ControlDatabase:
        """`url` is `sqlite:///PATH` or `postgresql://...`. With `migrate` the schema is made, or renewed.

        Raises:
            UnknownSchema: it has another one.
            StoreError: the database cannot be used.
        """
        database = cls(_engine(url, answer_s=None if migrate else _ANSWER_S_MAX))
        try:
            await database._look_at(_migrate if migrate else _check)
        except BaseException:
            await database.aclose()
            raise
        return database

    @classmethod
    async def expect(cls, url: str) -> ControlDatabase:
        """As `open`, but it need not be there yet. Until it is, transactions raise StoreError.

        Raises:
            UnknownSchema: it is there, and has another one.
        """
        database = cls(_engine(url))
        try:
            await database._look_at(_check)
        except UnknownSchema:
            await database.aclose()
            raise
        except StoreError as error:
            _log.warning("nobody is let in until it answers", error=str(error))
        return database

    async def _look_at(self, schema: Callable[[Connection], None]) -> None:
        try:
            async with self._engine.begin() as connection:
                await connection.run_sync(schema)
        except (SQLAlchemyError, OSError) as error:
            raise StoreError(f"the control plane's database cannot be used: {_reason(error)}") from error
        self._is_known = True

    @staticmethod
    async def schema(url: str) -> str:
        """The number of its schema, empty if it has none.

        Raises:
            StoreError: the database cannot be used.
        """
        engine = _engine(url)
        try:
            async with engine.connect() as connection:
                return await connection.run_sync(_revision) or ""
        except (SQLAlchemyError, OSError) as error:
            raise StoreError(f"the control plane's database cannot be used: {_reason(error)}") from error
        finally:
            await engine.dispose()

    async def aclose(self) -> None:
        await self._engine.dispose()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        """What is read is of one instant.

        Raises:
            StoreError: the database cannot be used.
        """
        async with self._transaction(_SNAPSHOT) as transaction:
            yield transaction

    @asynccontextmanager
    async def writing(self, *, serial: bool = True) -> AsyncIterator[Transaction]:
        """Committed when the block ends, undone if it raises.

        What is not `serial` loses a race only to who writes to the same rows, and makes nobody lose one who does not.
        It is for what decides by nothing but the rows that it writes to.

        Raises:
            LostRace: it was undone for the sake of another.
            StoreError: the database cannot be used, and it is not known whether it was committed.
        """
        async with self._writer, self._transaction(None if serial else _SNAPSHOT) as transaction:
            yield transaction
            await transaction.finish()

    async def write(self, work: Callable[[Transaction], Awaitable[_T]]) -> _T:
        """Do it in a transaction, and anew from the beginning whenever that has lost a race.

        Raises:
            LostRace: it has lost several.
            StoreError: the database cannot be used, and it is not known whether it was committed.
        """

        async def attempt() -> _T:
            async with self.writing() as transaction:
                return await work(transaction)

        return await persist(attempt)

    @asynccontextmanager
    async def _transaction(self, isolation: str | None = None) -> AsyncIterator[Transaction]:
        if not self._is_known:
            await self._look_at(_check)
        try:
            async with self._sessions() as session, session.begin():
                if isolation and not self._is_embedded:
                    await session.connection(execution_options={"isolation_level": isolation})
                yield Transaction(session)
        except IntegrityError as error:
            raise LostRace(_reason(error)) from error
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", "") in _LOST_RACES:
                raise LostRace(_reason(error)) from error
            raise StoreError(_reason(error)) from error
        except (SQLAlchemyError, OSError) as error:
            raise StoreError(_reason(error)) from error


def _engine(url: str, answer_s: float | None = _ANSWER_S_MAX) -> AsyncEngine:
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite":
        engine = create_async_engine(f"sqlite+aiosqlite://{rest}")
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        return engine
    return create_async_engine(
        f"postgresql+asyncpg://{rest}",
        isolation_level="SERIALIZABLE",
        pool_size=_POOL_SIZE,
        pool_pre_ping=True,
        connect_args={"timeout": _CONNECT_S_MAX, "command_timeout": answer_s},
    )


def _prepare_sqlite(connection: Any, _: object) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={_BUSY_MS}", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def _migrate(connection: Connection) -> None:
    config = _config(connection)
    _refuse_newer(connection, config)
    command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _check(connection: Connection) -> None:
    config = _config(connection)
    _refuse_newer(connection, config)
    wanted = ScriptDirectory.from_config(config).get_current_head()
    found = _revision(connection)
    if found != wanted:
        raise UnknownSchema(
            f"the control plane's database has schema {found or 'none'}, this server needs {wanted}: "
            "run 'perdure admin migrate'"
        )


def _refuse_newer(connection: Connection, config: Config) -> None:
    found = _revision(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise UnknownSchema(f"the control plane's database has schema {found}, which is newer than this server")


def _reason(error: BaseException) -> str:
    """One line, without the statement and its parameters."""
    original = getattr(error, "orig", None) or error
    return str(original).splitlines()[0] if str(original) else type(original).__name__
