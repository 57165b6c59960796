"""Connections to identity providers, as resources of an account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from perdure.api.calls import ControlCall, Method, at_account
from perdure.api.data.tables import ResourceRow
from perdure.api.people import tickets
from perdure.api.people.tickets import Purpose
from perdure.api.protos import sign_on_pb2 as api
from perdure.api.resources import accesses, kinds, names, rows
from perdure.api.resources.endings import BY_OWNER, SIGN_ON_REQUIRED, end_all, end_unvouched, vouches_for_owners
from perdure.api.resources.paging import page
from perdure.api.resources.publishing import identity_of
from perdure.api.sign_on import specs
from perdure.api.sign_on.addresses import ConnectionAddresses, check_pages
from perdure.auth.policy.grants import AccountRole, Target
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.errors import FailedPrecondition

CONNECTIONS_MAX: Final = 10
#: For opening the address of a test.
TEST_NS: Final = 600 * SECOND_NS
_FIELD: Final = "connection_id"
#: In a connection's details: the client secret, sealed; the last test; see `edition`.
_SECRET: Final = "client_secret"
_TEST: Final = "test"
#: The version that somebody gave it last; namespaces that go change it as well, but nothing that is proven by it.
_EDITION: Final = "edition"


class TestOutcome(msgspec.Struct, frozen=True):
    """What came of a test sign-in, of the connection in this edition."""

    at_ns: int
    succeeded: bool
    message: str
    edition: int = msgspec.field(name="version")


async def _create(call: ControlCall, request: api.CreateSignOnConnectionRequest) -> api.CreateSignOnConnectionResponse:
    spec = _checked(call, request.spec)
    if await call.transaction.count(call.account_id, kinds.SIGN_ON_CONNECTION) >= CONNECTIONS_MAX:
        raise FailedPrecondition(f"An account can have {CONNECTIONS_MAX} sign-on connections.")
    connection_id = call.new_id()
    secret = _taken_out(spec)
    details: dict[str, Any] = {
        _SECRET: call.sealer.seal(secret, _about(connection_id)),
        BY_OWNER: _is_owner(call),
        _EDITION: 1,
    }
    row = await rows.create(call, kinds.SIGN_ON_CONNECTION, connection_id, spec.display_name, spec, **details)
    return api.CreateSignOnConnectionResponse(connection=shown(call, row))


async def _get(call: ControlCall, request: api.GetSignOnConnectionRequest) -> api.GetSignOnConnectionResponse:
    return api.GetSignOnConnectionResponse(connection=shown(call, await _find(call, request.connection_id)))


async def _list(call: ControlCall, request: api.GetSignOnConnectionsRequest) -> api.GetSignOnConnectionsResponse:
    found, token = await page(call, request, kinds.SIGN_ON_CONNECTION)
    return api.GetSignOnConnectionsResponse(connections=[shown(call, row) for row in found], next_page_token=token)


async def _update(call: ControlCall, request: api.UpdateSignOnConnectionRequest) -> api.UpdateSignOnConnectionResponse:
    row = await _find(call, request.connection_id)
    spec, before = _checked(call, request.spec), spec_of(row)
    details: dict[str, Any] = {_EDITION: row.version + 1}
    secret = _taken_out(spec)
    if secret:
        details[_SECRET] = call.sealer.seal(secret, _about(row.id))
    elif spec.WhichOneof("provider") != "oidc" or _client(spec) != _client(before):
        # Whoever is asked now must not be told what another one was given.
        details[_SECRET] = ""
    if not specs.proves_no_more(before, spec):
        details[BY_OWNER] = _is_owner(call)
    await names.rename(call, row, spec.display_name)
    rows.change(call, row, request.resource_version, spec, details=details)
    if not specs.proves_as_much(before, spec):
        await _end_sessions(call, row)
    elif not vouches_for_owners(row):
        await _end_sessions_of_owners(call, row)
    return api.UpdateSignOnConnectionResponse(connection=shown(call, row))


async def _delete(call: ControlCall, request: api.DeleteSignOnConnectionRequest) -> api.DeleteSignOnConnectionResponse:
    row = await _find(call, request.connection_id)
    account = await rows.find(call, kinds.ACCOUNT, call.account_id, field="account")
    if account.details.get(SIGN_ON_REQUIRED):
        every = await call.transaction.resources(call.account_id, kinds.SIGN_ON_CONNECTION)
        if not any(is_tested(other) for other in every if other.id != row.id):
            raise FailedPrecondition(
                "The account asks for single sign-on: test another connection first, or let it ask no more."
            )
    await rows.delete(call, row, request.resource_version)
    await _end_sessions(call, row)
    return api.DeleteSignOnConnectionResponse()


async def _begin_test(call: ControlCall, request: api.BeginTestSignInRequest) -> api.BeginTestSignInResponse:
    row = await _find(call, request.connection_id)
    check_pages(call.endpoints.pages)
    expires_at_ns = call.now_ns + TEST_NS
    await call.transaction.people.forget_tickets(Purpose.TEST_SIGN_ON, row.id)
    ticket = tickets.issue(call.transaction, call.entropy, Purpose.TEST_SIGN_ON, row.id, expires_at_ns)
    # Who looks into the log later finds which connection it was.
    call.changed = row
    answer = api.BeginTestSignInResponse(url=f"{addresses_of(call, row).start}?test={ticket}")
    answer.expiry_time.FromNanoseconds(expires_at_ns)
    return answer


def spec_of(row: ResourceRow) -> api.SignOnConnectionSpec:
    return rows.spec_of(row, api.SignOnConnectionSpec)


def secret_of(call: ControlCall, row: ResourceRow) -> str:
    """The client secret, empty if there is none. Raises CannotOpen: see there."""
    return call.sealer.open(str(row.details.get(_SECRET, "")), _about(row.id))


def edition(row: ResourceRow) -> int:
    """Grows whenever somebody changes it: what was begun with another is not gone on with."""
    return int(row.details.get(_EDITION, row.version))


def is_tested(row: ResourceRow) -> bool:
    """Whether somebody has come by it as it is now."""
    test = _test_of(row)
    return test is not None and test.succeeded and test.edition == edition(row)


def note_test(row: ResourceRow, test: TestOutcome) -> None:
    row.details = {**row.details, _TEST: msgspec.to_builtins(test)}


def addresses_of(call: ControlCall, row: ResourceRow) -> ConnectionAddresses:
    return ConnectionAddresses(call.endpoints.pages, row.id)


def shown(call: ControlCall, row: ResourceRow) -> api.SignOnConnection:
    spec, addresses = spec_of(row), addresses_of(call, row)
    is_saml = spec.HasField("saml")
    result = api.SignOnConnection(
        id=row.id,
        spec=spec,
        resource_version=str(row.version),
        vouches_for_owners=vouches_for_owners(row),
        return_url=addresses.acs if is_saml else addresses.callback,
        metadata_url=addresses.metadata if is_saml else "",
    )
    result.created_time.FromNanoseconds(row.created_at_ns)
    if row.modified_at_ns != row.created_at_ns:
        result.last_modified_time.FromNanoseconds(row.modified_at_ns)
    if (test := _test_of(row)) is not None:
        result.last_test.succeeded, result.last_test.message = test.succeeded, test.message
        result.last_test.is_current = test.edition == edition(row)
        result.last_test.time.FromNanoseconds(test.at_ns)
    return result


def _test_of(row: ResourceRow) -> TestOutcome | None:
    found = row.details.get(_TEST)
    return msgspec.convert(found, TestOutcome) if found else None


async def _find(call: ControlCall, connection_id: str) -> ResourceRow:
    return await rows.find(call, kinds.SIGN_ON_CONNECTION, connection_id, field=_FIELD)


async def _end_sessions(call: ControlCall, row: ResourceRow) -> None:
    """Also those that are about to begin."""
    await end_all(call.transaction, await call.transaction.people.sessions(connection_id=row.id))
    await call.transaction.people.forget_sign_ons(row.id)


async def _end_sessions_of_owners(call: ControlCall, row: ResourceRow) -> None:
    sessions = await call.transaction.people.sessions(connection_id=row.id)
    for user_id in sorted({session.user_id for session in sessions}):
        user = await call.transaction.resource(kinds.USER, user_id)
        if user is not None:
            await end_unvouched(call.transaction, await identity_of(call.transaction, user))


def _checked(call: ControlCall, spec: api.SignOnConnectionSpec) -> api.SignOnConnectionSpec:
    return specs.checked(spec, call.account_id, custom_roles_max=call.limits.custom_roles_per_principal_max)


def _taken_out(spec: api.SignOnConnectionSpec) -> str:
    """The client secret, which is not kept in the specification."""
    if not spec.HasField("oidc"):
        return ""
    secret = spec.oidc.client_secret
    spec.oidc.ClearField("client_secret")
    return secret


def _client(spec: api.SignOnConnectionSpec) -> tuple[str, str]:
    return spec.oidc.issuer, spec.oidc.client_id


def _about(connection_id: str) -> str:
    return f"sign-on:{connection_id}"


def _is_owner(call: ControlCall) -> bool:
    return AccountRole.OWNER in call.grants.roles


async def _at_new(call: ControlCall, request: api.CreateSignOnConnectionRequest) -> Target:
    return _target(call, request.spec)


async def _at_changed(call: ControlCall, request: api.UpdateSignOnConnectionRequest) -> Target:
    return _target(call, await _held(call, request.connection_id), request.spec)


async def _at_deleted(call: ControlCall, request: api.DeleteSignOnConnectionRequest) -> Target:
    return _target(call, await _held(call, request.connection_id))


def _target(call: ControlCall, *involved: api.SignOnConnectionSpec) -> Target:
    """Whoever sets up what is mapped gives it to others."""
    given = [access for spec in involved for access in specs.accesses_of(spec)]
    return Target(
        call.account_id,
        assigns=accesses.roles_of(*given),
        assigns_custom=accesses.custom_roles_of(*given),
        opens=frozenset(name for access in given for name in access.namespace_accesses),
    )


async def _held(call: ControlCall, connection_id: str) -> api.SignOnConnectionSpec:
    row = await call.transaction.resource(kinds.SIGN_ON_CONNECTION, connection_id)
    is_ours = row is not None and row.account_id == call.account_id
    return spec_of(row) if row is not None and is_ours else api.SignOnConnectionSpec()


METHODS: Mapping[str, Method] = {
    "CreateSignOnConnection": Method(_create, _at_new, changes=True),
    "GetSignOnConnection": Method(_get, at_account),
    "GetSignOnConnections": Method(_list, at_account),
    "UpdateSignOnConnection": Method(_update, _at_changed, changes=True),
    "DeleteSignOnConnection": Method(_delete, _at_deleted, changes=True),
    "BeginTestSignIn": Method(_begin_test, at_account, changes=True),
}
