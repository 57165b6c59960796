"""What is asked of a browser: its cookie, and forms that come from our pages in it.

The cookie says nothing of who somebody is. It tells the browser in which a sign-in was confirmed from all others, and
it changes as soon as somebody has signed in (see ApproveBrowserSignIn), so that one that was planted is worth nothing.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from perdure.api import forms
from perdure.api.people import browsers

FORM_BYTES_MAX = 16 * 1024
TOKEN_FIELD = "token"
_COOKIE = "perdure-browser"
#: With it browsers take the cookie over TLS only, for this host only, and from nobody else.
_HOST_PREFIX = "__Host-"


class Refused(Exception):
    """A form that is not from a page of ours in this browser, or none at all. The message is for its reader."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def of(request: Request, *, secure: bool) -> str:
    """The secret in its cookie; empty if it has none of ours."""
    browser = request.cookies.get(_name(secure), "")
    return browser if browsers.is_one(browser) else ""


def remember(response: Response, browser: str, *, secure: bool) -> None:
    """Until the browser is closed. Lax, since people come back to us from where they sign on."""
    response.set_cookie(_name(secure), browser, path="/", secure=secure, httponly=True, samesite="lax")


def token(browser: str, page: str) -> str:
    """What a form of this page has in it: only who knows the cookie can make one."""
    return hmac.new(browser.encode(), f"form:{page}".encode(), sha256).hexdigest()


async def read_form(request: Request, browser: str, page: str) -> dict[str, str]:
    """Raises Refused: it is none, or not from this page in this browser."""
    # Browsers say so if another site's page sends it.
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Refused(HTTPStatus.FORBIDDEN, "This form was sent by a page of another site.")
    try:
        form = await forms.read_form(request.headers.get("content-type", ""), request.receive, FORM_BYTES_MAX)
    except forms.NotAForm as error:
        raise Refused(error.status, str(error)) from None
    if not browser or not hmac.compare_digest(form.pop(TOKEN_FIELD, "").encode(), token(browser, page).encode()):
        raise Refused(
            HTTPStatus.FORBIDDEN, "This form is not from a page that was opened in this browser. Cookies are needed."
        )
    return form


def _name(secure: bool) -> str:
    return _HOST_PREFIX + _COOKIE if secure else _COOKIE
