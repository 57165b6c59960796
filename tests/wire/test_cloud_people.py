"""What a person does about himself with `perdure cloud`: nothing that a mail asks for needs another program."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pyotp
import pytest_asyncio

from tests.support.process import ANY_PORTS, dev
from tests.support.shell import Shell

OWNER, ANN = "owner@localhost", "ann@example.com"
PASSWORD, OTHER_PASSWORD = "a rather long pass phrase", "another quite different one"
_LOOK_S, _MAIL_S_MAX = 0.02, 30


class Bench(NamedTuple):
    """The shells of an owner, who has an API key, and of Ann, who has nothing yet; and what is mailed."""

    owner: Shell
    ann: Shell
    mails: Path

    async def mailed(self, command: str) -> str:
        """The ticket of a new mail that names this command, which goes with it."""
        until_s = time.monotonic() + _MAIL_S_MAX
        while not (found := re.findall(rf"perdure cloud {command} (pdt_\w+)", self.mails.read_text())):
            assert time.monotonic() < until_s
            await asyncio.sleep(_LOOK_S)
        self.mails.write_text("")
        return str(found[-1])

    async def invite(self, email: str) -> str:
        sets = ("--set", f"email={email}", "--set", "access.accountAccess.role=ROLE_DEVELOPER")
        return str((await self.owner.json("user", "create", *sets))["userId"])


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    secure, mails = tmp_path / "secure", tmp_path / "mails"
    arguments = [*ANY_PORTS, "--mtls-port", "0", "--ephemeral", "--secure", "--secure-dir", str(secure)]
    with mails.open("a") as stderr:
        async with dev(*arguments, stderr=stderr) as server:
            where = {
                "PERDURE_CLOUD_ADDRESS": server.address,
                "PERDURE_CLOUD_TLS_CA": str(secure / "server-ca.pem"),
                "PERDURE_CLOUD_PASSWORD": PASSWORD,
                "PERDURE_CLOUD_NEW_PASSWORD": OTHER_PASSWORD,
                "XDG_CONFIG_HOME": str(tmp_path),
            }
            owner = Shell({**where, "PERDURE_CLOUD_API_KEY": (secure / "api-key").read_text()})
            yield Bench(owner, Shell(where), mails)


async def test_from_an_invitation_to_another_account_and_back(bench: Bench) -> None:
    user = await bench.invite(ANN)
    await bench.mailed("accept")
    await bench.owner.run("user", "resend-invitation", user)
    ticket = await bench.mailed("accept")
    assert "perdure cloud accept" in await bench.ann.refused("verify", ticket)
    account = (await bench.ann.run("accept", ticket))[0].split()[1]
    assert (await bench.ann.json("person"))["memberships"][0]["accountId"] == account

    # A key of her own, and one in its place.
    assert (await bench.ann.run("apikey", "issue", "--scope", "worker"))[0].startswith("pdk_")
    (key,) = await bench.ann.json("apikey", "list", "-o", "json")
    assert (await bench.ann.run("apikey", "rotate", key["id"]))[0].startswith("pdk_")
    assert (await bench.ann.json("apikey", "details", key["id"]))["replacedBy"]

    # A forgotten password ends the session.
    await bench.ann.run("password", "forgot", ANN)
    await bench.ann.run("password", "reset", await bench.mailed("password reset"))
    assert "the session" in await bench.ann.refused("person")
    bench.ann.environment["PERDURE_CLOUD_PASSWORD"] = OTHER_PASSWORD
    await bench.ann.run("login", "--email", ANN)

    enrolled = (await bench.ann.run("mfa", "enrol"))[0]
    secret = re.search(r"secret (\w+)", enrolled)
    assert secret is not None
    recovery = (await bench.ann.run("mfa", "confirm", pyotp.TOTP(secret[1]).now()))[0].split()
    assert (await bench.ann.json("person"))["mfaEnabled"] is True
    await bench.ann.run("mfa", "disable", "--code", recovery[0])
    assert len((await bench.ann.run("session", "list"))[0].splitlines()) == 2


async def test_another_account(bench: Bench) -> None:
    await bench.ann.run("sign-up", "--email", ANN, "--account", "Acme")
    own = (await bench.ann.run("verify", await bench.mailed("verify")))[0].split()[1]
    await bench.invite(ANN)
    other = (await bench.ann.run("account", "join", await bench.mailed("accept")))[0].split()[1]
    assert (await bench.ann.json("person"))["session"]["accountId"] == own
    await bench.ann.run("account", "switch", other)
    assert (await bench.ann.json("person"))["session"]["accountId"] == other
    await bench.ann.run("call", "SwitchAccount", f'{{"accountId": "{own}"}}')
    assert (await bench.ann.json("account", "settings", "--set", "name=Else"))["name"] == "Else"
    assert (await bench.ann.json("account", "settings"))["name"] == "Else"


async def test_a_namespace_comes_back(bench: Bench) -> None:
    sets = ("--set", "name=orders", "--set", "apiKeyAuth.enabled=true")
    namespace = (await bench.owner.json("namespace", "create", *sets))["namespace"]
    await bench.owner.run("namespace", "delete", namespace, "--yes")
    (deleted,) = await bench.owner.json("namespace", "deleted", "-o", "json")
    assert (await bench.owner.run("namespace", "undelete", deleted["id"]))[0].strip() == namespace
    assert (await bench.owner.json("namespace", "get", namespace))["namespace"] == namespace


async def test_where_it_goes_wrong_is_said(bench: Bench) -> None:
    address = bench.ann.environment["PERDURE_CLOUD_ADDRESS"]
    assert address in await bench.ann.refused("person")
    assert "orders.a1b2c3" in await bench.owner.refused("namespace", "get", "orders")
    assert "--namespace" in await bench.owner.refused("export-sink", "list", code=2)
    assert "--start" in await bench.owner.refused("usage", "--start", "yesterday", code=2)
    assert "NAMESPACE" in (await bench.owner.run("usage"))[0]
    assert "access.accountAccess.role" in (await bench.owner.run("user", "fields"))[0]
    bench.owner.environment["PERDURE_CLOUD_TLS_CA"] = ""
    said = await bench.owner.refused("whoami")
    assert "PERDURE_CLOUD_TLS_CA" in said and address in said
    bench.owner.environment["PERDURE_CLOUD_ADDRESS"] = "127.0.0.1:1"
    assert "PERDURE_CLOUD_ADDRESS" in await bench.owner.refused("whoami")
