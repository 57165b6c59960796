"""All pages on which people sign in, as an ASGI application."""

from __future__ import annotations

from collections.abc import Callable

from google.protobuf.descriptor import MethodDescriptor
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perdure.api.pages.device import DEVICE_PATH, DevicePages
from perdure.api.pages.identity import IdentityCalls
from perdure.api.pages.rendering import style
from perdure.api.pages.sign_in import SIGN_IN_PATH, SignInPages
from perdure.api.pages.visits import Visits
from perdure.api.service import ControlEndpoint
from perdure.kernel.entropy import Entropy

STYLE_PATH = f"{SIGN_IN_PATH}/style/pages.css"
#: Under these it is to be mounted, as it is.
PATHS = (SIGN_IN_PATH, DEVICE_PATH)


def pages(
    endpoint: Callable[[MethodDescriptor], ControlEndpoint], entropy: Entropy, is_secure: Callable[[], bool]
) -> Starlette:
    """`endpoint` gives what serves an RPC of IdentityService; `is_secure` says whether browsers come over TLS."""
    identity, visits = IdentityCalls(endpoint), Visits(entropy, is_secure)
    routes = [
        Route(STYLE_PATH, _style),
        *SignInPages(identity, visits).routes(),
        *DevicePages(identity, visits).routes(),
    ]
    application = Starlette(routes=routes)
    application.router.redirect_slashes = False
    return application


async def _style(request: Request) -> Response:
    return style()
