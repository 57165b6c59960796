"""The archive of an installation: which places there are, and a driver for each sort of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from perdure.infra.archive.directories import Directories
from perdure.infra.archive.s3 import Buckets, S3Access
from perdure.kernel.archive import places
from perdure.kernel.archive.places import Place
from perdure.kernel.archive.store import ArchiveFailed
from perdure.kernel.clock import Clock
from perdure.kernel.errors import InvalidArgument


class _Driver(Protocol):
    async def put(self, place: Place, name: str, data: bytes) -> None: ...

    async def get(self, place: Place, name: str) -> bytes | None: ...

    async def names(self, place: Place, prefix: str, after: str, limit: int) -> Sequence[str]: ...


class Archive:
    """Implements `perdure.kernel.archive.store.ArchiveStore`. `aclose` is called once."""

    def __init__(
        self,
        uri: str,
        clock: Clock,
        also: Sequence[str] = (),
        s3: S3Access | None = None,
        *,
        by_default: bool = False,
    ) -> None:
        """`uri` is the default; namespaces may use what is below it, or below one of `also`. Without `s3` there are no
        buckets.

        Raises:
            InvalidArgument: one is no place for an archive, or is in a bucket and there are none.
        """
        self.default_uri = uri
        self.by_default = by_default
        self._allowed = [places.parse(each) for each in (uri, *also)]
        self._buckets = Buckets(s3, clock) if s3 is not None else None
        self._drivers: dict[str, _Driver] = {"file": Directories()}
        if self._buckets is not None:
            self._drivers["s3"] = self._buckets
        for place in self._allowed:
            if place.scheme not in self._drivers:
                raise InvalidArgument("For an archive in a bucket, credentials for S3 have to be set.")

    async def aclose(self) -> None:
        if self._buckets is not None:
            await self._buckets.aclose()

    def check(self, uri: str) -> None:
        """See `ArchiveStore.check`."""
        self._place(uri)

    async def put(self, uri: str, name: str, data: bytes) -> None:
        driver, place = self._find(uri)
        await driver.put(place, name, data)

    async def get(self, uri: str, name: str) -> bytes | None:
        driver, place = self._find(uri)
        return await driver.get(place, name)

    async def names(self, uri: str, prefix: str, after: str, limit: int) -> Sequence[str]:
        driver, place = self._find(uri)
        return await driver.names(place, prefix, after, limit)

    def _place(self, uri: str) -> Place:
        place = places.parse(uri)
        if not any(place.is_below(allowed) for allowed in self._allowed):
            raise InvalidArgument(
                f"Archival URI {uri!r} is invalid: it is not below one that this installation allows."
            )
        return place

    def _find(self, uri: str) -> tuple[_Driver, Place]:
        try:
            place = self._place(uri)
        except InvalidArgument as error:
            # It was allowed once, when the namespace was given it.
            raise ArchiveFailed(error.message) from None
        return self._drivers[place.scheme], place
