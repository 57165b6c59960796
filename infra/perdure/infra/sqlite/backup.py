"""A backup of an SQLite database, taken while a server uses it: another database file, as of one instant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import apsw

from perdure.infra.sqlite.database import DatabaseUnusable, refuse_unknown


def refuse_other(path: Path) -> None:
    """Raises DatabaseUnusable: it is not the data of `perdure dev`, or of a newer one."""
    refuse_unknown(path, may_be_empty=False)


def copy(source: Path, target: Path, refuse: Callable[[Path], None] = refuse_other) -> None:
    """Copy a Perdure database to a file that does not exist, in one go: its server reads and writes on meanwhile.

    Whatever was acknowledged before the call is in it. The server's lock is not needed. The copy is whole: SQLite has
    looked through it. `refuse` raises DatabaseUnusable for what is no such database.

    Raises:
        DatabaseUnusable: the source is not there, or is not such a database, or is damaged.
        OSError, apsw.Error: a file cannot be read or written.
    """
    if not source.exists():
        raise DatabaseUnusable(f"there is no {source}")
    try:
        refuse(source)
        reading, writing = apsw.Connection(str(source)), apsw.Connection(str(target))
        try:
            # In steps it would begin anew whenever the server has written.
            with writing.backup("main", reading, "main") as whole:
                whole.step(-1)
            # A file of its own, without a log beside it.
            writing.execute("PRAGMA journal_mode = DELETE")
            if (found := writing.execute("PRAGMA quick_check").get) != "ok":
                raise DatabaseUnusable(f"{source} is damaged: {found}")
        finally:
            writing.close()
            reading.close()
    except apsw.NotADBError:
        raise DatabaseUnusable(f"{source} is not a database") from None
