"""SignIn."""

from __future__ import annotations

from collections.abc import Mapping

from perdure.api.calls import ControlCall, Method, Preparation, at_nothing
from perdure.api.people import proofs, sessions
from perdure.api.people.proofs import Proven
from perdure.api.protos import identity_pb2 as api
from perdure.api.resources import emails


async def _prepare(preparation: Preparation, request: api.SignInRequest) -> Proven:
    emails.check(request.email, "email")
    return await proofs.prove(preparation, emails.folded(request.email), request.password, request.code)


async def _sign_in(call: ControlCall, request: api.SignInRequest) -> api.SignInResponse:
    person = await proofs.person_of(call, call.prepared)
    if person.mfa_secret and not request.code:
        await proofs.take_back(call, person)
        return api.SignInResponse(code_required=True)
    await proofs.check_code(call, person, request.code)
    return api.SignInResponse(signed_in=await sessions.begin(call, person, request.account_id))


METHODS: Mapping[str, Method] = {"SignIn": Method(_sign_in, at_nothing, changes=True, prepare=_prepare)}
