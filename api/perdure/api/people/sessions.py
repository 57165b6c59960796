"""Sessions: a person, signed in as a user of one account. Gateways know them as they know API keys."""

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
from perdure.api.resources.publishing import is_active
from perdure.auth import secrets
from perdure.auth.access.records import CredentialRecord
from perdure.auth.policy.grants import KeyScope
from perdure.kernel.errors import FailedPrecondition, InvalidArgument, NotFound, Unauthenticated

#: What an account has switched on, in its details.
MFA_REQUIRED: Final = "mfa_required"
#: What people call it.
TITLE: Final = "title"


async def memberships(transaction: Transaction, email: str) -> Sequence[tuple[ResourceRow, ResourceRow]]:
    """The users that somebody of this address is, each with its account, in the order of the accounts' ids."""
    found = []
    for user in await transaction.everywhere(kinds.USER, email):
        account = await transaction.resource(kinds.ACCOUNT, user.account_id)
        is_open = account is not None and account.state == rows.ACTIVE
        if is_open and account is not None and is_active(user):
            found.append((user, account))
    return sorted(found, key=lambda each: each[1].id)


def account_name(account: ResourceRow) -> str:
    return str(account.details.get(TITLE) or account.id)


async def begin(
    call: ControlCall, person: PersonRow, account_id: str = "", ends_at_ns: int | None = None
) -> api.SignedIn:
    """A session in one of the person's accounts; if none is named, in the last one. If `ends_at_ns` is given, it ends
    then at the latest.

    Raises:
        FailedPrecondition: there is none.
        NotFound: it is not one of his.
    """
    mine = await memberships(call.transaction, person.email)
    if not mine:
        raise FailedPrecondition("You belong to no account: sign up for one, or accept an invitation.")
    wanted = account_id or person.last_account_id
    found = next(((user, account) for user, account in mine if account.id == wanted), None)
    if found is None and account_id:
        raise NotFound(f"account_id: account {account_id} is not found.")
    user, account = found or mine[0]
    await _make_room(call, person)
    given = secrets.give(secrets.SecretKind.SESSION, call.entropy)
    row = SessionRow(
        id=given.id,
        person_id=person.id,
        user_id=user.id,
        account_id=account.id,
        secret_hash=given.secret_hash,
        scope=_scope(person, account),
        address=call.address,
        user_agent=call.user_agent,
        created_at_ns=call.now_ns,
        used_at_ns=call.now_ns,
        expires_at_ns=ends_at_ns or call.now_ns + call.people.sessions.lifetime_ns,
    )
    call.transaction.people.add(row)
    publish(call.transaction, row, call.people.sessions)
    person.last_account_id = account.id
    tell(call, SignInEventKind.SIGNED_IN, person, row)
    return api.SignedIn(
        token=given.text,
        session=shown(row, call.people.sessions, given.id),
        mfa_enrolment_required=row.scope != KeyScope.FULL,
    )


async def end(transaction: Transaction, row: SessionRow) -> None:
    await transaction.people.remove(row)
    transaction.withdraw("credential", row.id)


async def end_all(transaction: Transaction, ended: Sequence[SessionRow]) -> None:
    for row in ended:
        await end(transaction, row)


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
        person = await call.transaction.people.person(row.person_id)
        account = await call.transaction.resource(kinds.ACCOUNT, row.account_id)
        if person is None or account is None:
            await end(call.transaction, row)
        elif row.scope != (scope := _scope(person, account)):
            row.scope = scope
            publish(call.transaction, row, call.people.sessions)


async def current(call: ControlCall) -> tuple[SessionRow, PersonRow]:
    """The caller's session and who he is. Raises Unauthenticated: it has just ended."""
    return await session_of(call.transaction, call.principal.key_id)


async def session_of(transaction: Transaction, session_id: str) -> tuple[SessionRow, PersonRow]:
    """Raises Unauthenticated: it has just ended."""
    row = await transaction.people.session(session_id)
    person = await transaction.people.person(row.person_id) if row is not None else None
    if row is None or person is None:
        raise Unauthenticated("The session has ended.")
    return row, person


def tell(call: ControlCall, kind: SignInEventKind, person: PersonRow, row: SessionRow) -> None:
    call.events.append(
        SignInEvent(
            kind,
            call.now_ns,
            person.email,
            call.address,
            call.user_agent,
            person_id=person.id,
            user_id=row.user_id,
            account_id=row.account_id,
            session_id=row.id,
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
    lacking = account.details.get(MFA_REQUIRED) and not person.mfa_secret
    return KeyScope.ENROLMENT if lacking else KeyScope.FULL


async def _make_room(call: ControlCall, person: PersonRow) -> None:
    held = await call.transaction.people.sessions(person_id=person.id)
    await end_all(call.transaction, held[call.people.sessions.per_person_max - 1 :])


async def _get_person(call: ControlCall, request: api.GetPersonRequest) -> api.GetPersonResponse:
    row, person = await current(call)
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
    row, person = await current(call)
    await end(call.transaction, row)
    tell(call, SignInEventKind.SIGNED_OUT, person, row)
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
    row, person = await current(call)
    limits = call.people.sessions
    held = await call.transaction.people.sessions(person_id=person.id)
    return api.GetSessionsResponse(
        sessions=[shown(each, limits, row.id) for each in held if end_ns(each, limits) > call.now_ns]
    )


async def _revoke(call: ControlCall, request: api.RevokeSessionRequest) -> api.RevokeSessionResponse:
    _, person = await current(call)
    row = await call.transaction.people.session(request.session_id)
    if row is None or row.person_id != person.id:
        raise NotFound(f"session_id: session {request.session_id} is not found.")
    await end(call.transaction, row)
    tell(call, SignInEventKind.SIGNED_OUT, person, row)
    return api.RevokeSessionResponse()


METHODS: Mapping[str, Method] = {
    "GetPerson": Method(_get_person, at_nothing),
    "SignOut": Method(_sign_out, at_nothing, changes=True),
    "SwitchAccount": Method(_switch, at_nothing, changes=True),
    "GetSessions": Method(_list, at_nothing),
    "RevokeSession": Method(_revoke, at_nothing, changes=True),
}
