"""A request of a browser, from its cookie to the cookie that it leaves with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from perdure.api.pages import browser
from perdure.api.people import browsers
from perdure.kernel.entropy import Entropy


@dataclass(slots=True)
class PageVisit:
    """`browser` is the secret that it is known by from now on, `came_with` the one in the request."""

    browser: str
    came_with: str
    secure: bool

    def keep(self, response: Response) -> Response:
        """The response, with what the browser is to remember."""
        if self.browser != self.came_with:
            browser.remember(response, self.browser, secure=self.secure)
        return response


class Visits:
    """`is_secure` says whether browsers come over TLS, to us or to a proxy before us."""

    def __init__(self, entropy: Entropy, is_secure: Callable[[], bool]) -> None:
        self._entropy = entropy
        self._is_secure = is_secure

    def begin(self, request: Request) -> PageVisit:
        secure = self._is_secure()
        known = browser.of(request, secure=secure)
        return PageVisit(known or browsers.new(self._entropy), known, secure)
