"""Whether an account's people have to come by its identity provider."""

from __future__ import annotations

from collections.abc import Mapping

from perdure.api.calls import ControlCall, Method, at_account
from perdure.api.data.tables import ResourceRow
from perdure.api.people import sessions
from perdure.api.protos import sign_on_pb2 as api
from perdure.api.resources import kinds, rows
from perdure.api.resources.endings import SIGN_ON_REQUIRED, end_by_password
from perdure.api.resources.publishing import identity_of
from perdure.api.sign_on.connections import is_tested
from perdure.kernel.errors import FailedPrecondition


async def _get(call: ControlCall, request: api.GetSignOnEnforcementRequest) -> api.GetSignOnEnforcementResponse:
    account = await _account(call)
    return api.GetSignOnEnforcementResponse(
        required=bool(account.details.get(SIGN_ON_REQUIRED)), resource_version=str(account.version)
    )


async def _set(call: ControlCall, request: api.SetSignOnEnforcementRequest) -> api.SetSignOnEnforcementResponse:
    account = await _account(call)
    if request.required:
        connections = await call.transaction.resources(call.account_id, kinds.SIGN_ON_CONNECTION)
        if not any(is_tested(each) for each in connections):
            raise FailedPrecondition("Nobody could come in: test a sign-on connection as it is now first.")
    rows.change(call, account, request.resource_version, details={SIGN_ON_REQUIRED: request.required})
    call.notes[SIGN_ON_REQUIRED] = str(request.required)
    for user in await call.transaction.resources(call.account_id, kinds.USER):
        await end_by_password(call.transaction, await identity_of(call.transaction, user))
    # Owners need a second factor from now on, or not any more.
    await sessions.narrow(call, await call.transaction.people.sessions(account_id=account.id))
    return api.SetSignOnEnforcementResponse(resource_version=str(account.version))


async def _account(call: ControlCall) -> ResourceRow:
    return await rows.find(call, kinds.ACCOUNT, call.account_id, field="account")


METHODS: Mapping[str, Method] = {
    "GetSignOnEnforcement": Method(_get, at_account),
    "SetSignOnEnforcement": Method(_set, at_account, changes=True),
}
