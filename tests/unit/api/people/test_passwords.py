"""Which passwords are good enough, and how they are kept."""

from __future__ import annotations

import asyncio
import threading

import pytest
from argon2 import PasswordHasher

from perdure.api.people import passwords as module
from perdure.api.people.passwords import RECOMMENDED, Passwords
from perdure.kernel import errors
from perdure.kernel.entropy import Entropy
from tests.support import control_plane
from tests.support.control_plane import ControlBench
from tests.support.people import ANN, PASSWORD, sign_in, sign_up

WEAK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.mark.parametrize(
    "password",
    ["", "elevenchars", "x" * 257, "123456789012", "aaaaaaaaaaaa", "qwertyuiopas", "passwordpassword", "annexample"],
)
async def test_bad_ones_are_refused(password: str) -> None:
    with pytest.raises(errors.InvalidArgument, match=r"^password: "):
        await Passwords(Entropy(), WEAK).check(password, "password", ["annexample", "ann"])


@pytest.mark.parametrize("password", [PASSWORD, "kA9#mm2Lp0qz", "grüne Katzen träumen leise", "x8" * 3 + "Wq!z" * 60])
async def test_good_ones_are_not(password: str) -> None:
    await Passwords(Entropy(), WEAK).check(password, "password")


async def test_they_match_themselves_and_nothing_else() -> None:
    passwords = Passwords(Entropy(), WEAK)
    kept = await passwords.hash("grüne Katzen")
    assert kept != await passwords.hash("grüne Katzen"), "each has a salt of its own"
    assert await passwords.matches(kept, "grüne Katzen")
    assert await passwords.matches(kept, "gru\N{COMBINING DIAERESIS}ne Katzen"), "however it is typed"
    for other in ("", "Grüne Katzen", "grüne Katzen ", "x" * 10_000):
        assert not await passwords.matches(kept, other)


@pytest.mark.parametrize("nothing", ["", "not a hash", "$argon2id$v=19$m=8,t=1,p=1$AAAA$AAAA"])
async def test_nobody_has_no_password(nothing: str) -> None:
    passwords = Passwords(Entropy(), WEAK)
    for typed in ("", "x", PASSWORD):
        assert not await passwords.matches(nothing, typed)


async def test_whoever_signs_in_is_kept_as_is_done_today(bench: ControlBench, monkeypatch: pytest.MonkeyPatch) -> None:
    await sign_up(bench)
    hasher = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
    monkeypatch.setattr(control_plane, "_HASHER", hasher)
    async with bench.another() as later:
        await sign_in(later)
    async with bench.database.reading() as transaction:
        person = await transaction.people.person_of(ANN)
    assert person is not None
    assert "m=16,t=2" in person.password_hash
    await sign_in(bench)


async def test_what_is_recommended_takes_no_more_than_it_should() -> None:
    assert (RECOMMENDED.type.name, RECOMMENDED.memory_cost, RECOMMENDED.parallelism) == ("ID", 46 * 1024, 1)


async def test_many_at_once_hold_up_nobody_and_are_bounded() -> None:
    """The loop goes on while threads work, and what is too much is refused at once."""
    release = threading.Event()

    class Slow(PasswordHasher):
        def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
            release.wait(10)
            return "done"

    passwords = Passwords(Entropy(), Slow())
    waiting = [asyncio.ensure_future(passwords.hash("x")) for _ in range(module._WAITING_MAX)]
    await asyncio.sleep(0)
    with pytest.raises(errors.ResourceExhausted, match=str(module._WAITING_MAX)):
        await passwords.hash("x")
    for each in waiting[:10]:
        # Whoever goes away does not make room before the thread is done with it.
        each.cancel()
    await asyncio.sleep(0)
    with pytest.raises(errors.ResourceExhausted):
        await passwords.hash("x")
    release.set()
    assert await asyncio.gather(*waiting[10:]) == ["done"] * (module._WAITING_MAX - 10)
    assert await passwords.hash("x") == "done"
    passwords.close()
