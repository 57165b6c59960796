"""What browsers are answered: a page of a few words, or where they go next, and a cookie for the way."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from perdure.api.pages.rendering import page
from perdure.api.sign_on.flows import LIFETIME_NS, Flow
from perdure.kernel.clock import SECOND_NS

#: Browsers take it over TLS only (or on the machine itself), for this host only, and from nobody else.
_COOKIE: Final = "__Host-perdure-sign-on-"
_COOKIE_ID_LENGTH: Final = 16


def outcome(status: HTTPStatus, title: str, message: str, back: str = "") -> Response:
    """With a link to the page of ours where somebody can try again, if there is one."""
    return page("outcome.html", status, title=title, message=message, back=back)


def refused(message: str, status: HTTPStatus = HTTPStatus.FORBIDDEN, back: str = "") -> Response:
    return outcome(status, "You are not signed in", message, back)


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
