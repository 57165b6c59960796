"""`/sign-in/{pending}`: who asks, then the steps of signing in, until the browser goes back to the program."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perdure.api.pages import browser
from perdure.api.pages.device import DEVICE_PATH
from perdure.api.pages.identity import IdentityCalls
from perdure.api.pages.rendering import onward, page, problem, problem_of, see_other, sentence, status_of
from perdure.api.pages.visits import PageVisit, Visits
from perdure.api.people import pending
from perdure.kernel.errors import NotFound, ServiceError

SIGN_IN_PATH = "/sign-in"
#: Where signing on with a connection begins.
_SIGN_ON_PATH = "/sign-on/{connection}/start?request={pending}"


class SignInPages:
    def __init__(self, identity: IdentityCalls, visits: Visits) -> None:
        self._identity = identity
        self._visits = visits
        self._steps = {
            "password": self._password,
            "code": self._code,
            "account": self._account,
            "sign-on": self._sign_on,
            "deny": self._deny,
        }

    def routes(self) -> list[Route]:
        return [
            Route(pending.DONE_PATH, _done),
            Route(pending.DENIED_PATH, _denied),
            Route(f"{SIGN_IN_PATH}/{{pending}}", self._show),
            Route(f"{SIGN_IN_PATH}/{{pending}}", self._submit, methods=["POST"]),
        ]

    async def _show(self, request: Request) -> Response:
        visit = self._visits.begin(request)
        try:
            asked = await self._describe(request, visit)
        except ServiceError as error:
            return problem_of(error)
        if asked.by_user_code and not asked.confirmed:
            # A link alone leads nobody to signing in for a program somewhere else.
            return see_other(DEVICE_PATH)
        return visit.keep(_first(request, visit, asked))

    async def _submit(self, request: Request) -> Response:
        visit = self._visits.begin(request)
        try:
            form = await browser.read_form(request, visit.browser, request.path_params["pending"])
            asked = await self._describe(request, visit)
        except browser.Refused as refused:
            return problem(refused.status, refused.message)
        except ServiceError as error:
            return problem_of(error)
        step = self._steps.get(form.get("step", ""))
        if step is None:
            return problem(HTTPStatus.BAD_REQUEST, "The form has no such step.")
        try:
            return visit.keep(await step(request, visit, asked, form))
        except NotFound as error:
            return problem_of(error)

    async def _describe(self, request: Request, visit: PageVisit) -> Any:
        return await self._identity.call(
            request,
            "DescribeBrowserSignIn",
            pending_id=request.path_params["pending"],
            browser=visit.browser,
            # Whoever signs on with his organisation says which it is.
            account_id=request.query_params.get("account", ""),
        )

    async def _password(self, request: Request, visit: PageVisit, asked: Any, form: dict[str, str]) -> Response:
        fields = {"email": form.get("email", ""), "password": form.get("password", "")}
        try:
            await self._confirm(request, visit, asked)
            answer = await self._approve(request, visit, asked, **fields)
        except NotFound:
            raise
        except ServiceError as error:
            # What was typed last is not lost, except for the password.
            return _first(request, visit, asked, error, email=fields["email"])
        return _next(visit, asked, answer)

    async def _code(self, request: Request, visit: PageVisit, asked: Any, form: dict[str, str]) -> Response:
        try:
            answer = await self._approve(request, visit, asked, code=form.get("code", ""))
        except NotFound:
            raise
        except ServiceError as error:
            return _step("code.html", visit, asked, error)
        return _next(visit, asked, answer)

    async def _account(self, request: Request, visit: PageVisit, asked: Any, form: dict[str, str]) -> Response:
        try:
            answer = await self._approve(request, visit, asked, account_id=form.get("account", ""))
        except ServiceError as error:
            return problem_of(error)
        return _next(visit, asked, answer)

    async def _sign_on(self, request: Request, visit: PageVisit, asked: Any, form: dict[str, str]) -> Response:
        chosen = form.get("connection", "")
        if chosen not in {each.connection_id for each in asked.sign_on}:
            return problem(HTTPStatus.BAD_REQUEST, "The account has no such connection.")
        try:
            await self._confirm(request, visit, asked)
        except ServiceError as error:
            return problem_of(error)
        return onward(_SIGN_ON_PATH.format(connection=quote(chosen, safe=""), pending=quote(asked.pending_id, safe="")))

    async def _deny(self, request: Request, visit: PageVisit, asked: Any, form: dict[str, str]) -> Response:
        if asked.by_user_code:
            return problem(HTTPStatus.BAD_REQUEST, "Refuse it where the code is typed.")
        try:
            answer = await self._identity.call(
                request, "ConfirmBrowserSignIn", pending_id=asked.pending_id, browser=visit.browser, deny=True
            )
        except ServiceError as error:
            return problem_of(error)
        return onward(answer.url)

    async def _confirm(self, request: Request, visit: PageVisit, asked: Any) -> None:
        """Where a code is typed, that was the confirmation."""
        if not asked.by_user_code:
            await self._identity.call(
                request, "ConfirmBrowserSignIn", pending_id=asked.pending_id, browser=visit.browser
            )

    async def _approve(self, request: Request, visit: PageVisit, asked: Any, **fields: str) -> Any:
        answer = await self._identity.call(
            request, "ApproveBrowserSignIn", pending_id=asked.pending_id, browser=visit.browser, **fields
        )
        visit.browser = answer.browser or visit.browser
        return answer


def _next(visit: PageVisit, asked: Any, answer: Any) -> Response:
    if answer.url:
        return onward(answer.url)
    if answer.code_required:
        return _step("code.html", visit, asked)
    return _step("account.html", visit, asked, memberships=answer.memberships)


def _first(
    request: Request, visit: PageVisit, asked: Any, error: ServiceError | None = None, *, email: str = ""
) -> Response:
    """The page where somebody says who he is. Its address has what he has said of the way."""
    said = {name: request.query_params[name] for name in ("account", "owner") if name in request.query_params}
    path = f"{SIGN_IN_PATH}/{asked.pending_id}"
    return _step(
        "sign_in.html",
        visit,
        asked,
        error,
        action=f"{path}?{urlencode(said)}" if said else path,
        path=path,
        owner=f"{path}?{urlencode({**said, 'owner': '1'})}",
        account_id=said.get("account", ""),
        email=email,
        takes_password="owner" in said or not asked.sign_on_enforced,
    )


def _step(template: str, visit: PageVisit, asked: Any, error: ServiceError | None = None, **context: Any) -> Response:
    context.setdefault("action", f"{SIGN_IN_PATH}/{asked.pending_id}")
    return page(
        template,
        status_of(error) if error else HTTPStatus.OK,
        asked=asked,
        token=browser.token(visit.browser, asked.pending_id),
        error=sentence(error) if error else "",
        **context,
    )


async def _done(request: Request) -> Response:
    return page("done.html")


async def _denied(request: Request) -> Response:
    return page("denied.html")
