"""Sessions: a person, signed in as a user of one account. Gateways know them as they know API keys.

Whoever comes by an account's own identity provider is that user and no person: what his provider says of him counts in
that account and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from perdure.api.calls import ControlCall, Method, at_nothing
from perdure.api.data import Transaction
from perdure.api.data.person_tables import PersonRow, SessionRow
from perdure.api.data.tables import ResourceRow
from perdure.api.people.events import SignInEvent, SignInEventKind
from perdure.api.people.people import SessionLimits
from perdure.api.protos import identity_pb2 as api
from perdure.api.resources import kinds, rows
from perdure.api.resources.endings import (
    SIGN_ON_REQUIRED,
    end,
    end_all,
    is_open_to_passwords,
    is_owners,
    vouches_for_owners,
)
from perdure.api.resources.publishing import identity_of
from perdure.api.resources.user_states import MADE_BY, is_active
from perdure.auth import secrets
from perdure.auth.access.records import CredentialRecord
from perdure.auth.policy.grants import KeyScope
from perdure.kernel.errors import FailedPrecondition, InvalidArgument, NotFound, PermissionDenied, Unauthenticated

#: What an account has switched on, in its details.
MFA_REQUIRED: Final = "mfa_required"
#: What people call it.
TITLE: Final = "title"
_TOO_LATE: Final = "The sign-in is not good any more: begin again."


async def memberships(transaction: Transaction, email: str) -> Sequence[tuple[ResourceRow, ResourceRow]]:
    """The users that somebody of this address is, each with its account, in the order of the accounts' ids."""
    found = []
    for user in await transaction.everywhere(kinds.USER, email):
        account = await transaction.resource(kinds.ACCOUNT, user.account_id)
        is_open = account is not None and account.state == rows.ACTIVE
        if is_open and account is not None and is_active(user) and not user.details.get(MADE_BY):
            found.append((user, account))
    return sorted(found, key=lambda each: each[1].id)


def needs_second_factor(account: ResourceRow) -> bool:
    # Where the provider is the usual way in, a password alone is not to be the way around it.
    return bool(account.details.get(MFA_REQUIRED) or account.details.get(SIGN_ON_REQUIRED))


def account_name(account: ResourceRow) -> str:
    return str(account.details.get(TITLE) or account.id)


async def begin(
    call: ControlCall, person: PersonRow, account_id: str = "", ends_at_ns: int | None = None
) -> api.SignedIn:
    """A session in one of the person's accounts; if none is named, in the last one. If `ends_at_ns` is given, it ends
    then at the latest.

    Raises:
        FailedPrecondition: there is none, or it asks for single sign-on.
        NotFound: it is not one of his.
    """
    user, account = await wanted(call, person, account_id)
    held = await call.transaction.people.sessions(person_id=person.id)
    person.last_account_id = account.id
    scope = _scope(person, account)
    return await _open(call, user, held, scope=scope, email=person.email, person_id=person.id, ends_at_ns=ends_at_ns)


async def begin_for_user(
    call: ControlCall, user: ResourceRow, account: ResourceRow, connection_id: str
) -> api.SignedIn:
    """A session of whoever has come by a connection of this account, which asks the provider for any second factor.

    Raises:
        Unauthenticated: user, account or connection are not there any more, or he is an owner now, whom the connection
            does not vouch for.
    """
    connection = await call.transaction.resource(kinds.SIGN_ON_CONNECTION, connection_id)
    if (
        connection is None
        or {user.account_id, connection.account_id} != {account.id}
        or {user.state, account.state} != {rows.ACTIVE}
        or not is_active(user)
    ):
        raise Unauthenticated(_TOO_LATE)
    if is_owners(await identity_of(call.transaction, user)) and not vouches_for_owners(connection):
        raise Unauthenticated(_TOO_LATE)
    held = [row for row in await call.transaction.people.sessions(user_id=user.id) if row.connection_id]
    return await _open(call, user, held, scope=KeyScope.FULL, email=user.name, connection_id=connection_id)


