"""Signing up: whoever shows that the mail reaches him, and that it was he who asked, has a login and an account.

Nothing is made before. The password is asked for again with the ticket: otherwise somebody could sign up with another's
address and his own password, and would be let in by the other's click on the link.
"""

from __future__ import annotations

from collections.abc import Mapping

from perdure.api.calls import ControlCall, Method, Preparation, at_nothing
from perdure.api.founding import found_account, new_account_id
from perdure.api.people import account_names, attempts, mails, proofs, sessions, tickets
from perdure.api.people.mails import Links
from perdure.api.people.persons import new_person
from perdure.api.people.tickets import Purpose
from perdure.api.protos import identity_pb2 as api
from perdure.api.resources import emails
from perdure.api.resources.endings import end_all
from perdure.kernel.errors import PermissionDenied, Unauthenticated


async def _prepare_sign_up(preparation: Preparation, request: api.SignUpRequest) -> str:
    """The hash of the password, which is made whether the address is known or not."""
    if not preparation.people.sign_up_is_open:
        raise PermissionDenied("Nobody can sign up here by himself: ask for an invitation.")
    preparation.people.check_mails()
    emails.check(request.email, "email")
    if request.account_name:
        account_names.check(request.account_name, "account_name")
    email = emails.folded(request.email)
    await preparation.write(
        lambda transaction: attempts.begin_mail(transaction, preparation.now_ns, email, preparation.address)
    )
    passwords = preparation.people.passwords
    await passwords.check(request.password, "password", [email, *email.split("@"), request.account_name])
    return await passwords.hash(request.password)


async def _sign_up(call: ControlCall, request: api.SignUpRequest) -> api.SignUpResponse:
    email, links = emails.folded(request.email), Links(call.endpoints.web, call.endpoints.cloud)
    is_known = bool(await sessions.memberships(call.transaction, email))
    # Also for a known address, so that it takes as long; then nobody gets it.
    ticket = tickets.issue(
        call.transaction,
        call.entropy,
        Purpose.SIGN_UP,
        email,
        call.now_ns + tickets.SIGN_UP_NS,
        password_hash=call.prepared,
        account_name=request.account_name.strip(),
    )
    call.mails.append(mails.known_already(links, email) if is_known else mails.verify(links, email, ticket))
    return api.SignUpResponse()


async def _prepare_verify(preparation: Preparation, request: api.VerifyEmailRequest) -> None:
    """Raises Unauthenticated: it is not the password that was signed up with."""
    now_ns = preparation.now_ns
    async with preparation.database.reading() as transaction:
        ticket = await tickets.look(transaction, Purpose.SIGN_UP, request.ticket, now_ns)
    await preparation.write(
        lambda transaction: attempts.begin(transaction, now_ns, ticket.subject, preparation.address)
    )
    if not await preparation.people.passwords.matches(ticket.details["password_hash"], request.password):
        proofs.failed(preparation, ticket.subject, "wrong password")
        raise Unauthenticated("password: is not the one that was signed up with.")


async def _verify(call: ControlCall, request: api.VerifyEmailRequest) -> api.VerifyEmailResponse:
    ticket = await tickets.look(call.transaction, Purpose.SIGN_UP, request.ticket, call.now_ns)
    email, people = ticket.subject, call.transaction.people
    if await sessions.memberships(call.transaction, email):
        # Another ticket was faster, or an invitation was.
        raise tickets.refused()
    person = await people.person_of(email)
    if person is None:
        person = new_person(call, email, ticket.details["password_hash"])
    else:
        # Somebody who was in an account once. The mail proves as much as it does for a password's reset.
        person.password_hash = ticket.details["password_hash"]
        await end_all(call.transaction, await people.sessions(person_id=person.id))
    account_id = await new_account_id(call.transaction, call.entropy)
    founded = await found_account(call.on_behalf_of(account_id), email, ticket.details["account_name"])
    call.changed = founded.account
    await tickets.use(call.transaction, ticket)
    await call.transaction.people.flush()
    response = api.VerifyEmailResponse(account_id=account_id)
    if person.mfa_secret:
        await proofs.take_back(call, person)
    else:
        await proofs.check_code(call, person, "")
        response.signed_in.CopyFrom(await sessions.begin(call, person, account_id))
    return response


METHODS: Mapping[str, Method] = {
    "SignUp": Method(_sign_up, at_nothing, changes=True, prepare=_prepare_sign_up),
    "VerifyEmail": Method(_verify, at_nothing, changes=True, prepare=_prepare_verify),
}
