"""Proving who one is: a password, and a second factor if there is one.

The password is tried before the transaction, in a thread; within it nothing is done that takes long. What is tried is
counted first, so that trying many at once gains nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import structlog

from perdure.api.calls import ControlCall, Preparation
from perdure.api.data import Transaction
from perdure.api.data.person_tables import PersonRow
from perdure.api.people import attempts, totp
from perdure.api.people.events import SignInEvent, SignInEventKind
from perdure.api.people.sessions import session_of
from perdure.api.sealing import CannotOpen
from perdure.kernel.errors import InvalidArgument, PermissionDenied, ServiceError, Unauthenticated

_log = structlog.get_logger("perdure.api")

#: The one answer to a wrong password and to an unknown address.
_WRONG = "The e-mail address or the password is wrong."
_WRONG_PASSWORD = "password: is wrong."
_WRONG_CODE = "code: is wrong, or has been used."


class Proven(NamedTuple):
    """That somebody knows the password of a person. `renewed` is its hash as it is made today, if it is another."""

    person_id: str
    email: str
    password_hash: str
    renewed: str = ""


async def prove(preparation: Preparation, email: str, password: str, code: str) -> Proven:
    """Somebody says that he is the person of this address.

    Raises:
        InvalidArgument: there is no password.
        Unauthenticated: he is not, or there is none.
        ResourceExhausted: he has to wait.
    """
    return await _prove(preparation, email, password, code, Unauthenticated(_WRONG))


async def prove_again(preparation: Preparation, password: str, code: str) -> Proven:
    """Whoever has a session shows that it is still himself, before something weighty.

    Raises:
        InvalidArgument: there is no password.
        Unauthenticated: the session has just ended.
        PermissionDenied: the password is wrong.
        ResourceExhausted: he has to wait.
    """
    async with preparation.database.reading() as transaction:
        _, person = await session_of(transaction, preparation.principal.key_id)
    return await _prove(preparation, person.email, password, code, PermissionDenied(_WRONG_PASSWORD))


async def person_of(call: ControlCall, proven: Proven) -> PersonRow:
    """Who has proven it. Raises Unauthenticated: the password has been changed meanwhile."""
    person = await call.transaction.people.person(proven.person_id)
    if person is None or person.password_hash != proven.password_hash:
        raise Unauthenticated(_WRONG)
    person.password_hash = proven.renewed or person.password_hash
    return person


async def begin_code(preparation: Preparation, person: PersonRow) -> None:
    """Whoever has shown the password before tries a second factor now.

    Raises:
        ResourceExhausted: he has to wait.
    """
    now_ns, address, email, person_id = preparation.now_ns, preparation.address, person.email, person.id

    async def begin(transaction: Transaction) -> None:
        # As if the password came along, since `check_code` gives that try back too.
        await attempts.begin(transaction, now_ns, email, address)
        await attempts.begin_code(transaction, now_ns, person_id)

    await preparation.write(begin)


async def check_code(call: ControlCall, person: PersonRow, code: str) -> None:
    """A second factor is used up, and the tries are forgotten: he is who he says.

    Raises:
        PermissionDenied: it is wrong, or has been used.
    """
    if person.mfa_secret and not await _use_code(call, person, code):
        failed(call, person.email, "wrong code", person.id)
        raise PermissionDenied(_WRONG_CODE)
    await attempts.succeed(
        call.transaction, call.now_ns, person.email, call.address, person.id, by_code=bool(person.mfa_secret)
    )


async def take_back(call: ControlCall, person: PersonRow) -> None:
    """The password was right, and the second factor is not there yet."""
    await attempts.take_back(call.transaction, call.now_ns, person.email, call.address)


def use_step(call: ControlCall, person: PersonRow, sealed: str, code: str) -> bool:
    """Whether the authenticator app with this secret says so now; if it does, it cannot say the same again."""
    try:
        secret = call.sealer.open(sealed, about_mfa(person))
    except CannotOpen as error:
        # Recovery codes are still good, and with one of them another secret can be set up.
        _log.warning("a second factor cannot be read", person=person.id, error=str(error))
        return False
    step = totp.matching_step(secret, code, call.now_ns, person.mfa_step)
    if step is None:
        return False
    person.mfa_step = step
    return True


def about_mfa(person: PersonRow) -> str:
    """What the secret of a second factor is sealed for."""
    return f"mfa:{person.id}"


async def _prove(preparation: Preparation, email: str, password: str, code: str, wrong: ServiceError) -> Proven:
    now_ns, passwords = preparation.now_ns, preparation.people.passwords
    if not password:
        raise InvalidArgument("password: must be given.")

    async def begin(transaction: Transaction) -> PersonRow | None:
        await attempts.begin(transaction, now_ns, email, preparation.address)
        return await transaction.people.person_of(email)

    person = await preparation.write(begin)
    if not await passwords.matches(person.password_hash if person else "", password) or person is None:
        failed(preparation, email, "wrong password", person.id if person else "")
        raise wrong
    if code and person.mfa_secret:
        person_id = person.id
        await preparation.write(lambda transaction: attempts.begin_code(transaction, now_ns, person_id))
    renewed = await passwords.hash(password) if passwords.is_outdated(person.password_hash) else ""
    return Proven(person.id, person.email, person.password_hash, renewed)


def failed(visit: Preparation | ControlCall, email: str, reason: str, person_id: str = "") -> None:
    visit.people.observe(
        SignInEvent(
            SignInEventKind.FAILED, visit.now_ns, email, visit.address, visit.user_agent, person_id, reason=reason
        )
    )


async def _use_code(call: ControlCall, person: PersonRow, code: str) -> bool:
    if use_step(call, person, person.mfa_secret, code):
        return True
    recovery = await call.transaction.people.recovery_code(person.id, totp.recovery_hash(code))
    if recovery is None:
        return False
    await call.transaction.people.remove(recovery)
    return True
