"""Pages of lists. A token says after which name the next page begins, and for which list it was made."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import Any, TypeVar

import msgspec

from perdure.api.calls import ControlCall
from perdure.api.data.tables import ResourceRow
from perdure.api.resources.rows import page_size
from perdure.kernel.errors import InvalidArgument

#: Rows that are looked at for one page; a filter may leave few of them.
_LOOKED_AT_MAX = 10_000

Row = TypeVar("Row")


class PageToken(msgspec.Struct, frozen=True, array_like=True):
    """`list` tells requests apart that ask for other things; a token is good for its own only."""

    list: str
    after: str


async def page(
    call: ControlCall,
    request: Any,
    kind: str,
    wanted: Callable[[ResourceRow], bool] | None = None,
    *,
    owner_id: str | None = None,
) -> tuple[Sequence[ResourceRow], str]:
    """The resources of the caller's account that are wanted, in the order of their names, and the next page's token.

    Raises:
        InvalidArgument: the page size or token is not one.
    """
    size = page_size(request)

    async def read(after: str, limit: int) -> Sequence[ResourceRow]:
        return await call.transaction.resources(call.account_id, kind, after=after, limit=limit, owner_id=owner_id)

    return await pages(call, request, read, lambda row: row.name, wanted or (lambda row: True), size)


async def pages(
    call: ControlCall,
    request: Any,
    read: Callable[[str, int], Awaitable[Sequence[Row]]],
    key: Callable[[Row], str],
    wanted: Callable[[Row], bool],
    size: int,
) -> tuple[Sequence[Row], str]:
    """The same for whatever is read in an order. `read` takes a cursor and a limit."""
    made_for = _list_of(call, request)
    after = _after(request.page_token, made_for)
    found: list[Row] = []
    looked_at = 0
    while True:
        rows = await read(after, size)
        for row in rows:
            if wanted(row):
                if len(found) == size:
                    return found, _token(made_for, key(found[-1]))
                found.append(row)
        looked_at += len(rows)
        if len(rows) < size:
            return found, ""
        after = key(rows[-1])
        if looked_at >= _LOOKED_AT_MAX:
            return found, _token(made_for, after)


def _list_of(call: ControlCall, request: Any) -> str:
    asked = type(request)()
    asked.CopyFrom(request)
    asked.ClearField("page_token")
    asked.ClearField("page_size")
    text = f"{call.account_id}/{asked.DESCRIPTOR.full_name}/".encode() + asked.SerializeToString(deterministic=True)
    return sha256(text).hexdigest()[:16]


def _token(made_for: str, after: str) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(PageToken(made_for, after))).decode()


def _after(text: str, made_for: str) -> str:
    if not text:
        return ""
    try:
        token = msgspec.msgpack.decode(base64.urlsafe_b64decode(text.encode()), type=PageToken)
    except (ValueError, binascii.Error, msgspec.DecodeError):
        raise InvalidArgument("page_token: is not one of ours.") from None
    if token.list != made_for:
        raise InvalidArgument("page_token: belongs to another list.")
    return token.after
