"""One SQLite file: its connections, its single writer, its schema and its lock.

Who runs where:

* Writes build up their transaction on the event loop and hand only `COMMIT` to a thread, because only the wait for the
  disk is long. Measured against running whole transactions in the thread: that gives up the interpreter lock and queues
  for it again at every statement, which costs more than the statements do once the loop is busy.
* Point reads run on the event loop too, on a connection of their own: a look-up in a B-tree costs a few microseconds,
  a hop to a thread and back some fifty.
* Scans (visibility) run on a small pool of threads, a connection each.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

import apsw

from perdure.infra.private_files import make_private
from perdure.kernel.persistence.executions import StoreError, StoreUnavailable, StoreUnusable

T = TypeVar("T")

#: "PRDR", in the file's header: tells our databases from anybody else's.
APPLICATION_ID = 0x50524452
#: What stood there before the initial schema was changed in place, which is done until the first release.
PRE_RELEASE_IDS = (0x50455244,)
#: What may be otherwise at the next attempt: somebody lets go of the file, or gives the disk room.
_PASSING = (
    apsw.BusyError,
    apsw.CantOpenError,
    apsw.FullError,
    apsw.InterruptError,
    apsw.IOError,
    apsw.LockedError,
    apsw.NoMemError,
    apsw.ProtocolError,
    apsw.ReadOnlyError,
)
SCAN_THREADS_MAX = 2
#: Page cache of one connection; it grows with use only.
CACHE_KIB_MAX = 16 * 1024
#: Pages of write-ahead log after which a commit also moves them into the database file: 16 MiB.
CHECKPOINT_PAGES = 4096


class DatabaseUnusable(StoreError):
    """The file cannot be opened as a Perdure database. The message is one line, for the operator."""


class SqliteDatabase:
    """An open database. Belongs to one event loop; the stores of this package share it."""

    def __init__(self, path: Path, scratch: Path | None) -> None:
        self.path = path
        self._scratch = scratch
        # SQLite gives its files beside this one the same mode. Those of somebody else get no lock beside them either.
        make_private(path)
        refuse_unknown(path, may_be_empty=True)
        self._lock = _lock_file(path)
        self._writing = asyncio.Lock()
        self._commits: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        try:
            self._writer_connection = self._connect()
            _migrate(self._writer_connection)
            self._writer = self._writer_connection.cursor()
            self._reader = self._connect().cursor()
        except BaseException:
            self._lock.close()
            raise
        self._connections = [self._writer_connection, self._reader.connection]
        self._scans = threading.local()
        self._pool = ThreadPoolExecutor(SCAN_THREADS_MAX, thread_name_prefix="sqlite-scan")
        self._committer = threading.Thread(target=self._run_commits, name="sqlite-commit", daemon=True)
        self._committer.start()

    @classmethod
    def open(cls, path: Path | None) -> SqliteDatabase:
        """Open or create the database at `path`; None makes one that lives as long as this object, without fsync.

        Raises:
            DatabaseUnusable: in use by another server, unreadable, not a Perdure database, or from a newer Perdure or
                one from before the first release.
        """
        scratch = None
        if path is None:
            scratch = Path(tempfile.mkdtemp(prefix="perdure-"))
            path = scratch / "perdure.db"
        try:
            return cls(path, scratch)
        except apsw.NotADBError:
            raise DatabaseUnusable(f"{path} is not a database") from None
        except (apsw.Error, OSError) as error:
            raise DatabaseUnusable(f"cannot open database {path}: {error}") from error

    async def close(self) -> None:
        """Wait for the transaction under way, then let go of the file. An ephemeral database is deleted."""
        async with self._writing:
            self._commits.put(None)
            self._committer.join()
            self._pool.shutdown()
            for connection in reversed(self._connections):
                connection.close()
            self._lock.close()
            if self._scratch:
                shutil.rmtree(self._scratch, ignore_errors=True)

    async def transaction(self, statements: Callable[[apsw.Cursor], T]) -> T:
        """Run `statements` in one transaction and return once it is durable; what they raise rolls it back.

        The caller may be cancelled: a transaction whose commit has begun then still runs to its end.

        Raises:
            StoreUnavailable: the disk is full or failing; this process will not see any of the transaction.
            StoreUnusable: a statement does not fit this database, or the file is corrupt.
        """
        await self._writing.acquire()
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            result = statements(self._writer)
            if self._scratch:
                self._writer.execute("COMMIT")
        except BaseException as error:
            self._roll_back()
            self._writing.release()
            if isinstance(error, apsw.Error):
                raise self._unavailable(error) from error
            raise
        if self._scratch:  # Nothing to wait for: commits of an ephemeral database do not reach the disk.
            self._writing.release()
            return result
        loop = asyncio.get_running_loop()
        committed: asyncio.Future[None] = loop.create_future()
        self._commits.put(partial(self._commit, loop, committed))
        await committed
        return result

    @contextmanager
    def reading(self) -> Iterator[apsw.Cursor]:
        """A cursor for point reads on the event loop, each of its own moment. Read it to its end before any await.

        Raises:
            StoreUnavailable, StoreUnusable: as above, the database could not be read.
        """
        try:
            yield self._reader
        except apsw.Error as error:
            raise self._unavailable(error) from error

    @contextmanager
    def reading_consistently(self) -> Iterator[apsw.Cursor]:
        """Like `reading`, but all statements inside see one moment."""
        with self.reading() as cursor:
            cursor.execute("BEGIN")
            try:
                yield cursor
            finally:
                cursor.execute("COMMIT")

    async def scan(self, read: Callable[[apsw.Cursor], T]) -> T:
        """Run a long read in the pool.

        Raises:
            StoreUnavailable, StoreUnusable: as above.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, self._scan, read)
        except apsw.Error as error:
            raise self._unavailable(error) from error

    def _scan(self, read: Callable[[apsw.Cursor], T]) -> T:
        cursor: apsw.Cursor | None = getattr(self._scans, "cursor", None)
        if cursor is None:
            cursor = self._scans.cursor = self._connect().cursor()
            self._connections.append(cursor.connection)
        return read(cursor)

    def _connect(self) -> apsw.Connection:
        connection = apsw.Connection(str(self.path))
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'OFF' if self._scratch else 'FULL'}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB_MAX}")
        return connection

    def _run_commits(self) -> None:
        while commit := self._commits.get():
            commit()

    def _commit(self, loop: asyncio.AbstractEventLoop, committed: asyncio.Future[None]) -> None:
        failure = None
        try:
            self._writer.execute("COMMIT")
        except apsw.Error as error:
            self._roll_back()
            failure = error
        loop.call_soon_threadsafe(self._committed, committed, failure)

    def _committed(self, committed: asyncio.Future[None], error: apsw.Error | None) -> None:
        self._writing.release()
        if committed.cancelled():
            return
        if error is None:
            committed.set_result(None)
        else:
            committed.set_exception(self._unavailable(error))

    def _unavailable(self, error: apsw.Error) -> StoreUnavailable:
        kind = StoreUnavailable if isinstance(error, _PASSING) else StoreUnusable
        return kind(f"database {self.path}: {error}")

    def _roll_back(self) -> None:
        if self._writer_connection.in_transaction:
            self._writer.execute("ROLLBACK")


