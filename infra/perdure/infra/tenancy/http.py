"""The control plane over HTTP: its REST API with its document, and what pages there are besides."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from perdure.frontend.services import Service
from perdure.infra.http import Page
from perdure.infra.rest.application import RestApplication
from perdure.infra.rest.server import AsgiServer
from perdure.infra.rest.site import Site
from perdure.infra.rest.tryit import api_pages
from perdure.kernel.transcoding.openapi import document
from perdure.kernel.transcoding.routes import RouteTable, bindings_of

DOCUMENT_PATH = "/cloud/openapi.json"
PAGE_PATH = "/cloud/docs"
_TITLE = "Perdure Cloud Ops API"
_VERSION = "1"


def control_plane_server(
    services: Sequence[Service],
    pages: Mapping[str, Callable[[], Page]],
    mounts: Mapping[str, Any],
    tls: ssl.SSLContext | None = None,
) -> AsgiServer:
    """Serves the services by their HTTP annotations, and other ASGI applications under their paths.

    Raises:
        ValueError: an annotation makes no sense.
    """
    table = RouteTable(binding for service in services for binding in bindings_of(service.descriptor))
    handlers = {
        f"/{service.descriptor.full_name}/{name}": served.endpoint
        for service in services
        for name, served in service.methods.items()
    }
    described = api_pages(
        lambda: document(table, title=_TITLE, version=_VERSION, shorthand=False, bearer=True),
        document_path=DOCUMENT_PATH,
        page_path=PAGE_PATH,
    )
    # Somebody who looks what this is.
    front = {"/": lambda: Page(HTTPStatus.SEE_OTHER, "text/plain", b"", (("location", PAGE_PATH),))}
    return AsgiServer(Site(RestApplication(table, handlers), {**front, **pages, **described}, mounts), tls=tls)
