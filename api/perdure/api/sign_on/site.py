"""The browser's part of single sign-on, as an ASGI application: off to the provider, and back.

Nothing that is written here waits for a provider: what is asked of it is asked between two transactions.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TypeVar

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perdure.api.audit.calls import record_of_event
from perdure.api.calls import ControlCall
from perdure.api.data import Transaction
from perdure.api.forms import NotAForm, read_form
from perdure.api.outgoing.calls import GuardedCalls
from perdure.api.pages import browser as page_browser
from perdure.api.pages.rendering import see_other
from perdure.api.pages.sign_in import SIGN_IN_PATH
from perdure.api.people import attempts, pending, tickets
from perdure.api.people.tickets import Purpose
from perdure.api.protos import sign_on_pb2 as api
from perdure.api.service import ControlParts, Visit
from perdure.api.sign_on import answers, connections, flows, outcomes, saml
from perdure.api.sign_on.addresses import PATH, ConnectionAddresses
from perdure.api.sign_on.asserted import Asserted
from perdure.api.sign_on.flows import Flow
from perdure.api.sign_on.oidc import OidcClient, shown_error
from perdure.api.sign_on.refusals import SignOnRefused
from perdure.auth.guard import Identified
from perdure.auth.policy.grants import Grants
from perdure.kernel.errors import ServiceError
from perdure.kernel.identity import ANYBODY, KnownCaller
from perdure.kernel.persistence.executions import StoreError

_Result = TypeVar("_Result")
#: An assertion is in it, with all that the provider says of somebody.
_FORM_BYTES_MAX = 512 * 1024
_BUSY = "Nobody can be signed in at the moment: try again."

_log = structlog.get_logger("perdure.api")


class SignOnSite:
    """`application` is to be mounted at `PATH`, as it is."""

    def __init__(self, parts: ControlParts, calls: GuardedCalls) -> None:
        self._parts = parts
        self._oidc = OidcClient(calls, parts.runtime.clock)
        base = PATH + "/{connection_id}"
        self.application = Starlette(
            routes=[
                Route(f"{base}/start", self._safely(self._start), methods=["GET"]),
                Route(f"{base}/callback", self._safely(self._callback), methods=["GET"]),
                Route(f"{base}/acs", self._safely(self._acs), methods=["POST"]),
                Route(f"{base}/metadata", self._safely(self._metadata), methods=["GET"]),
            ]
        )
        self.application.router.redirect_slashes = False

    async def _start(self, request: Request) -> Response:
        """Off to the provider: for a pending sign-in, or with the ticket of a test."""
        flow, spec = await self._write(request, lambda call: self._begin(call, request))
        try:
            url = await self._provider_url(spec, flow)
        except SignOnRefused as refusal:
            return await self._refuse(request, flow, refusal)
        return answers.remember(see_other(url), flow, comes_by_form=spec.HasField("saml"))

    async def _begin(self, call: ControlCall, request: Request) -> tuple[Flow, api.SignOnConnectionSpec]:
        await attempts.begin_sign_on(call.transaction, call.now_ns, call.address)
        call, row = await outcomes.connection_of(call, request.path_params["connection_id"])
        ticket, pending_id, browser = request.query_params.get("test", ""), request.query_params.get("request", ""), ""
        if ticket:
            pending_id = ""
            found = await tickets.look(call.transaction, Purpose.TEST_SIGN_ON, ticket, call.now_ns)
            if found.subject != row.id:
                raise tickets.refused()
            await tickets.use(call.transaction, found)
        else:
            if not flows.is_id(pending_id):
                raise pending.refused()
            browser = page_browser.of(request, secure=call.endpoints.pages.startswith("https://"))
            await pending.confirmed(call.transaction, pending_id, browser, call.now_ns)
        flow = flows.begin(
            call.transaction, call.entropy, row.id, connections.edition(row), pending_id, browser, call.now_ns
        )
        return flow, connections.spec_of(row)

    async def _provider_url(self, spec: api.SignOnConnectionSpec, flow: Flow) -> str:
        addresses = self._addresses(flow.connection_id)
        if spec.HasField("saml"):
            return saml.sign_on_url(spec.saml, flow, addresses, self._parts.runtime.clock.now_ns())
        return await self._oidc.authorization_url(spec.oidc, flow, addresses.callback)

    async def _callback(self, request: Request) -> Response:
        """Back from an OpenID Connect provider, with a code or an error."""
        given = request.query_params
        flow = await self._take(request, given.get("state", ""))

        async def ask() -> Asserted:
            if "code" not in given:
                raise SignOnRefused(f"The provider has not signed anybody in: {shown_error(dict(given))}.")
            spec, secret = await self._read(request, flow)
            if not spec.HasField("oidc"):
                raise SignOnRefused(outcomes.CHANGED, outcomes.CHANGED)
            redirect_uri = self._addresses(flow.connection_id).callback
            return await self._oidc.asserted(spec, secret, flow, redirect_uri, given["code"], given.get("iss", ""))

        return await self._finish(request, flow, ask)

    async def _acs(self, request: Request) -> Response:
        """Back from a SAML provider, with an assertion."""
        try:
            form = await read_form(request.headers.get("content-type", ""), request.receive, _FORM_BYTES_MAX)
        except NotAForm as error:
            return answers.refused(str(error), error.status)
        if not form.get("RelayState"):
            # From the provider's own page of applications. Nobody here has asked, so nobody knows whose browser it is.
            return answers.refused("Sign-in has to begin here and not at the provider: go to the sign-in page.")
        flow = await self._take(request, form["RelayState"])

        async def ask() -> Asserted:
            spec, _ = await self._read(request, flow)
            if not spec.HasField("saml"):
                raise SignOnRefused(outcomes.CHANGED, outcomes.CHANGED)
            addresses = self._addresses(flow.connection_id)
            return await saml.asserted(
                spec, flow, addresses, form.get("SAMLResponse", ""), self._parts.runtime.clock.now_ns()
            )

        return await self._finish(request, flow, ask)

    async def _metadata(self, request: Request) -> Response:
        """What a SAML provider has to know of us. There is no secret in it, and nothing of the account."""
        async with self._parts.database.reading() as transaction:
            _, row = await outcomes.connection_of(
                self._call(request, transaction), request.path_params["connection_id"]
            )
            if not connections.spec_of(row).HasField("saml"):
                raise SignOnRefused(outcomes.GONE, outcomes.GONE)
        content = saml.metadata(self._addresses(row.id))
        return Response(
            content, media_type="application/samlmetadata+xml", headers={"x-content-type-options": "nosniff"}
        )

    async def _finish(self, request: Request, flow: Flow, ask: Callable[[], Awaitable[Asserted]]) -> Response:
        email = ""
        try:
            asserted = await ask()
            email = asserted.email
            if flow.is_test:
                message = await self._write(request, lambda call: outcomes.note_success(call, flow, asserted))
                return answers.forget(answers.outcome(HTTPStatus.OK, "The test has succeeded", message), flow.id)
            url = await self._write(request, lambda call: outcomes.let_in(call, flow, asserted))
            return answers.forget(see_other(url), flow.id)
        except SignOnRefused as refusal:
            return answers.forget(await self._refuse(request, flow, refusal, email), flow.id)

    async def _refuse(self, request: Request, flow: Flow, refusal: SignOnRefused, email: str = "") -> Response:
        await self._write(request, lambda call: outcomes.note_refusal(call, flow, refusal.reason, email))
        if flow.is_test:
            return answers.outcome(HTTPStatus.FORBIDDEN, "The test has failed", refusal.reason)
        return answers.refused(refusal.told, back=f"{SIGN_IN_PATH}/{flow.request_id}")

    async def _take(self, request: Request, flow_id: str) -> Flow:
        cookie = answers.cookie_of(request, flow_id)
        connection_id: str = request.path_params["connection_id"]
        return await self._write(
            request, lambda call: flows.take(call.transaction, flow_id, connection_id, cookie, call.now_ns)
        )

    async def _read(self, request: Request, flow: Flow) -> tuple[api.SignOnConnectionSpec, str]:
        """The connection as it was when the flow began, with its client secret."""
        async with self._parts.database.reading() as transaction:
            call, row = await outcomes.connection_as_begun(self._call(request, transaction), flow)
            return connections.spec_of(row), connections.secret_of(call, row)

    async def _write(self, request: Request, work: Callable[[ControlCall], Awaitable[_Result]]) -> _Result:
        """In one transaction, with what is told of it."""

        async def attempt(transaction: Transaction) -> tuple[ControlCall, bool, _Result]:
            call = self._call(request, transaction)
            result = await work(call)
            await transaction.audit.add([record_of_event(call, event) for event in call.events])
            return call, transaction.publishes, result

        call, publishes, result = await self._parts.database.write(attempt)
        self._parts.committed(call, publishes=publishes)
        return result

    def _call(self, request: Request, transaction: Transaction) -> ControlCall:
        return self._parts.call(self._visit(request), transaction)

    def _visit(self, request: Request) -> Visit:
        metadata = {name.lower(): value for name, value in request.headers.items()}
        caller = KnownCaller(metadata, request.client.host if request.client else "")
        return self._parts.visit(Identified(ANYBODY, Grants()), caller)

    def _addresses(self, connection_id: str) -> ConnectionAddresses:
        return ConnectionAddresses(self._parts.endpoints().pages, connection_id)

    def _safely(self, serve: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """What cannot be served is a page too. Whoever only looks (HEAD) uses nothing up."""

        async def endpoint(request: Request) -> Response:
            if request.method == "HEAD":
                return answers.outcome(HTTPStatus.METHOD_NOT_ALLOWED, "Not so", "Ask with GET.")
            try:
                self._parts.rates.take_address(self._visit(request).address)
                return await serve(request)
            except SignOnRefused as refusal:
                return answers.refused(refusal.told)
            except StoreError as error:
                _log.warning("single sign-on: the control plane's database did not answer", error=str(error))
                return answers.refused(_BUSY, HTTPStatus.SERVICE_UNAVAILABLE)
            except ServiceError as error:
                return answers.refused(error.message)

        return endpoint
