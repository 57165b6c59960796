"""Invitations: a user is nobody until the person of his address has said yes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from perdure.api.calls import ControlCall, Method, Preparation, at_nothing
from perdure.api.data import Transaction
from perdure.api.data.person_tables import PersonRow, TicketRow
from perdure.api.data.tables import ResourceRow
from perdure.api.people import attempts, mails, proofs, sessions, tickets
from perdure.api.people.mails import Links
from perdure.api.people.persons import new_person
from perdure.api.people.proofs import Proven
from perdure.api.people.tickets import Purpose
from perdure.api.protos import identity_pb2 as api
from perdure.api.resources import accesses, kinds, rows
from perdure.api.resources.publishing import access_of, publish_identity
from perdure.api.resources.user_states import INVITATION, MADE_BY
from perdure.auth.policy.grants import Target
from perdure.kernel.errors import FailedPrecondition, PermissionDenied
from perdure.kernel.namespace import DAY_NS

LIFETIME_NS: Final = 14 * DAY_NS


async def invite(call: ControlCall, user: ResourceRow) -> None:
    """Mail him a link. Those of before are worth nothing any more.

    Raises:
        FailedPrecondition: no mails are sent, and he could not come by the account's provider either.
        ResourceExhausted: he has been mailed too often of late, by whichever account.
    """
    if not await call.transaction.count(call.account_id, kinds.SIGN_ON_CONNECTION):
        call.people.check_mails()
    await attempts.begin_mail(call.transaction, call.now_ns, user.name)
    expires_at_ns = call.now_ns + LIFETIME_NS
    if not user.details.get(MADE_BY):
        # Whoever comes by the account's provider goes on doing so meanwhile.
        user.details = {**user.details, INVITATION: {"created_at_ns": call.now_ns, "expires_at_ns": expires_at_ns}}
    await withdraw(call.transaction, user)
    ticket = tickets.issue(call.transaction, call.entropy, Purpose.INVITATION, user.id, expires_at_ns, email=user.name)
    account = await rows.find(call, kinds.ACCOUNT, call.account_id, field="account")
    name = sessions.account_name(account)
    call.mails.append(mails.invitation(Links(call.endpoints.web, call.endpoints.cloud), user.name, name, ticket))


async def withdraw(transaction: Transaction, user: ResourceRow) -> None:
    await transaction.people.forget_tickets(Purpose.INVITATION, user.id)


async def _resend(call: ControlCall, request: api.ResendInvitationRequest) -> api.ResendInvitationResponse:
    user = await rows.find(call, kinds.USER, request.user_id, field="user_id")
    if not user.details.get(INVITATION) and not user.details.get(MADE_BY):
        raise FailedPrecondition(f"user_id: user {user.id} has accepted the invitation already.")
    await invite(call, user)
    rows.touch(call, user)
    return api.ResendInvitationResponse()


async def _at_user(call: ControlCall, request: api.ResendInvitationRequest) -> Target:
    row = await call.transaction.resource(kinds.USER, request.user_id)
    if row is None or row.account_id != call.account_id:
        return Target(call.account_id)
    return accesses.target_of_change(call.account_id, accesses.NOTHING, access_of(row))


async def _prepare_accept(preparation: Preparation, request: api.AcceptInvitationRequest) -> Proven | str:
    """Who he is, if he has a login; else the hash of the password that he chooses."""
    async with preparation.database.reading() as transaction:
        ticket = await tickets.look(transaction, Purpose.INVITATION, request.ticket, preparation.now_ns)
        email = ticket.details["email"]
        person = await transaction.people.person_of(email)
    if person is not None:
        return await proofs.prove(preparation, email, request.password, request.code)
    passwords = preparation.people.passwords
    await passwords.check(request.password, "password", [email, *email.split("@")])
    return await passwords.hash(request.password)


async def _accept(call: ControlCall, request: api.AcceptInvitationRequest) -> api.AcceptInvitationResponse:
    ticket = await tickets.look(call.transaction, Purpose.INVITATION, request.ticket, call.now_ns)
    if isinstance(call.prepared, Proven):
        person = await proofs.person_of(call, call.prepared)
        if person.mfa_secret and not request.code:
            await proofs.take_back(call, person)
            return api.AcceptInvitationResponse(code_required=True)
    else:
        person = new_person(call, ticket.details["email"], call.prepared)
    await proofs.check_code(call, person, request.code)
    user = await _join(call, ticket)
    return api.AcceptInvitationResponse(signed_in=await sessions.begin(call, person, user.account_id))


async def _join_account(call: ControlCall, request: api.JoinAccountRequest) -> api.JoinAccountResponse:
    _, person = await sessions.current(call)
    ticket = await tickets.look(call.transaction, Purpose.INVITATION, request.ticket, call.now_ns)
    _check_addressee(person, ticket)
    user = await _join(call, ticket)
    return api.JoinAccountResponse(account_id=user.account_id)


def _check_addressee(person: PersonRow, ticket: TicketRow) -> None:
    if person.email != ticket.details["email"]:
        raise PermissionDenied("ticket: the invitation is for another address.")


async def _join(call: ControlCall, ticket: TicketRow) -> ResourceRow:
    """He is a user now. Raises InvalidArgument: the account is not there any more."""
    user = await call.transaction.resource(kinds.USER, ticket.subject)
    account = await call.transaction.resource(kinds.ACCOUNT, user.account_id) if user is not None else None
    if user is None or account is None or account.state != rows.ACTIVE:
        raise tickets.refused()
    await tickets.use(call.transaction, ticket)
    user.details = {name: value for name, value in user.details.items() if name not in (INVITATION, MADE_BY)}
    rows.touch(call, user)
    await call.transaction.people.flush()
    await publish_identity(call.transaction, user)
    return user


METHODS: Mapping[str, Method] = {
    "ResendInvitation": Method(_resend, _at_user, changes=True),
    "AcceptInvitation": Method(_accept, at_nothing, changes=True, prepare=_prepare_accept),
    "JoinAccount": Method(_join_account, at_nothing, changes=True),
}
