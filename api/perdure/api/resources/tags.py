"""PURE: tags of a namespace, which say to whom its usage is booked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from perdure.kernel.errors import InvalidArgument

_WORD = re.compile(r"[a-z0-9._\-@]{1,63}")


def changed(
    before: Mapping[str, str], upserted: Mapping[str, str], removed: Iterable[str], count_max: int
) -> dict[str, str]:
    """The tags with some added or replaced, and others removed, be they there or not.

    Raises:
        InvalidArgument: one is not a tag, is both added and removed, or there are too many.
    """
    removed = set(removed)
    for key, value in upserted.items():
        if not _WORD.fullmatch(key) or not _WORD.fullmatch(value):
            raise InvalidArgument(
                f"tags: {key}={value}: must have 1 to 63 characters of a-z 0-9 . _ - @ on both sides."
            )
        if key in removed:
            raise InvalidArgument(f"tags: {key} is both added and removed.")
    after = {key: value for key, value in {**before, **upserted}.items() if key not in removed}
    if len(after) > count_max:
        raise InvalidArgument(f"tags: there would be {len(after)}, the limit is {count_max}.")
    return after
