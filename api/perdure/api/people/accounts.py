"""What an account has switched on, and its end."""

from __future__ import annotations

from collections.abc import Mapping

from perdure.api.calls import ControlCall, Method, at_account
from perdure.api.data.tables import ResourceRow
from perdure.api.people import account_names, closing, sessions
from perdure.api.people.sessions import MFA_REQUIRED, TITLE
from perdure.api.protos import identity_pb2 as api
from perdure.api.resources import kinds, rows
from perdure.api.resources.api_keys import CREATION_DISABLED
from perdure.kernel.errors import InvalidArgument


async def _get(call: ControlCall, request: api.GetAccountSettingsRequest) -> api.GetAccountSettingsResponse:
    account = await _account(call)
    return api.GetAccountSettingsResponse(
        settings=api.AccountSettings(
            name=str(account.details.get(TITLE, "")),
            api_key_creation_disabled=bool(account.details.get(CREATION_DISABLED)),
            mfa_required=bool(account.details.get(MFA_REQUIRED)),
        ),
        resource_version=str(account.version),
    )


async def _update(call: ControlCall, request: api.UpdateAccountSettingsRequest) -> api.UpdateAccountSettingsResponse:
    account, settings = await _account(call), request.settings
    if settings.name:
        account_names.check(settings.name, "settings.name")
    details = {
        TITLE: settings.name.strip(),
        CREATION_DISABLED: settings.api_key_creation_disabled,
        MFA_REQUIRED: settings.mfa_required,
    }
    before = {name: account.details.get(name) for name in details}
    rows.change(call, account, request.resource_version, details=details)
    call.notes.update({name: str(value) for name, value in details.items() if value != before[name]})
    await sessions.narrow(call, await call.transaction.people.sessions(account_id=account.id))
    return api.UpdateAccountSettingsResponse()


async def _delete(call: ControlCall, request: api.DeleteAccountRequest) -> api.DeleteAccountResponse:
    account = await _account(call)
    if request.account_name != sessions.account_name(account):
        raise InvalidArgument(f"account_name: must be {sessions.account_name(account)}, the account's name.")
    await closing.close(call, account)
    return api.DeleteAccountResponse()


async def _account(call: ControlCall) -> ResourceRow:
    return await rows.find(call, kinds.ACCOUNT, call.account_id, field="account")


METHODS: Mapping[str, Method] = {
    "GetAccountSettings": Method(_get, at_account),
    "UpdateAccountSettings": Method(_update, at_account, changes=True),
    "DeleteAccount": Method(_delete, at_account, changes=True),
}
