"""PURE but for `rename`: names and descriptions that people choose."""

from __future__ import annotations

import re

from perdure.api.calls import ControlCall
from perdure.api.data.tables import ResourceRow
from perdure.kernel.errors import AlreadyExists, InvalidArgument

LENGTH_MAX = 64
DESCRIPTION_LENGTH_MAX = 512
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f]+")


def check(name: str, field: str, length_max: int = LENGTH_MAX) -> None:
    """Raises InvalidArgument: it is empty, too long, or cannot be printed."""
    if not name.strip():
        raise InvalidArgument(f"{field}: must be given.")
    if len(name) > length_max:
        raise InvalidArgument(f"{field}: has {len(name)} characters, the limit is {length_max}.")
    if not _PRINTABLE.fullmatch(name):
        raise InvalidArgument(f"{field}: must not contain control characters.")


def check_description(text: str, field: str) -> None:
    """Raises InvalidArgument: it is too long."""
    if len(text) > DESCRIPTION_LENGTH_MAX:
        raise InvalidArgument(f"{field}: has {len(text)} characters, the limit is {DESCRIPTION_LENGTH_MAX}.")


async def rename(call: ControlCall, row: ResourceRow, name: str) -> None:
    """Raises AlreadyExists: another of its kind is called so."""
    if name == row.name:
        return
    if await call.transaction.named(row.account_id, row.kind, name) is not None:
        raise AlreadyExists(f"{row.kind} {name} exists already.")
    row.name = name
