"""SCIM over HTTP: which route is which method of ScimService, and its errors in SCIM's words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

import msgspec
import structlog
from google.protobuf.descriptor import ServiceDescriptor
from temporalio.api.enums.v1 import ResourceExhaustedCause

from perdure.api import asgi
from perdure.api.protos import provisioning_pb2 as api
from perdure.api.scim.bodies import BODY_BYTES_MAX
from perdure.api.scim.errors import INVALID_SYNTAX, INVALID_VALUE, UNIQUENESS, BadScim, VersionMismatch
from perdure.api.verification import MissingMethod
from perdure.auth.guard import Identified
from perdure.kernel.errors import Aborted, AlreadyExists, ResourceExhausted, ServiceError
from perdure.kernel.identity import Caller
from perdure.kernel.status import HTTP_STATUS, code_of

PATH: Final = "/scim/v2"
CONTENT_TYPE: Final = "application/scim+json"
PARAMETERS_MAX: Final = 20
ERROR_SCHEMA: Final = "urn:ietf:params:scim:api:messages:2.0:Error"
_READ: Final = frozenset({"filter", "attributes", "excludedAttributes", "startIndex", "count"})
_TYPES: Final = (CONTENT_TYPE, "application/json")
_WITH_BODY: Final = ("POST", "PUT", "PATCH")
#: In which somebody may ask for what is not here.
_ELSEWHERE: Final = ("Bulk", "Me", ".search")

#: By the first part of the path behind `PATH`, and whether there is an id behind it: the methods of HTTP.
ROUTES: Final[Mapping[tuple[str, bool], Mapping[str, str]]] = {
    ("ServiceProviderConfig", False): {"GET": "ScimGetServiceProviderConfig"},
    ("ResourceTypes", False): {"GET": "ScimGetResourceTypes"},
    ("ResourceTypes", True): {"GET": "ScimGetResourceType"},
    ("Schemas", False): {"GET": "ScimGetSchemas"},
    ("Schemas", True): {"GET": "ScimGetSchema"},
    ("Users", False): {"GET": "ScimGetUsers", "POST": "ScimCreateUser"},
    ("Users", True): {
        "GET": "ScimGetUser",
        "PUT": "ScimReplaceUser",
        "PATCH": "ScimPatchUser",
        "DELETE": "ScimDeleteUser",
    },
    ("Groups", False): {"GET": "ScimGetGroups", "POST": "ScimCreateGroup"},
    ("Groups", True): {
        "GET": "ScimGetGroup",
        "PUT": "ScimReplaceGroup",
        "PATCH": "ScimPatchGroup",
        "DELETE": "ScimDeleteGroup",
    },
}

_log = structlog.get_logger("perdure.api")

Serve = Callable[[Any, Caller], Awaitable[Any]]


class _Refused(Exception):
    def __init__(self, status: int, detail: str, scim_type: str = "", allow: str = "") -> None:
        super().__init__(status, detail, scim_type, allow)
        self.status, self.detail, self.scim_type, self.allow = status, detail, scim_type, allow


class _Route(NamedTuple):
    method: str
    id: str


class ScimApplication:
    """An ASGI application, to be mounted at `PATH`. `identify` is the service's. `console` is the address of the
    installation's web console, under which it is found; empty if it has none.

    Raises:
        MissingMethod: a route leads nowhere, or a method has no route.
    """

    def __init__(
        self,
        service: ServiceDescriptor,
        endpoint: Callable[[Any], Serve],
        identify: Callable[[Caller], Awaitable[Identified]],
        console: Callable[[], str],
    ) -> None:
        routed = [method for methods in ROUTES.values() for method in methods.values()]
        if sorted(routed) != sorted(method.name for method in service.methods):
            raise MissingMethod(f"routes and methods of {service.full_name} are not the same")
        self._serve = {method.name: endpoint(method) for method in service.methods}
        self._identify = identify
        self._console = console

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        headers: list[tuple[str, str]] = []
        try:
            answer = await self._answer(scope, receive)
            status, body = answer.status, answer.body
            headers += [
                (name, value) for name, value in (("etag", answer.etag), ("location", answer.location)) if value
            ]
        except asgi.ClientGone:
            return
        except _Refused as refused:
            status, body = refused.status, _error(refused)
            if refused.allow:
                headers.append(("allow", refused.allow))
            if status == 401:
                headers.append(("www-authenticate", "Bearer"))
            if status in (429, 503):
                headers.append(("retry-after", "1"))
        except Exception:
            _log.exception("a request of SCIM failed", path=scope["path"])
            status, body = 500, _error(_Refused(500, "internal error"))
        await asgi.respond(send, status, CONTENT_TYPE, body, headers)

    async def _answer(self, scope: asgi.Scope, receive: asgi.Receive) -> api.ScimResponse:
        try:
            caller = asgi.caller_of(scope)
            route = _route(scope)
            body = b""
            if scope["method"] in _WITH_BODY:
                # The service asks as well, since a body takes as long as whoever sends it likes.
                await self._identify(caller)
                body = await asgi.read_body(receive, BODY_BYTES_MAX)
        except asgi.TooLarge as error:
            raise _Refused(413, str(error)) from None
        except ServiceError as error:
            raise _refused(error) from None
        if body and caller.metadata.get("content-type", "").partition(";")[0].strip().lower() not in _TYPES:
            raise _Refused(415, f"content-type: must be {CONTENT_TYPE}.")
        request = api.ScimRequest(
            id=route.id,
            query=_query(scope),
            scim_body=body,
            if_match=caller.metadata.get("if-match", ""),
            base=self._base(scope, caller),
        )
        try:
            answer: api.ScimResponse = await self._serve[route.method](request, caller)
        except ServiceError as error:
            raise _refused(error) from None
        seen = caller.metadata.get("if-none-match", "")
        if scope["method"] in ("GET", "HEAD") and answer.etag and answer.etag in [e.strip() for e in seen.split(",")]:
            return api.ScimResponse(status=304, etag=answer.etag)
        return answer

    def _base(self, scope: asgi.Scope, caller: Caller) -> str:
        """Whoever calls by another name is answered with that one, if the installation has none of its own."""
        console = self._console().rstrip("/") or f"{scope.get('scheme', 'http')}://{caller.metadata.get('host', '')}"
        return f"{console}{PATH}"


def _route(scope: asgi.Scope) -> _Route:
    first, *rest = scope["path"].removeprefix(PATH).strip("/").split("/")
    if first in _ELSEWHERE or rest[-1:] == [".search"]:
        raise _Refused(501, f"{first} is not supported.")
    methods = ROUTES.get((first, bool(rest)))
    if methods is None or len(rest) > 1:
        raise _Refused(404, "There is nothing at this address.")
    # The server leaves the body away.
    method = methods.get("GET" if scope["method"] == "HEAD" else scope["method"])
    if method is None:
        raise _Refused(405, f"{scope['method']} is not supported here.", allow=", ".join(methods))
    return _Route(method, rest[0] if rest else "")


def _query(scope: asgi.Scope) -> dict[str, str]:
    """Parameters that mean something here. Others are left alone, as clients send some of their own."""
    try:
        pairs = parse_qsl(
            scope["query_string"].decode("ascii"),
            max_num_fields=PARAMETERS_MAX,
            errors="strict",
            keep_blank_values=True,
        )
    except ValueError:
        raise _Refused(400, "The query cannot be read.", INVALID_SYNTAX) from None
    known = {name.lower(): name for name in _READ}
    found = [(known[name.lower()], value) for name, value in pairs if name.lower() in known]
    if len(dict(found)) != len(found):
        raise _Refused(400, "The query has a parameter twice.", INVALID_SYNTAX)
    return dict(found)


def _refused(error: ServiceError) -> _Refused:
    status = HTTP_STATUS[code_of(error)]
    match error:
        case BadScim():
            return _Refused(400, error.message, error.scim_type)
        case VersionMismatch():
            return _Refused(412, error.message)
        case AlreadyExists():
            return _Refused(409, error.message, UNIQUENESS)
        case Aborted():
            # Others were faster, and it is worth trying again.
            return _Refused(503, error.message)
        case ResourceExhausted():
            rate = error.detail is not None and (
                getattr(error.detail, "cause", 0) == ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_RPS_LIMIT
            )
            return _Refused(429 if rate else 403, error.message)
    return _Refused(status, error.message, INVALID_VALUE if status == 400 else "")


def _error(refused: _Refused) -> bytes:
    content = {"schemas": [ERROR_SCHEMA], "status": str(refused.status), "detail": refused.detail}
    if refused.scim_type:
        content["scimType"] = refused.scim_type
    return msgspec.json.encode(content)