async def wanted(call: ControlCall, person: PersonRow, account_id: str) -> tuple[ResourceRow, ResourceRow]:
    """As whom he comes in by a password, and to which account. Raises what `begin` does."""
    mine = await memberships(call.transaction, person.email)
    if not mine:
        raise FailedPrecondition("You belong to no account: sign up for one, or accept an invitation.")
    named = [(user, account) for user, account in mine if account_id in ("", account.id)]
    if not named:
        raise NotFound(f"account_id: account {account_id} is not found.")
    for user, account in sorted(named, key=lambda each: each[1].id != person.last_account_id):
        if is_open_to_passwords(account, await identity_of(call.transaction, user)):
            return user, account
    names = ", ".join(account_name(account) for _, account in named)
    raise FailedPrecondition(f"A password is not enough for {names}: sign on with the identity provider.")


async def _open(
    call: ControlCall,
    user: ResourceRow,
    held: Sequence[SessionRow],
    *,
    scope: KeyScope,
    email: str,
    person_id: str = "",
    connection_id: str = "",
    ends_at_ns: int | None = None,
) -> api.SignedIn:
    """A new session besides those that he has, of which the oldest make room for it."""
    await end_all(call.transaction, held[call.people.sessions.per_person_max - 1 :])
    given = secrets.give(secrets.SecretKind.SESSION, call.entropy)
    row = SessionRow(
        id=given.id,
        person_id=person_id,
        user_id=user.id,
        account_id=user.account_id,
        secret_hash=given.secret_hash,
        scope=scope,
        address=call.address,
        user_agent=call.user_agent,
        created_at_ns=call.now_ns,
        used_at_ns=call.now_ns,
        expires_at_ns=ends_at_ns or call.now_ns + call.people.sessions.lifetime_ns,
        connection_id=connection_id,
    )
    call.transaction.people.add(row)
    publish(call.transaction, row, call.people.sessions)
    tell(call, SignInEventKind.SIGNED_IN, email, row)
    return api.SignedIn(
        token=given.text,
        session=shown(row, call.people.sessions, given.id),
        mfa_enrolment_required=row.scope != KeyScope.FULL,
    )


def publish(transaction: Transaction, row: SessionRow, limits: SessionLimits) -> None:
    transaction.publish(
        CredentialRecord(
            id=row.id,
            kind=secrets.SecretKind.SESSION,
            owner_id=row.user_id,
            secret_hash=row.secret_hash,
            expires_at_ns=end_ns(row, limits),
            scope=row.scope,
        )
    )


def end_ns(row: SessionRow, limits: SessionLimits) -> int:
    """If it is not used any more."""
    return min(row.expires_at_ns, row.used_at_ns + limits.idle_ns)


async def narrow(call: ControlCall, sessions: Sequence[SessionRow]) -> None:
    """Give each what follows from its account and its person now."""
    for row in sessions:
        if row.connection_id:
            continue
        person = await call.transaction.people.person(row.person_id)
        account = await call.transaction.resource(kinds.ACCOUNT, row.account_id)
        if person is None or account is None:
            await end(call.transaction, row)
        elif row.scope != (scope := _scope(person, account)):
            row.scope = scope
            publish(call.transaction, row, call.people.sessions)


async def current(call: ControlCall) -> tuple[SessionRow, PersonRow]:
    """The caller's session and who he is. Raises what `session_of` does."""
    return await session_of(call.transaction, call.principal.key_id)


async def session_of(transaction: Transaction, session_id: str) -> tuple[SessionRow, PersonRow]:
    """
    Raises:
        Unauthenticated: it has just ended.
        PermissionDenied: whoever has it came by an identity provider, and has no login here.
    """
    row, person = await _found(transaction, session_id)
    if person is None:
        raise PermissionDenied("You have signed on with your organisation's identity provider, which has your login.")
    return row, person


async def _found(transaction: Transaction, session_id: str) -> tuple[SessionRow, PersonRow | None]:
    row = await transaction.people.session(session_id)
    person = await transaction.people.person(row.person_id) if row is not None and row.person_id else None
    if row is None or (person is None and not row.connection_id):
        raise Unauthenticated("The session has ended.")
    return row, person


def tell(call: ControlCall, kind: SignInEventKind, email: str, row: SessionRow) -> None:
    call.events.append(
        SignInEvent(
            kind,
            call.now_ns,
            email,
            call.address,
            call.user_agent,
            person_id=row.person_id,
            user_id=row.user_id,
            account_id=row.account_id,
            session_id=row.id,
            connection_id=row.connection_id,
        )
    )