def _lock_file(path: Path) -> apsw.Connection:
    """Keep other servers away from this file, until the connection is closed or the process is gone.

    The lock is SQLite's own, on an empty database beside the file: it works wherever SQLite does, and leaves readers
    alone, such as the `sqlite3` shell.
    """
    beside = Path(f"{path}.lock")
    make_private(beside)
    lock = apsw.Connection(str(beside))
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except apsw.BusyError:
        lock.close()
        raise DatabaseUnusable(f"database {path} is in use by another server") from None
    return lock


def refuse_unknown(path: Path, *, may_be_empty: bool) -> None:
    """Look before anything is changed: the file may be somebody else's.

    Raises:
        DatabaseUnusable: it is, or is of a version that this one does not know.
    """
    connection = apsw.Connection(str(path))
    try:
        application_id, version = connection.pragma("application_id"), connection.pragma("user_version")
        is_empty = connection.execute("SELECT count(*) FROM sqlite_schema").get == 0
    finally:
        connection.close()
    if application_id in PRE_RELEASE_IDS:
        raise DatabaseUnusable(
            f"database {path} was written by a Perdure from before the first release, whose schema this one does not "
            "know: move the file away, or name another, and start afresh"
        )
    if application_id != APPLICATION_ID and not (is_empty and may_be_empty):
        raise DatabaseUnusable(f"{path} is not a Perdure database")
    known = len(_migrations())
    if version > known:
        raise DatabaseUnusable(
            f"database {path} was written by a newer Perdure (schema {version}, this one knows {known})"
        )


def _migrate(connection: apsw.Connection) -> None:
    """Bring the schema up to date, one transaction per migration; `PRAGMA user_version` is the number of the last."""
    version = connection.pragma("user_version")
    for number, migration in enumerate(_migrations()[version:], start=version + 1):
        with connection:
            connection.execute(migration.read_text(encoding="utf-8"))
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {number}")


def _migrations() -> list[Traversable]:
    directory = resources.files(__package__).joinpath("migrations")
    return sorted((file for file in directory.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
