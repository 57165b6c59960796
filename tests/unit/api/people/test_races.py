"""What two do at the same time: in one process, and through two on a database that they share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any

import pytest

from perdure.api.people import totp
from perdure.kernel import errors
from perdure.kernel.clock import SECOND_NS, VirtualClock
from perdure.kernel.runtime import Runtime
from tests.support.control_plane import ControlBench, control_bench
from tests.support.people import ANN, BOB, OTHER_PASSWORD, PASSWORD, WRONG, code, enrol, invite, sign_in, sign_up
from tests.support.postgres import PostgresForTests
from tests.unit.api.people.conftest import LIMITS

Two = tuple[ControlBench, ControlBench]


@pytest.fixture(params=["sqlite", "postgres"])
async def two(request: pytest.FixtureRequest, tmp_path: Path, postgres: PostgresForTests) -> AsyncIterator[Two]:
    """A file is for one process."""
    runtime = Runtime(clock=VirtualClock())
    if request.param == "sqlite":
        async with control_bench(f"sqlite:///{tmp_path / 'control-plane.db'}", LIMITS, runtime=runtime) as sole:
            yield sole, sole
    else:
        async with control_bench(postgres.new(1)["main"], LIMITS, runtime=runtime) as one, one.another() as other:
            yield one, other


async def outcomes(*calls: Awaitable[Any]) -> tuple[list[Any], list[errors.ServiceError]]:
    """What was answered, and what was refused; anything else is a defect."""
    answers = await asyncio.gather(*calls, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, errors.ServiceError)]
    good = [answer for answer in answers if not isinstance(answer, BaseException)]
    assert len(good) + len(refused) == len(answers), answers
    return good, refused


async def test_two_sign_ups_of_one_address_make_one_login(two: Two) -> None:
    requests = []
    for bench in two:
        await bench.person("SignUp", {"email": ANN, "password": PASSWORD, "accountName": "Acme"})
        requests.append({"ticket": await bench.mailed(ANN), "password": PASSWORD})
    good, refused = await outcomes(
        *(bench.person("VerifyEmail", request) for bench, request in zip(two, requests, strict=True))
    )
    assert len(good) == 1
    assert [type(each) for each in refused] == [errors.InvalidArgument]
    token = await sign_in(two[0])
    assert len((await two[0].person("GetPerson", token=token)).memberships) == 1


async def test_two_accept_one_invitation_once(two: Two) -> None:
    ann = await sign_up(two[0])
    await invite(two[0], ann)
    request = {"ticket": await two[0].mailed(BOB), "password": PASSWORD}
    good, refused = await outcomes(*(bench.person("AcceptInvitation", request) for bench in two))
    assert len(good) == 1
    # The other comes too late, for the ticket or for being new.
    assert isinstance(refused[0], errors.InvalidArgument | errors.Unauthenticated)


async def test_a_ticket_to_a_password_is_used_once(two: Two) -> None:
    await sign_up(two[0])
    await two[0].person("RequestPasswordReset", {"email": ANN})
    ticket = await two[0].mailed(ANN)
    good, refused = await outcomes(
        *(bench.person("ResetPassword", {"ticket": ticket, "newPassword": OTHER_PASSWORD}) for bench in two)
    )
    assert len(good) == 1
    assert [type(each) for each in refused] == [errors.InvalidArgument]


async def test_a_code_signs_in_once(two: Two) -> None:
    ann = await sign_up(two[0])
    await enrol(two[0], ann)
    await two[0].pass_time(totp.STEP_NS)
    for typed in (code(two[0], ann.secret), ann.recovery_codes[0]):
        good, _ = await outcomes(*(sign_in(bench, code=typed) for bench in (*two, *two)))
        assert len(good) == 1


async def test_many_tries_at_once_gain_nothing(two: Two) -> None:
    await sign_up(two[0])
    request = {"email": ANN, "password": WRONG}
    _, refused = await outcomes(
        *(bench.person("SignIn", request, address="198.51.100.7") for bench in two for _ in range(15))
    )
    assert len(refused) == 30
    assert sum(isinstance(each, errors.Unauthenticated) for each in refused) <= 5


async def test_two_processes_report_one_session(two: Two) -> None:
    ann = await sign_up(two[0])
    for bench in two:
        await bench.access.watch.look()
        await bench.call(ann.token, "GetAccount")
        await bench.pass_time(SECOND_NS)
    await asyncio.gather(*(bench.access.uses.report() for bench in reversed(two)))
    shown = (await two[0].person("GetPerson", token=ann.token)).session
    used_ns = shown.last_used_time.ToNanoseconds()
    assert 0 < two[0].runtime.clock.now_ns() - used_ns <= 2 * SECOND_NS


async def test_an_account_has_an_owner_whoever_leaves_first(two: Two) -> None:
    ann = await sign_up(two[0])
    await invite(two[0], ann, role="ROLE_OWNER")
    request = {"ticket": await two[0].mailed(BOB), "password": PASSWORD}
    bob = (await two[0].person("AcceptInvitation", request)).signed_in
    me = (await two[0].call(ann.token, "GetCurrentIdentity")).user
    him = (await two[0].call(bob.token, "GetCurrentIdentity")).user
    good, refused = await outcomes(
        *(
            bench.call(ann.token, "DeleteUser", {"userId": user.id, "resourceVersion": user.resource_version})
            for bench, user in zip(two, (me, him), strict=True)
        )
    )
    assert len(good) == 1, refused
