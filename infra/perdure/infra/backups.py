"""`perdure admin backup` and `restore`: the files, and who fills and reads them."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import apsw

from perdure.infra.postgres import backup as postgres
from perdure.infra.postgres.maintenance import maintenance
from perdure.infra.sqlite import backup as sqlite
from perdure.kernel.persistence.executions import StoreError


class BackupFailed(StoreError):
    """The message is one line, for the operator."""


async def back_up_cluster(dsns: Mapping[str, str], path: Path) -> int:
    """Returns how many runs are in the new file.

    Raises:
        StoreError: the databases cannot be read, or the file cannot be written.
    """
    with _new(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        async with maintenance(dsns) as at:
            runs = await postgres.back_up(at, archive)
    return runs


async def restore_cluster(dsns: Mapping[str, str], path: Path) -> int:
    """Returns how many runs were in the file.

    Raises:
        StoreError: the file is no whole backup, or the databases cannot be filled from it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            async with maintenance(dsns) as at:
                return await postgres.restore(at, archive)
    except (OSError, zipfile.BadZipFile) as error:
        raise BackupFailed(f"{path}: {error}") from error


async def back_up_file(database: Path, path: Path) -> None:
    """Raises StoreError if the database cannot be read or the file cannot be written."""
    with _new(path) as partial:
        sqlite.copy(database, partial)


async def restore_file(database: Path, path: Path) -> None:
    """Make the database from a backup, which stays as it is.

    Raises:
        StoreError: the file is no backup, or there is a database already.
    """
    # The backup of a backup is what it was made of.
    with _new(database) as partial:
        sqlite.copy(path, partial)


@contextmanager
def _new(path: Path) -> Iterator[Path]:
    """A file to be written, which gets its name when it is complete.

    Raises:
        BackupFailed: there is one, or this one could not be written.
    """
    if path.exists():
        raise BackupFailed(f"{path} exists already")
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        yield partial
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.rename(path)
    except (OSError, apsw.Error) as error:
        raise BackupFailed(f"{path}: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
