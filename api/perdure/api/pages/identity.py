"""IdentityService for pages: called in this process, as if by the browser itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from starlette.requests import Request

from perdure.api.service import ControlEndpoint
from perdure.api.services import IDENTITY_SERVICE
from perdure.kernel.identity import KnownCaller

#: What belongs to pages, and is no credential of the service.
_WITHHELD = ("cookie", "authorization")


class IdentityCalls:
    """`endpoint` gives what serves an RPC."""

    def __init__(self, endpoint: Callable[[MethodDescriptor], ControlEndpoint]) -> None:
        self._endpoints = {method.name: (method, endpoint(method)) for method in IDENTITY_SERVICE.methods}

    async def call(self, request: Request, rpc: str, **fields: Any) -> Any:
        """For whoever has sent the request. Raises ServiceError: it is refused."""
        method, endpoint = self._endpoints[rpc]
        metadata = {name: value for name, value in request.headers.items() if name not in _WITHHELD}
        caller = KnownCaller(metadata, request.client.host if request.client else "")
        return await endpoint(GetMessageClass(method.input_type)(**fields), caller)
