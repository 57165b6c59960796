"""PURE: where an archive is, as a URI says it: `file:///directory` or `s3://bucket/prefix`."""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from perdure.kernel.errors import InvalidArgument

URI_BYTES_MAX: Final = 1000
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
#: Nothing that a file system or a URL takes for something else than it says.
_PART = re.compile(r"[A-Za-z0-9_.=+,@-]{1,200}")


class Place(NamedTuple):
    """`bucket` is empty for a directory. `parts` are those of the path or the prefix."""

    scheme: str
    bucket: str
    parts: tuple[str, ...]

    def is_below(self, other: Place) -> bool:
        """Whether it is the other one, or in it."""
        return self[:2] == other[:2] and self.parts[: len(other.parts)] == other.parts


def parse(uri: str) -> Place:
    """Raises InvalidArgument: it is no place for an archive."""
    if len(uri.encode()) > URI_BYTES_MAX:
        raise _invalid(uri[:80], f"it has more than {URI_BYTES_MAX} bytes")
    try:
        scheme, authority, path, query, fragment = urlsplit(uri)
    except ValueError:
        raise _invalid(uri, "it is no URI") from None
    if scheme not in ("file", "s3"):
        raise _invalid(uri, "must start with file:/// or s3://")
    if query or fragment:
        raise _invalid(uri, "must have no query and no fragment")
    if scheme == "file" and (authority or not path.startswith("/")):
        raise _invalid(uri, "must have an absolute path and no host, as in file:///directory")
    if scheme == "s3" and not _BUCKET.fullmatch(authority):
        raise _invalid(uri, "must name a bucket, as in s3://bucket/prefix")
    parts = tuple(path.strip("/").split("/")) if path.strip("/") else ()
    for part in parts:
        if not _PART.fullmatch(part) or part in (".", ".."):
            raise _invalid(uri, f"{part!r} cannot be part of its path")
    if scheme == "file" and not parts:
        raise _invalid(uri, "must name a directory")
    return Place(scheme, authority, parts)


def _invalid(uri: str, why: str) -> InvalidArgument:
    return InvalidArgument(f"Archival URI {uri!r} is invalid: {why}.")
