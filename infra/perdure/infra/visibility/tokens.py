"""Page tokens: where a page ended, sealed for the query that it belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zlib import crc32

import msgspec

from perdure.infra.visibility.compiler import OrderKey
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.ids import NamespaceId
from perdure.kernel.visibility.query import Query


def seal_token(namespace_id: NamespaceId, query: Query, values: Sequence[Any]) -> bytes:
    """`values` are those that the last row of the page is ordered by."""
    return msgspec.msgpack.encode([_fingerprint(namespace_id, query), *values])


def open_token(token: bytes, namespace_id: NamespaceId, query: Query, keys: Sequence[OrderKey]) -> Sequence[Any]:
    """The values that were sealed.

    Raises:
        InvalidArgument: the token is not one of this query's.
    """
    try:
        fingerprint, *values = msgspec.msgpack.decode(token, type=list[str | int | float | None])
    except (msgspec.DecodeError, ValueError):
        raise InvalidArgument("Invalid NextPageToken.") from None
    if fingerprint != _fingerprint(namespace_id, query) or len(values) != len(keys):
        raise InvalidArgument("Invalid NextPageToken.")
    return values


def _fingerprint(namespace_id: NamespaceId, query: Query) -> int:
    return crc32(f"{namespace_id} {query!r}".encode())
