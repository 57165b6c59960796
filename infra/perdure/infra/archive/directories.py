"""Archives in directories. A file is there as a whole or not at all, also after a crash of the machine."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from tempfile import NamedTemporaryFile

from perdure.kernel.archive.places import Place
from perdure.kernel.archive.store import ArchiveFailed

#: What a crash has left of files that were never finished begins so.
_UNFINISHED = "."


class Directories:
    """Each place is one, and is made when something is put there."""

    async def put(self, place: Place, name: str, data: bytes) -> None:
        try:
            await asyncio.to_thread(_write, _path(place) / name, data)
        except OSError as error:
            raise _failed("written", error) from error

    async def get(self, place: Place, name: str) -> bytes | None:
        try:
            return await asyncio.to_thread((_path(place) / name).read_bytes)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _failed("read", error) from error

    async def names(self, place: Place, prefix: str, after: str, limit: int) -> Sequence[str]:
        def found() -> list[str]:
            return list(islice(_after(_path(place) / prefix, prefix, after), limit))

        try:
            return await asyncio.to_thread(found)
        except OSError as error:
            raise _failed("read", error) from error


def _path(place: Place) -> Path:
    return Path("/", *place.parts)


def _failed(what: str, error: OSError) -> ArchiveFailed:
    return ArchiveFailed(f"the directory of the archive cannot be {what}: {error.strerror or error}")


def _write(path: Path, data: bytes) -> None:
    _make(path.parent)
    with NamedTemporaryFile(dir=path.parent, prefix=_UNFINISHED, delete=False) as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
    _sync(path.parent)


def _make(directory: Path) -> None:
    if not directory.is_dir():
        _make(directory.parent)
        directory.mkdir(exist_ok=True)
        _sync(directory.parent)


def _sync(directory: Path) -> None:
    """What was made in a directory is not there for good before the directory is written too."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _after(directory: Path, prefix: str, after: str) -> Iterator[str]:
    """Names below a directory, in their order. What is before the cursor is not looked into."""
    try:
        with os.scandir(directory) as entries:
            present = sorted(
                (entry.name, entry.is_dir()) for entry in entries if not entry.name.startswith(_UNFINISHED)
            )
    except (FileNotFoundError, NotADirectoryError):
        return
    for name, is_directory in present:
        full = f"{prefix}{name}"
        if is_directory:
            inner = f"{full}/"
            if inner >= after or after.startswith(inner):
                yield from _after(directory / name, inner, after)
        elif full > after:
            yield full
