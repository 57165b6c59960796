"""Holds the files of archives. Drivers live in `perdure.infra.archive`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from perdure.kernel.errors import InvalidArgument


class ArchiveFailed(Exception):
    """An archive could not be written or read. The message is for operators; trying again may help."""


class ArchiveStore(Protocol):
    """Files by their names, which are paths with slashes, in places that whoever runs the installation allows.

    Every method but `check` raises ArchiveFailed, and does so too for a URI that is not allowed (any more).
    """

    @property
    def default_uri(self) -> str:
        """Where namespaces that name no place have their archive; empty if this installation has none at all."""
        ...

    @property
    def by_default(self) -> bool:
        """Whether new namespaces that do not say have an archive."""
        ...

    def check(self, uri: str) -> None:
        """Raises InvalidArgument: it is no URI, or none that namespaces may use."""
        ...

    async def put(self, uri: str, name: str, data: bytes) -> None:
        """Return when the file is there to stay; it replaces one of the same name."""
        ...

    async def get(self, uri: str, name: str) -> bytes | None:
        """The file, None if there is none."""
        ...

    async def names(self, uri: str, prefix: str, after: str, limit: int) -> Sequence[str]:
        """Names with this prefix, which ends with a slash, ordered as text, strictly after the cursor. Fewer than
        `limit` at the end only. All have the same number of slashes.
        """
        ...


class NoArchive:
    """Of an installation that has none."""

    default_uri = ""
    by_default = False

    def check(self, uri: str) -> None:
        raise InvalidArgument("This installation has no archive.")

    async def put(self, uri: str, name: str, data: bytes) -> None:
        raise ArchiveFailed("this installation has no archive")

    async def get(self, uri: str, name: str) -> bytes | None:
        raise ArchiveFailed("this installation has no archive")

    async def names(self, uri: str, prefix: str, after: str, limit: int) -> Sequence[str]:
        raise ArchiveFailed("this installation has no archive")
