"""`/device`: a code that a program shows somewhere is typed here.

Who asks is said before anybody signs in, since whoever sends others a code wants them to sign in for him.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perdure.api.pages import browser
from perdure.api.pages.identity import IdentityCalls
from perdure.api.pages.rendering import page, problem, problem_of, see_other, sentence, status_of
from perdure.api.pages.visits import PageVisit, Visits
from perdure.api.people import user_codes
from perdure.kernel.errors import ServiceError

DEVICE_PATH = "/device"


class DevicePages:
    def __init__(self, identity: IdentityCalls, visits: Visits) -> None:
        self._identity = identity
        self._visits = visits

    def routes(self) -> list[Route]:
        return [Route(DEVICE_PATH, self._show), Route(DEVICE_PATH, self._submit, methods=["POST"])]

    async def _show(self, request: Request) -> Response:
        visit = self._visits.begin(request)
        typed = user_codes.read(request.query_params.get("user_code", ""))
        return visit.keep(_ask(visit, user_codes.shown(typed)))

    async def _submit(self, request: Request) -> Response:
        visit = self._visits.begin(request)
        try:
            form = await browser.read_form(request, visit.browser, DEVICE_PATH)
        except browser.Refused as refused:
            return problem(refused.status, refused.message)
        match form.get("step", ""):
            case "look":
                return visit.keep(await self._look(request, visit, form.get("user_code", "")))
            case "confirm":
                return visit.keep(await self._confirm(request, visit, form, deny=False))
            case "deny":
                return visit.keep(await self._confirm(request, visit, form, deny=True))
        return problem(HTTPStatus.BAD_REQUEST, "The form has no such step.")

    async def _look(self, request: Request, visit: PageVisit, user_code: str) -> Response:
        try:
            asked = await self._identity.call(
                request, "DescribeBrowserSignIn", user_code=user_code, browser=visit.browser
            )
        except ServiceError as error:
            return _ask(visit, user_code, error)
        shown = user_codes.shown(user_codes.read(user_code))
        return page("confirm.html", asked=asked, user_code=shown, action=DEVICE_PATH, token=_token(visit))

    async def _confirm(self, request: Request, visit: PageVisit, form: dict[str, str], *, deny: bool) -> Response:
        fields: dict[str, Any] = {"pending_id": form.get("pending", ""), "user_code": form.get("user_code", "")}
        try:
            answer = await self._identity.call(
                request, "ConfirmBrowserSignIn", browser=visit.browser, deny=deny, **fields
            )
        except ServiceError as error:
            return problem_of(error)
        return see_other(answer.url if deny else f"/sign-in/{fields['pending_id']}")


def _ask(visit: PageVisit, user_code: str, error: ServiceError | None = None) -> Response:
    return page(
        "device.html",
        status_of(error) if error else HTTPStatus.OK,
        user_code=user_code,
        error=sentence(error) if error else "",
        action=DEVICE_PATH,
        token=_token(visit),
    )


def _token(visit: PageVisit) -> str:
    return browser.token(visit.browser, DEVICE_PATH)
