"""What all pages have in common: their frame, and what they allow browsers to do with them."""

from __future__ import annotations

import re
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response

from perdure.kernel.errors import ServiceError
from perdure.kernel.status import HTTP_STATUS, code_of

_HERE = Path(__file__).parent
#: Nothing but our own style and forms to us; in nobody's frame, kept by nobody, told to nobody.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
#: Errors name the fields of requests first.
_FIELD = re.compile(r"([a-z_]+): ")


def page(template: str, status: HTTPStatus = HTTPStatus.OK, **context: Any) -> Response:
    """Whatever is in the context is escaped."""
    return HTMLResponse(_environment().get_template(template).render(context), status, _HEADERS)


def problem(status: HTTPStatus, message: str) -> Response:
    """A page from which nothing leads on."""
    return page("problem.html", status, message=message)


def problem_of(error: ServiceError) -> Response:
    return problem(status_of(error), sentence(error))


def onward(url: str) -> Response:
    """A page from which the browser goes to another address by itself.

    It is no redirect, since browsers let the answer to a form redirect only to where forms may be sent.
    """
    return page("onward.html", url=url)


def see_other(url: str) -> Response:
    """To another page, which after a form must be one of ours."""
    return RedirectResponse(url, HTTPStatus.SEE_OTHER, _HEADERS)


def style() -> Response:
    headers = {"Cache-Control": "max-age=3600", "X-Content-Type-Options": "nosniff"}
    return Response(_style(), media_type="text/css", headers=headers)


def status_of(error: ServiceError) -> HTTPStatus:
    return HTTPStatus(HTTP_STATUS[code_of(error)])


def sentence(error: ServiceError) -> str:
    """An error as people read it: `code: is wrong.` is `The code is wrong.`"""
    found = _FIELD.match(error.message)
    return f"The {found[1].replace('_', ' ')} {error.message[found.end() :]}" if found else error.message


@cache
def _style() -> bytes:
    return (_HERE / "pages.css").read_bytes()


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
