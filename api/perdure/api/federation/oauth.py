"""ExchangeToken as a form of RFC 8693, which tools of continuous integration speak."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from perdure.api import asgi
from perdure.api.forms import NotAForm, read_form
from perdure.api.protos import federation_pb2 as api
from perdure.kernel.clock import SECOND_NS, Clock
from perdure.kernel.errors import Aborted, ResourceExhausted, ServiceError, Unavailable
from perdure.kernel.identity import Caller

PATH: Final = "/oauth/token"
BODY_BYTES_MAX: Final = 32 * 1024
GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"
SUBJECT_TYPES: Final = ("urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:id_token")

#: ExchangeToken.
Exchange = Callable[[Any, Caller], Awaitable[Any]]


class _Refused(Exception):
    """With the status, the error of RFC 6749 and what it says to people."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(status, error, description)
        self.status, self.error, self.description = status, error, description


class TokenEndpoint:
    """An ASGI application, to be mounted at `PATH`."""

    def __init__(self, exchange: Exchange, clock: Clock) -> None:
        self._exchange = exchange
        self._clock = clock

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        headers: list[tuple[str, str]] = [("pragma", "no-cache")]
        try:
            status, answer = 200, await self._answer(scope, receive)
        except _Refused as refused:
            status, answer = refused.status, {"error": refused.error, "error_description": refused.description}
            if status == 405:
                headers.append(("allow", "POST"))
            if status in (429, 503):
                headers.append(("retry-after", "1"))
        await asgi.respond(send, status, "application/json", msgspec.json.encode(answer), headers)

    async def _answer(self, scope: asgi.Scope, receive: asgi.Receive) -> Mapping[str, Any]:
        if scope["path"] != PATH:
            raise _Refused(404, "invalid_request", "there is nothing at this address")
        if scope["method"] != "POST":
            raise _Refused(405, "invalid_request", "must be sent by POST")
        try:
            caller = asgi.caller_of(scope)
            form = await read_form(caller.metadata.get("content-type", ""), receive, BODY_BYTES_MAX)
        except asgi.TooLarge as error:
            raise _Refused(413, "invalid_request", str(error)) from None
        except NotAForm as error:
            # The status of RFC 6749 for whatever is wrong with a request; proxies know that of what is too large.
            raise _Refused(413 if error.status == 413 else 400, "invalid_request", str(error)) from None
        _check(form)
        request = api.ExchangeTokenRequest(trusted_issuer_id=form["audience"], token=form["subject_token"])
        try:
            given = await self._exchange(request, caller)
        except ServiceError as error:
            raise _refused(error) from None
        left_ns = given.expiry_time.ToNanoseconds() - self._clock.now_ns()
        return {
            "access_token": given.token,
            "issued_token_type": ACCESS_TOKEN,
            "token_type": "Bearer",
            "expires_in": max(left_ns // SECOND_NS, 0),
        }


def _check(form: Mapping[str, str]) -> None:
    """Fields that are not known are left alone, as RFC 6749 has it."""
    if form.get("grant_type") != GRANT_TYPE:
        raise _Refused(400, "unsupported_grant_type", f"grant_type must be {GRANT_TYPE}")
    if "actor_token" in form:
        raise _bad("actor_token is not supported")
    if form.get("requested_token_type", ACCESS_TOKEN) != ACCESS_TOKEN:
        raise _bad(f"requested_token_type must be {ACCESS_TOKEN}")
    if form.get("subject_token_type") not in SUBJECT_TYPES:
        raise _bad(f"subject_token_type must be {' or '.join(SUBJECT_TYPES)}")
    for field, meaning in (("audience", "the id of the trusted issuer"), ("subject_token", "its token")):
        if not form.get(field):
            raise _bad(f"{field} must be {meaning}")


def _refused(error: ServiceError) -> _Refused:
    match error:
        case ResourceExhausted():
            return _Refused(429, "temporarily_unavailable", error.message)
        case Unavailable() | Aborted():
            return _Refused(503, "temporarily_unavailable", error.message)
    return _bad(error.message)


def _bad(description: str) -> _Refused:
    return _Refused(400, "invalid_request", description)