def shown(row: SessionRow, limits: SessionLimits, current_id: str) -> api.Session:
    return api.Session(
        id=row.id,
        account_id=row.account_id,
        user_id=row.user_id,
        created_time=_time(row.created_at_ns),
        last_used_time=_time(row.used_at_ns),
        expiry_time=_time(end_ns(row, limits)),
        address=row.address,
        user_agent=row.user_agent,
        current=row.id == current_id,
    )


def _time(at_ns: int) -> Timestamp:
    time = Timestamp()
    time.FromNanoseconds(at_ns)
    return time


def _scope(person: PersonRow, account: ResourceRow) -> KeyScope:
    return KeyScope.ENROLMENT if needs_second_factor(account) and not person.mfa_secret else KeyScope.FULL


async def _siblings(call: ControlCall, row: SessionRow) -> Sequence[SessionRow]:
    """All sessions of whoever has this one: of the person, or of the user who came by an identity provider."""
    if row.person_id:
        return await call.transaction.people.sessions(person_id=row.person_id)
    return [each for each in await call.transaction.people.sessions(user_id=row.user_id) if each.connection_id]


async def _email(call: ControlCall, row: SessionRow, person: PersonRow | None) -> str:
    if person is not None:
        return person.email
    user = await call.transaction.resource(kinds.USER, row.user_id)
    return user.name if user is not None else ""


async def _get_person(call: ControlCall, request: api.GetPersonRequest) -> api.GetPersonResponse:
    row, person = await _found(call.transaction, call.principal.key_id)
    if person is None:
        account = await rows.find(call, kinds.ACCOUNT, row.account_id, field="account")
        return api.GetPersonResponse(
            email=await _email(call, row, person),
            session=shown(row, call.people.sessions, row.id),
            memberships=[
                api.Membership(account_id=account.id, account_name=account_name(account), user_id=row.user_id)
            ],
        )
    return api.GetPersonResponse(
        email=person.email,
        mfa_enabled=bool(person.mfa_secret),
        recovery_codes_left=await call.transaction.people.count_recovery_codes(person.id),
        session=shown(row, call.people.sessions, row.id),
        memberships=[
            api.Membership(account_id=account.id, account_name=account_name(account), user_id=user.id)
            for user, account in await memberships(call.transaction, person.email)
        ],
    )


async def _sign_out(call: ControlCall, request: api.SignOutRequest) -> api.SignOutResponse:
    row, person = await _found(call.transaction, call.principal.key_id)
    await end(call.transaction, row)
    tell(call, SignInEventKind.SIGNED_OUT, await _email(call, row, person), row)
    return api.SignOutResponse()


async def _switch(call: ControlCall, request: api.SwitchAccountRequest) -> api.SwitchAccountResponse:
    if not request.account_id:
        raise InvalidArgument("account_id: must be given.")
    row, person = await current(call)
    # It is the same person who has signed in once: his time goes on.
    signed_in = await begin(call, person, request.account_id, row.expires_at_ns)
    await end(call.transaction, row)
    return api.SwitchAccountResponse(signed_in=signed_in)


async def _list(call: ControlCall, request: api.GetSessionsRequest) -> api.GetSessionsResponse:
    row, _ = await _found(call.transaction, call.principal.key_id)
    limits = call.people.sessions
    held = await _siblings(call, row)
    return api.GetSessionsResponse(
        sessions=[shown(each, limits, row.id) for each in held if end_ns(each, limits) > call.now_ns]
    )


async def _revoke(call: ControlCall, request: api.RevokeSessionRequest) -> api.RevokeSessionResponse:
    own, person = await _found(call.transaction, call.principal.key_id)
    row = next((each for each in await _siblings(call, own) if each.id == request.session_id), None)
    if row is None:
        raise NotFound(f"session_id: session {request.session_id} is not found.")
    await end(call.transaction, row)
    tell(call, SignInEventKind.SIGNED_OUT, await _email(call, own, person), row)
    return api.RevokeSessionResponse()


METHODS: Mapping[str, Method] = {
    "GetPerson": Method(_get_person, at_nothing),
    "SignOut": Method(_sign_out, at_nothing, changes=True),
    "SwitchAccount": Method(_switch, at_nothing, changes=True),
    "GetSessions": Method(_list, at_nothing),
    "RevokeSession": Method(_revoke, at_nothing, changes=True),
}
