"""`perdure cloud login` against `perdure dev --secure`, and somebody who has a browser."""

from __future__ import annotations

import asyncio
import json
import os
import re
import ssl
import stat
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import pytest_asyncio

from perdure.auth.certificates.issuing import generate_authority, generate_server
from perdure.infra.tenancy import server_certificate
from tests.support.browser import Browser, Page
from tests.support.process import ANY_PORTS, COMMAND, Process, dev

pytestmark = pytest.mark.asyncio(loop_scope="module")

EMAIL, PASSWORD = "ann@example.com", "a rather long pass phrase"
RUN_S_MAX = 60


class Installation(NamedTuple):
    """A server on which Ann has an account, and what a shell needs to reach it."""

    server: Process
    authority: Path
    environment: dict[str, str]

    @property
    def session_file(self) -> Path:
        return Path(self.environment["XDG_CONFIG_HOME"]) / "perdure" / "cloud.json"

    def client(self) -> httpx.AsyncClient:
        context = ssl.create_default_context(cafile=self.authority)
        return httpx.AsyncClient(base_url=self.server.http, verify=context)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def installation(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    directory = tmp_path_factory.mktemp("login")
    secure, mails = directory / "secure", directory / "mails"
    arguments = [*ANY_PORTS, "--mtls-port", "0", "--ephemeral", "--secure", "--secure-dir", str(secure)]
    with mails.open("w") as stderr:
        async with dev(*arguments, stderr=stderr) as server:
            environment = {
                **os.environ,
                "PERDURE_CLOUD_ADDRESS": server.address,
                "PERDURE_CLOUD_TLS_CA": str(secure / "server-ca.pem"),
                "XDG_CONFIG_HOME": str(directory / "config"),
                # A browser that opens nothing: the test is the browser.
                "BROWSER": "true",
            }
            found = Installation(server, secure / "server-ca.pem", environment)
            await _sign_up(found, mails)
            yield found


async def _sign_up(installation: Installation, mails: Path) -> None:
    async with installation.client() as client:
        form = {"email": EMAIL, "password": PASSWORD, "accountName": "Acme"}
        assert (await client.post("/identity/sign-up", json=form)).status_code == 200
        request = {"ticket": await _mailed(mails), "password": PASSWORD}
        assert (await client.post("/identity/verify-email", json=request)).status_code == 200


async def _mailed(mails: Path) -> str:
    """The ticket, once it is there: the server prints its mails."""
    until_s = time.monotonic() + RUN_S_MAX
    while not (found := re.findall(r"pdt_\w+", mails.read_text())):
        assert time.monotonic() < until_s
        await asyncio.sleep(0.02)
    return str(found[0])


class Login:
    """The command, while it waits for a browser."""

    def __init__(self, process: asyncio.subprocess.Process, url: str, user_code: str) -> None:
        self._process = process
        self.url = url
        self.user_code = user_code

    @classmethod
    async def begin(cls, installation: Installation, *arguments: str) -> Login:
        process = await _start(installation, "login", *arguments)
        assert process.stderr is not None
        said = (await asyncio.wait_for(process.stderr.readline(), RUN_S_MAX)).decode()
        found = re.fullmatch(r"To log in, open (\S+)(?: and enter (\S+))?\n", said)
        assert found, said
        return cls(process, found[1], found[2] or "")

    async def end(self) -> tuple[int, str, str]:
        out, err = await asyncio.wait_for(self._process.communicate(), RUN_S_MAX)
        assert self._process.returncode is not None
        return self._process.returncode, out.decode(), err.decode()


async def _start(installation: Installation, *arguments: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        *COMMAND,
        "cloud",
        *arguments,
        env=installation.environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=pipe,
        stderr=pipe,
    )


async def run(installation: Installation, *arguments: str) -> tuple[int, str, str]:
    process = await _start(installation, *arguments)
    out, err = await asyncio.wait_for(process.communicate(), RUN_S_MAX)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def whoami(installation: Installation) -> Any:
    return json.loads((await run(installation, "person"))[1])


async def sign_in(browser: Browser, page: Page) -> Page:
    return await browser.submit(page, "password", email=EMAIL, password=PASSWORD)


async def test_with_a_browser_on_the_same_machine(installation: Installation) -> None:
    login = await Login.begin(installation)
    assert login.url.startswith("https://127.0.0.1:")
    async with installation.client() as client, httpx.AsyncClient() as loopback:
        browser = Browser(client)
        page = await sign_in(browser, await browser.open(login.url))
        assert page.refresh.startswith("http://127.0.0.1:")
        # Whoever comes without what the server was told is nobody.
        forged = re.sub("state=[^&]*", "state=forged", page.refresh)
        assert (await loopback.get(forged)).status_code == 404
        back = await loopback.get(page.refresh)
        assert back.status_code == 303
        assert "You are signed in" in (await browser.open(back.headers["location"])).text
    code, out, err = await login.end()
    assert (code, err) == (0, ""), err
    assert out.startswith("account ")
    assert stat.S_IMODE(installation.session_file.stat().st_mode) == 0o600
    assert (await whoami(installation))["email"] == EMAIL

    token = next(iter(json.loads(installation.session_file.read_text()).values()))
    assert (await run(installation, "logout"))[0] == 0
    assert "nobody is logged in" in (await run(installation, "person"))[2]
    async with installation.client() as client:
        revoked = await client.get("/identity/person", headers={"authorization": f"Bearer {token}"})
    assert revoked.status_code == 401


async def test_with_a_code(installation: Installation) -> None:
    login = await Login.begin(installation, "--device")
    assert login.user_code
    async with installation.client() as client:
        browser = Browser(client)
        page = await browser.submit(await browser.open(login.url), "look", user_code=login.user_code)
        assert "perdure cloud on" in page.text
        page = await sign_in(browser, await browser.submit(page, "confirm"))
        assert "You are signed in" in (await browser.open(page.refresh)).text
    code, _, err = await login.end()
    assert (code, err) == (0, ""), err
    assert (await whoami(installation))["email"] == EMAIL
    await run(installation, "logout")


async def test_the_command_ends_if_somebody_says_no(installation: Installation) -> None:
    login = await Login.begin(installation)
    async with installation.client() as client, httpx.AsyncClient() as loopback:
        browser = Browser(client)
        page = await browser.submit(await browser.open(login.url), "deny")
        assert (await loopback.get(page.refresh)).headers["location"].endswith("/sign-in/denied")
    code, out, err = await login.end()
    assert (code, out) == (1, "") and "refused" in err


async def test_a_session_that_has_ended_can_be_logged_out_of(installation: Installation) -> None:
    installation.session_file.parent.mkdir(parents=True, exist_ok=True)
    ended = {installation.server.address: "pds_" + "0" * 71}
    installation.session_file.write_text(json.dumps(ended))
    assert (await run(installation, "logout"))[0] == 0
    assert installation.server.address not in json.loads(installation.session_file.read_text())


async def test_the_port_speaks_tls_only_and_has_the_page_for_health_checks_too(installation: Installation) -> None:
    async with installation.client() as client, httpx.AsyncClient() as plain:
        assert (await client.get("/healthz")).text == "ok\n"
        assert (await client.get("/cloud/openapi.json")).status_code == 200
        assert (await client.get("/")).headers["location"] == "/cloud/docs"
        with pytest.raises(httpx.TransportError):
            await plain.get(installation.server.http.replace("https:", "http:") + "/healthz")


async def test_another_certificate_is_taken_up_while_it_runs(tmp_path: Path) -> None:
    arguments = [*ANY_PORTS, "--mtls-port", "0", "--ephemeral", "--secure", "--secure-dir", str(tmp_path)]
    async with dev(*arguments) as server:
        host, _, port = server.http.removeprefix("https://").partition(":")
        before = await asyncio.to_thread(ssl.get_server_certificate, (host, int(port)))
        now = datetime.now(UTC)
        authority = generate_authority("another", timedelta(days=7), now)
        server_certificate.write(tmp_path / "server.pem", generate_server(authority, now, ["127.0.0.1"]))
        (tmp_path / "other-ca.pem").write_bytes(authority.certificate_pem)
        context = ssl.create_default_context(cafile=tmp_path / "other-ca.pem")
        async with httpx.AsyncClient(verify=context) as client:
            assert (await client.get(f"{server.http}/healthz")).status_code == 200
        assert await asyncio.to_thread(ssl.get_server_certificate, (host, int(port))) != before
