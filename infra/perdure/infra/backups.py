"""`perdure admin backup` and `restore`: the files, and who fills and reads them."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import apsw

from perdure.infra.options import CONTROL_PLANE_FILE
from perdure.infra.postgres import backup as postgres
from perdure.infra.postgres.maintenance import maintenance
from perdure.infra.private_files import make_private
from perdure.infra.sqlite import backup as sqlite
from perdure.kernel.persistence.executions import StoreError


class BackupFailed(StoreError):
    """The message is one line, for the operator."""


class Amounts(NamedTuple):
    """What is in a backup: runs, and resources of the control plane, None if it is without one."""

    runs: int
    resources: int | None


async def back_up_cluster(dsns: Mapping[str, str], path: Path, control_plane: str | None = None) -> Amounts:
    """What is in the new file. `control_plane` is the address of its database, if there is one.

    Raises:
        StoreError: the databases cannot be read, or the file cannot be written.
    """
    resources = None
    with _new(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        async with maintenance(dsns) as at:
            runs = await postgres.back_up(at, archive)
        if control_plane is not None:
            # Later than the rest: namespaces that it knows and the rest does not can be made again, and are empty.
            resources = await _control_planes().back_up(control_plane, archive)
    return Amounts(runs, resources)


async def restore_cluster(dsns: Mapping[str, str], path: Path, control_plane: str | None = None) -> Amounts:
    """What was in the file. `control_plane` is the address of its database, if it is to be filled too.

    Raises:
        StoreError: the file is no whole backup, or the databases cannot be filled from it.
    """
    resources = None
    try:
        with zipfile.ZipFile(path) as archive:
            if control_plane is not None:
                await _control_planes().check(control_plane, archive)
            async with maintenance(dsns) as at:
                runs = await postgres.restore(at, archive)
            if control_plane is not None:
                resources = await _control_planes().restore(control_plane, archive)
        return Amounts(runs, resources)
    except (OSError, zipfile.BadZipFile) as error:
        raise BackupFailed(f"{path}: {error}") from error


async def back_up_file(database: Path, path: Path, secure: Path | None = None) -> None:
    """With the directory `secure`, the control plane in it too, beside the new file.

    Raises:
        StoreError: a database cannot be read or a file cannot be written.
    """
    with _new(path) as partial:
        sqlite.copy(database, partial)
        if secure is not None:
            # Later than the rest, as in a cluster.
            with _new(beside(path)) as control_plane:
                sqlite.copy(secure / CONTROL_PLANE_FILE, control_plane, _control_planes().refuse_other)


async def restore_file(database: Path, path: Path, secure: Path | None = None) -> None:
    """Make the database from a backup, which stays as it is.

    Raises:
        StoreError: the file is no backup, or there is a database already.
    """
    # The backup of a backup is what it was made of.
    with _new(database) as partial:
        sqlite.copy(path, partial)
        if secure is not None:
            with _new(secure / CONTROL_PLANE_FILE) as control_plane:
                sqlite.copy(beside(path), control_plane, _control_planes().refuse_other)


def beside(path: Path) -> Path:
    """Where the control plane of `perdure dev --secure` is whose data is backed up to this file."""
    return path.with_name(f"{path.name}.control-plane")


def _control_planes() -> ModuleType:
    # Late, because it loads a lot that servers without tenants do without.
    from perdure.infra.tenancy import backup

    return backup


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
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
        make_private(partial)
        yield partial
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.rename(path)
    except (OSError, apsw.Error) as error:
        raise BackupFailed(f"{path}: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
