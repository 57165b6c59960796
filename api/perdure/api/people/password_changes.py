"""Another password: by the one of before, or by a mail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from perdure.api.calls import ControlCall, Method, Preparation, at_nothing
from perdure.api.people import attempts, mails, proofs, sessions, tickets
from perdure.api.people.mails import Links
from perdure.api.people.persons import new_person
from perdure.api.people.proofs import Proven
from perdure.api.people.tickets import Purpose
from perdure.api.protos import identity_pb2 as api
from perdure.api.resources import emails
from perdure.api.resources.endings import end_all


class _Change(NamedTuple):
    proven: Proven
    new_hash: str


async def _prepare_change(preparation: Preparation, request: api.ChangePasswordRequest) -> _Change:
    proven = await proofs.prove_again(preparation, request.password, "")
    return _Change(proven, await _new_hash(preparation, request.new_password, proven.email))


async def _change(call: ControlCall, request: api.ChangePasswordRequest) -> api.ChangePasswordResponse:
    person = await proofs.person_of(call, call.prepared.proven)
    await proofs.take_back(call, person)
    person.password_hash = call.prepared.new_hash
    others = await call.transaction.people.sessions(person_id=person.id)
    await end_all(call.transaction, [each for each in others if each.id != call.principal.key_id])
    await call.transaction.people.forget_tickets(Purpose.PASSWORD_RESET, person.email)
    call.mails.append(mails.password_changed(person.email))
    return api.ChangePasswordResponse()


async def _prepare_request(preparation: Preparation, request: api.RequestPasswordResetRequest) -> None:
    preparation.people.check_mails()
    emails.check(request.email, "email")
    email = emails.folded(request.email)
    await preparation.write(
        lambda transaction: attempts.begin_mail(transaction, preparation.now_ns, email, preparation.address)
    )


async def _request(call: ControlCall, request: api.RequestPasswordResetRequest) -> api.RequestPasswordResetResponse:
    email = emails.folded(request.email)
    known = await call.transaction.people.person_of(email)
    # Also for an unknown address, so that it takes as long; then nobody gets it.
    expires_at_ns = call.now_ns + tickets.PASSWORD_RESET_NS
    ticket = tickets.issue(call.transaction, call.entropy, Purpose.PASSWORD_RESET, email, expires_at_ns)
    # An owner that an operator has made has no login yet.
    if known is not None or await sessions.memberships(call.transaction, email):
        call.mails.append(mails.reset(Links(call.endpoints.web, call.endpoints.cloud), email, ticket))
    return api.RequestPasswordResetResponse()


async def _prepare_reset(preparation: Preparation, request: api.ResetPasswordRequest) -> str:
    async with preparation.database.reading() as transaction:
        ticket = await tickets.look(transaction, Purpose.PASSWORD_RESET, request.ticket, preparation.now_ns)
    return await _new_hash(preparation, request.new_password, ticket.subject)


async def _reset(call: ControlCall, request: api.ResetPasswordRequest) -> api.ResetPasswordResponse:
    ticket = await tickets.look(call.transaction, Purpose.PASSWORD_RESET, request.ticket, call.now_ns)
    email, people = ticket.subject, call.transaction.people
    await tickets.use(call.transaction, ticket)
    person = await people.person_of(email)
    if person is None:
        person = new_person(call, email, call.prepared)
    person.password_hash = call.prepared
    await end_all(call.transaction, await people.sessions(person_id=person.id))
    # Whoever has been trying to get in does not keep him out.
    await attempts.welcome(call.transaction, call.now_ns, email, call.address)
    call.mails.append(mails.password_changed(email))
    return api.ResetPasswordResponse()


async def _new_hash(preparation: Preparation, password: str, email: str) -> str:
    passwords = preparation.people.passwords
    await passwords.check(password, "new_password", [email, *email.split("@")])
    return await passwords.hash(password)


METHODS: Mapping[str, Method] = {
    "ChangePassword": Method(_change, at_nothing, changes=True, prepare=_prepare_change),
    "RequestPasswordReset": Method(_request, at_nothing, changes=True, prepare=_prepare_request),
    "ResetPassword": Method(_reset, at_nothing, changes=True, prepare=_prepare_reset),
}
