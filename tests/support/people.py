"""People who use a control plane: what they have, and what they do again and again."""

from __future__ import annotations

from dataclasses import dataclass

import pyotp

from perdure.api.people.totp import STEP_NS
from tests.support.control_plane import ControlBench

PASSWORD = "a rather long pass phrase"
OTHER_PASSWORD = "another quite different one"
WRONG = "not the one at all, sorry"
ANN, BOB = "ann@example.com", "bob@example.com"


@dataclass
class Person:
    email: str
    token: str
    account_id: str
    secret: str = ""
    recovery_codes: tuple[str, ...] = ()


async def sign_up(bench: ControlBench, email: str = ANN, account_name: str = "Acme") -> Person:
    """From the form to the first session, in an account of one's own."""
    await bench.person("SignUp", {"email": email, "password": PASSWORD, "accountName": account_name})
    ticket = await bench.mailed(email)
    answer = await bench.person("VerifyEmail", {"ticket": ticket, "password": PASSWORD})
    return Person(email, answer.signed_in.token, answer.account_id)


async def sign_in(bench: ControlBench, email: str = ANN, **more: str) -> str:
    answer = await bench.person("SignIn", {"email": email, "password": PASSWORD, **more})
    return str(answer.signed_in.token)


async def enrol(bench: ControlBench, person: Person) -> None:
    """Give him a second factor."""
    person.secret = (await bench.person("EnrolMfa", {"password": PASSWORD}, person.token)).secret
    confirmed = await bench.person("ConfirmMfa", {"code": code(bench, person.secret)}, person.token)
    person.recovery_codes = tuple(confirmed.recovery_codes)


def code(bench: ControlBench, secret: str) -> str:
    """What the authenticator app shows now."""
    return pyotp.TOTP(secret).generate_otp(bench.runtime.clock.now_ns() // STEP_NS)


async def invite(bench: ControlBench, owner: Person, email: str = BOB, role: str = "ROLE_DEVELOPER") -> str:
    """The id of the user."""
    spec = {"email": email, "access": {"accountAccess": {"role": role}}}
    return str((await bench.call(owner.token, "CreateUser", {"spec": spec})).user_id)
