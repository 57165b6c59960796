"""One port for everything that is HTTP: fixed pages, applications under their prefixes, and the RPCs for the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from perdure.infra.http import Page
from perdure.infra.rest.application import Receive, RestApplication, Scope, Send


class Site:
    """An ASGI application that asks the first of: the page of exactly this path, the application of the longest prefix
    (`/console` has `/console` and `/console/...`), the RPCs that have such a path. The last RPCs answer if none has.
    """

    def __init__(
        self,
        rpcs: Sequence[RestApplication],
        pages: Mapping[str, Callable[[], Page]],
        mounts: Mapping[str, Any] | None = None,
    ) -> None:
        *self._rpcs, self._last = rpcs
        self._pages = pages
        self._mounts = sorted((mounts or {}).items(), key=lambda mount: len(mount[0]), reverse=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
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


async def _send_page(send: Send, page: Page) -> None:
    headers = [
        (b"content-type", page.content_type.encode()),
        (b"content-length", str(len(page.body)).encode()),
        (b"x-content-type-options", b"nosniff"),
        *((name.lower().encode(), value.encode()) for name, value in page.headers),
    ]
    await send({"type": "http.response.start", "status": page.status.value, "headers": headers})
    await send({"type": "http.response.body", "body": page.body})
