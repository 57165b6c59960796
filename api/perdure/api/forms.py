"""Forms that are sent to us: by browsers from pages of ours and of others, and by programs."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl

from perdure.api import asgi

TYPE: Final = "application/x-www-form-urlencoded"
_FIELDS_MAX: Final = 20


class NotAForm(Exception):
    """Why it cannot be read, for whoever sees it, and the status that says so."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


async def read_form(content_type: str, receive: asgi.Receive, bytes_max: int) -> dict[str, str]:
    """Its fields, each of which is there once. `content_type` is the header.

    Raises:
        NotAForm: see there.
    """
    if content_type.partition(";")[0].strip().lower() != TYPE:
        raise NotAForm(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "This is not a form.")
    try:
        body = (await asgi.read_body(receive, bytes_max)).decode("ascii")
        fields = parse_qsl(body, keep_blank_values=True, max_num_fields=_FIELDS_MAX, errors="strict")
    except asgi.TooLarge:
        raise NotAForm(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The form has more than {bytes_max} bytes.") from None
    except (ValueError, asgi.ClientGone):
        raise NotAForm(HTTPStatus.BAD_REQUEST, "The form cannot be read.") from None
    form = dict(fields)
    if len(form) != len(fields):
        raise NotAForm(HTTPStatus.BAD_REQUEST, "The form has a field twice.")
    return form
