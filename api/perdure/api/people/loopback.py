"""PURE: where a browser may be sent with a code: to a program on the same machine, and nowhere else (RFC 8252, 7.3)."""

from __future__ import annotations

import re
from urllib.parse import urlencode

from perdure.kernel.errors import InvalidArgument

LENGTH_MAX = 256
_PORT_MAX = 65535
#: By number: `localhost` may be resolved to something else. No query, no user and no fragment, which parsers read in
#: more than one way.
_LOOPBACK = re.compile(r"http://(?:127\.0\.0\.1|\[::1\]):([1-9][0-9]{0,4})(?:/[A-Za-z0-9._~-]*)*")


def check(uri: str, field: str) -> None:
    """Raises InvalidArgument: it leads elsewhere."""
    found = _LOOPBACK.fullmatch(uri) if len(uri) <= LENGTH_MAX else None
    if found is None or int(found[1]) > _PORT_MAX:
        raise InvalidArgument(f"{field}: must be http://127.0.0.1:PORT/PATH or http://[::1]:PORT/PATH.")


def with_answer(uri: str, answer: dict[str, str]) -> str:
    """Of a checked one: the same with what the program is told."""
    return f"{uri}?{urlencode(answer)}"
