"""One port for everything that is HTTP: fixed pages, applications under their prefixes, and the RPCs for the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from perdure.infra.http import Page
from perdure.infra.rest.application import Receive, RestApplication, Scope, Send, metadata_of
from perdure.infra.rest.hosts import check_site
from perdure.kernel.errors import ServiceError
from perdure.kernel.status import HTTP_STATUS, code_of, status_of
from perdure.kernel.transcoding import jsontext
from perdure.kernel.transcoding.encode import Encoder


class Site:
    """An ASGI application that asks the first of: the page of exactly this path, the application of the longest prefix
    (`/console` has `/console` and `/console/...`), the RPCs that have such a path. The last RPCs answer if none has.

    `is_host` is for a site that asks nobody who he is, see `hosts`: it is asked before anything else, about everything.
    """

    def __init__(
        self,
        rpcs: Sequence[RestApplication],
        pages: Mapping[str, Callable[[], Page]],
        mounts: Mapping[str, Any] | None = None,
        is_host: Callable[[str], bool] | None = None,
    ) -> None:
        *self._rpcs, self._last = rpcs
        self._pages = pages
        self._is_host = is_host
        self._mounts = sorted((mounts or {}).items(), key=lambda mount: len(mount[0]), reverse=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if self._is_host is not None:
            try:
                check_site(scope["method"], metadata_of(scope), self._is_host)
            except ServiceError as error:
                await _send_page(send, _refusal(error))
                return
        path: str = scope["path"]
        if (page := self._pages.get(path)) is not None and scope["method"] in ("GET", "HEAD"):
            await _send_page(send, page())
            return
        for prefix, application in self._mounts:
            if path == prefix or path.startswith(f"{prefix}/"):
                await application(scope, receive, send)
                return
        application = next((each for each in self._rpcs if each.knows(scope)), self._last)
        await application(scope, receive, send)


def _refusal(error: ServiceError) -> Page:
    status = HTTPStatus(HTTP_STATUS[code_of(error)])
    return Page(status, "application/json", jsontext.dump(Encoder().write(status_of(error))))


async def _send_page(send: Send, page: Page) -> None:
    headers = [
        (b"content-type", page.content_type.encode()),
        (b"content-length", str(len(page.body)).encode()),
        (b"x-content-type-options", b"nosniff"),
        *((name.lower().encode(), value.encode()) for name, value in page.headers),
    ]
    await send({"type": "http.response.start", "status": page.status.value, "headers": headers})
    await send({"type": "http.response.body", "body": page.body})
