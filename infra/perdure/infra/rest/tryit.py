"""The OpenAPI document as a page, and a page to try it: our own files, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from string import Template
from typing import Any

from perdure.infra.http import Page
from perdure.kernel.transcoding import jsontext

_SECURITY = (
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("Referrer-Policy", "no-referrer"),
)


def api_pages(document: Callable[[], Any], *, document_path: str, page_path: str) -> Mapping[str, Callable[[], Page]]:
    """Pages for `Site` by their paths: the document, which is made when somebody first asks for it, and the page with
    its script and style.
    """

    @cache
    def described() -> Page:
        return Page(HTTPStatus.OK, "application/json", jsontext.dump(document()))

    @cache
    def shown() -> Page:
        text = Template(_file("tryit.html")).substitute(base=page_path, document=document_path)
        return Page(HTTPStatus.OK, "text/html; charset=utf-8", text.encode(), _SECURITY)

    return {
        document_path: described,
        page_path: shown,
        f"{page_path}/tryit.js": cache(lambda: _asset("tryit.js", "text/javascript; charset=utf-8")),
        f"{page_path}/tryit.css": cache(lambda: _asset("tryit.css", "text/css; charset=utf-8")),
    }


def _file(name: str) -> str:
    return (files("perdure.infra.rest") / "pages" / name).read_text(encoding="utf-8")


def _asset(name: str, content_type: str) -> Page:
    return Page(HTTPStatus.OK, content_type, _file(name).encode(), _SECURITY)
