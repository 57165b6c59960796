"""Signing in: with what, as whom, and how often it may be tried."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Literal

import pytest
from argon2 import PasswordHasher

from perdure.api.people.events import SignInEventKind
from perdure.kernel import errors
from perdure.kernel.clock import SECOND_NS, VirtualClock
from perdure.kernel.limits import ControlLimits
from perdure.kernel.runtime import Runtime
from tests.support import control_plane
from tests.support.control_plane import ControlBench, control_bench
from tests.support.people import ANN, BOB, PASSWORD, WRONG, code, enrol, sign_in, sign_up

FAR = "198.51.100.7"


async def attempt(bench: ControlBench, email: str = ANN, address: str = FAR, **more: str) -> None:
    await bench.person("SignIn", {"email": email, "password": WRONG, **more}, address=address)


async def test_a_wrong_password_and_an_unknown_address_are_answered_alike(bench: ControlBench) -> None:
    await sign_up(bench)
    refusals = []
    for email in (ANN, BOB):
        with pytest.raises(errors.Unauthenticated) as refused:
            await attempt(bench, email)
        refusals.append(refused.value.message)
    assert refusals[0] == refusals[1]
    failures = [event for event in bench.events if event.kind is SignInEventKind.FAILED]
    assert [(event.email, bool(event.person_id), event.address) for event in failures] == [
        (ANN, True, FAR),
        (BOB, False, FAR),
    ]


async def test_both_cost_the_same_work(bench: ControlBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever measures how long it takes learns nothing: one hash is compared, and as much is written."""
    await sign_up(bench)
    verified: list[str] = []

    class Recording(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
            verified.append(str(hash).rpartition("$")[0].rpartition("$")[0])
            return super().verify(hash, password)

    monkeypatch.setattr(control_plane, "_HASHER", Recording(time_cost=1, memory_cost=8, parallelism=1))
    async with bench.another() as measured:
        for email in (ANN, BOB):
            with pytest.raises(errors.Unauthenticated):
                await attempt(measured, email)
        tickets = []
        for email in (ANN, BOB):
            await measured.person("RequestPasswordReset", {"email": email})
            form = {"email": email, "password": PASSWORD, "accountName": "Acme"}
            await measured.person("SignUp", form)
            tickets.append(await count_tickets(measured))
    assert len(verified) == 2
    assert verified[0] == verified[1], "with the same parameters"
    assert tickets == [2, 4]


async def count_tickets(bench: ControlBench) -> int:
    with sqlite3.connect(bench.url.removeprefix("sqlite://")) as database:
        return int(database.execute("select count(*) from tickets").fetchone()[0])


async def test_known_and_unknown_addresses_are_slowed_alike(bench: ControlBench) -> None:
    await sign_up(bench)
    answers: dict[str, list[str]] = {ANN: [], BOB: []}
    for number in range(20):
        for email, said in answers.items():
            with pytest.raises(errors.ServiceError) as refused:
                await attempt(bench, email, f"198.51.{100 + (email == ANN)}.{number % 3}")
            said.append(refused.value.message)
        await bench.pass_time(SECOND_NS)
    assert answers[ANN] == answers[BOB]
    assert any("try again" in each for each in answers[ANN])


async def test_trying_again_and_again_takes_longer_and_longer(bench: ControlBench) -> None:
    await sign_up(bench)
    waits = []
    for _ in range(12):
        seconds = 0
        while True:
            try:
                await attempt(bench)
            except errors.ResourceExhausted:
                await bench.pass_time(SECOND_NS)
                seconds += 1
            except errors.Unauthenticated:
                break
        waits.append(seconds)
    assert waits == [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64]


async def test_many_at_once_gain_nothing(bench: ControlBench) -> None:
    await sign_up(bench)
    tries = [attempt(bench) for _ in range(30)]
    answers = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(answer, errors.Unauthenticated) for answer in answers) <= 6


async def test_a_stranger_locks_nobody_out(bench: ControlBench) -> None:
    """However many addresses he has, and for how long he tries."""
    await sign_up(bench)
    for number in range(80):
        with pytest.raises(errors.ServiceError):
            await attempt(bench, address=f"203.0.113.{number}")
    # Where she is known, she does not even notice.
    await sign_in(bench)
    # Where she is not, she waits for a minute.
    request = {"email": ANN, "password": PASSWORD}
    with pytest.raises(errors.ResourceExhausted):
        await bench.person("SignIn", request, address=FAR)
    await bench.pass_time(61 * SECOND_NS)
    await bench.person("SignIn", request, address=FAR)


async def test_a_password_that_is_right_does_not_wash_away_what_was_tried(bench: ControlBench) -> None:
    """With a second factor, knowing the password is no success; and with a login of one's own one is no one else."""
    ann = await sign_up(bench)
    await enrol(bench, ann)
    for _ in range(4):
        with pytest.raises(errors.Unauthenticated):
            await attempt(bench)
        assert (await bench.person("SignIn", {"email": ANN, "password": PASSWORD}, address=FAR)).code_required
    with pytest.raises(errors.Unauthenticated):
        await attempt(bench)
    with pytest.raises(errors.ResourceExhausted):
        await attempt(bench)


async def test_codes_are_not_guessed(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    await enrol(bench, ann)
    request = {"email": ANN, "password": PASSWORD}
    wrong = "000000" if code(bench, ann.secret) != "000000" else "111111"
    for _ in range(5):
        with pytest.raises(errors.PermissionDenied, match="code"):
            await bench.person("SignIn", {**request, "code": wrong})
        await bench.pass_time(SECOND_NS)
    await bench.pass_time(SECOND_NS)
    with pytest.raises(errors.PermissionDenied):
        await bench.person("SignIn", {**request, "code": wrong})
    with pytest.raises(errors.ResourceExhausted):
        await bench.person("SignIn", {**request, "code": code(bench, ann.secret)}, address="203.0.113.9")


async def test_addresses_of_one_network_count_as_one(bench: ControlBench) -> None:
    await sign_up(bench)
    for number in range(5):
        with pytest.raises(errors.Unauthenticated):
            await attempt(bench, address=f"2001:db8::{number}")
    with pytest.raises(errors.ResourceExhausted):
        await attempt(bench, address="2001:db8::ffff")
    with pytest.raises(errors.Unauthenticated):
        await attempt(bench, address="2001:db8:1::1")


async def test_calls_without_credentials_are_bounded_by_address(tmp_path: Path) -> None:
    limits, runtime = ControlLimits(anonymous_requests_per_second=3), Runtime(clock=VirtualClock())
    async with control_bench(f"sqlite:///{tmp_path}/control-plane.db", limits, runtime=runtime) as bench:
        for _ in range(3):
            with pytest.raises(errors.InvalidArgument):
                await bench.person("SignIn", {"email": "x"})
        with pytest.raises(errors.ResourceExhausted, match=r"cloud\.anonymousRPS is 3"):
            await bench.person("SignIn", {"email": "x"})
        with pytest.raises(errors.InvalidArgument):
            await bench.person("SignIn", {"email": "x"}, address=FAR)


async def test_it_is_counted_over_processes(bench: ControlBench) -> None:
    await sign_up(bench)
    for _ in range(5):
        with pytest.raises(errors.Unauthenticated):
            await attempt(bench)
    async with bench.another() as other:
        with pytest.raises(errors.ResourceExhausted):
            await attempt(other)
        assert await sign_in(other)


async def test_what_was_typed_in_other_letters_is_the_same(bench: ControlBench) -> None:
    await sign_up(bench)
    await bench.person("SignIn", {"email": " Ann@Example.COM ", "password": PASSWORD})
