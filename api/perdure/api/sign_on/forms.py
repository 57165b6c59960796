"""A form that a provider has a browser send to us."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

BYTES_MAX: Final = 512 * 1024
_FIELDS_MAX: Final = 10
_TYPE: Final = "application/x-www-form-urlencoded"


class NotAForm(Exception):
    """Why it cannot be read, for whoever sees it."""


async def read_form(request: Request) -> dict[str, str]:
    """Raises NotAForm: see there."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _TYPE:
        raise NotAForm("This is not a form.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BYTES_MAX:
            raise NotAForm(f"The form has more than {BYTES_MAX} bytes.")
    try:
        fields = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_FIELDS_MAX, errors="strict")
    except ValueError:
        raise NotAForm("The form cannot be read.") from None
    form = dict(fields)
    if len(form) != len(fields):
        raise NotAForm("The form has a field twice.")
    return form
