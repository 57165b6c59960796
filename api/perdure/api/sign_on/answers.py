"""What browsers are answered: a page of a few words, or where they go next, and a cookie for the way."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from perdure.api.sign_on.flows import LIFETIME_NS, Flow
from perdure.kernel.clock import SECOND_NS

_HEADERS: Final[Mapping[str, str]] = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    # What is in our addresses is for nobody else.
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width"></head>
<body><h1>{title}</h1><p>{text}</p></body></html>
"""
#: Browsers take it over TLS only (or on the machine itself), for this host only, and from nobody else.
_COOKIE: Final = "__Host-perdure-sign-on-"
_COOKIE_ID_LENGTH: Final = 16


def page(status: HTTPStatus, title: str, text: str) -> Response:
    return HTMLResponse(_PAGE.format(title=escape(title), text=escape(text)), status, _HEADERS)


def refused(text: str, status: HTTPStatus = HTTPStatus.FORBIDDEN) -> Response:
    return page(status, "You are not signed in", text)


def go(url: str) -> Response:
    """The browser goes on there, with GET."""
    response = RedirectResponse(url, HTTPStatus.SEE_OTHER)
    response.headers.update(_HEADERS)
    return response


def remember(response: Response, flow: Flow, *, comes_by_form: bool) -> Response:
    """`comes_by_form`: the provider has the browser send a form to us, which cookies otherwise do not go along with."""
    response.set_cookie(
        _name(flow.id),
        flow.cookie,
        max_age=LIFETIME_NS // SECOND_NS,
        secure=True,
        httponly=True,
        samesite="none" if comes_by_form else "lax",
    )
    return response


def cookie_of(request: Request, flow_id: str) -> str:
    return request.cookies.get(_name(flow_id), "")


def forget(response: Response, flow_id: str) -> Response:
    response.delete_cookie(_name(flow_id), secure=True, httponly=True)
    return response


def _name(flow_id: str) -> str:
    return _COOKIE + flow_id[:_COOKIE_ID_LENGTH]
