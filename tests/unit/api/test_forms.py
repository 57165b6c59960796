"""Forms as they arrive, in pieces or not at all."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import pytest

from perdure.api.asgi import Receive
from perdure.api.forms import TYPE, NotAForm, read_form


def arriving(*events: dict[str, Any]) -> Receive:
    left = iter(events)

    async def receive() -> dict[str, Any]:
        return next(left)

    return receive


def piece(body: bytes, *, is_last: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": not is_last}


async def test_in_pieces() -> None:
    receive = arriving(piece(b"a=1&"), piece(b"b=%C3%A9&c=", is_last=True))
    assert await read_form(f"{TYPE.upper()}; charset=utf-8", receive, 100) == {"a": "1", "b": "\xe9", "c": ""}


@pytest.mark.parametrize(
    ("content_type", "events", "status"),
    [
        ("text/plain", (), HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
        # Nothing of what is beyond the limit is kept.
        (TYPE, (piece(b"a" * 60), piece(b"a" * 60)), HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
        (TYPE, (piece(b"a=1&"), {"type": "http.disconnect"}), HTTPStatus.BAD_REQUEST),
        (TYPE, (piece(b"a=1&a=1", is_last=True),), HTTPStatus.BAD_REQUEST),
        (TYPE, (piece("a=\xe9".encode(), is_last=True),), HTTPStatus.BAD_REQUEST),
    ],
)
async def test_what_is_none(content_type: str, events: tuple[dict[str, Any], ...], status: HTTPStatus) -> None:
    with pytest.raises(NotAForm) as refused:
        await read_form(content_type, arriving(*events), 100)
    assert refused.value.status is status
