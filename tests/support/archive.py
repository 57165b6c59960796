"""An archive in memory that fails when it is told to."""

from __future__ import annotations

from collections.abc import Sequence

from perdure.kernel.archive.store import ArchiveFailed, NoArchive

URI = "file:///archive"


class MemoryArchive(NoArchive):
    default_uri = URI

    def __init__(self) -> None:
        self.files: dict[tuple[str, str], bytes] = {}
        #: Each name that something was written to, or was to be.
        self.asked: list[str] = []
        #: What names contain that cannot be written.
        self.broken: str | None = None

    def check(self, uri: str) -> None:
        assert uri

    async def put(self, uri: str, name: str, data: bytes) -> None:
        self.asked.append(name)
        if self.broken is not None and self.broken in name:
            raise ArchiveFailed("the disk is full")
        self.files[uri, name] = data

    async def get(self, uri: str, name: str) -> bytes | None:
        if self.broken is not None and self.broken in name:
            raise ArchiveFailed("the disk is gone")
        return self.files.get((uri, name))

    async def names(self, uri: str, prefix: str, after: str, limit: int) -> Sequence[str]:
        return sorted(name for at, name in self.files if at == uri and name.startswith(prefix) and name > after)[:limit]
