"""The control plane over HTTP: its REST API with its document, and what pages there are besides."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from perdure.frontend.services import Service
from perdure.infra.http import Page
from perdure.infra.http_api import CONTROL_PLANE, DATA_PLANE, rpcs
from perdure.infra.rest.server import AsgiServer
from perdure.infra.rest.site import Site
from perdure.infra.tenancy.access import Access


def control_plane_server(
    services: Sequence[Service],
    access: Access,
    pages: Mapping[str, Callable[[], Page]],
    mounts: Mapping[str, Any],
    tls: ssl.SSLContext | None = None,
    data_plane: Sequence[Service] = (),
) -> AsgiServer:
    """Serves the services by their HTTP annotations, other ASGI applications under their paths, and the data plane if
    it is here too.

    Raises:
        ValueError: an annotation makes no sense.
    """
    served, described = rpcs(CONTROL_PLANE, services, guard=access.guard, is_open=access.policy.open_to_nobody)
    # Somebody who looks what this is.
    front = {"/": lambda: Page(HTTPStatus.SEE_OTHER, "text/plain", b"", (("location", CONTROL_PLANE.page_path),))}
    applications, more = [served], {**front, **pages, **described}
    if data_plane:
        served, described = rpcs(DATA_PLANE, data_plane, guard=access.guard)
        applications, more = [served, *applications], {**more, **described}
    return AsgiServer(Site(applications, more, mounts), tls=tls)
