"""`perdure dev --secure` and `perdure dev` on files of the other, and who can read what it makes."""

from __future__ import annotations

import asyncio
import ssl
import stat
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.support.process import ANY_PORTS, COMMAND, dev

SECURE_PORTS = [*ANY_PORTS, "--mtls-port", "0", "--secure"]


def refused(*arguments: str, code: int = 1) -> str:
    """The one line that a start which fails leaves on standard error."""
    result = subprocess.run([*COMMAND, "dev", *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == code, result
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    return line


async def test_what_belongs_to_accounts_is_opened_to_nobody_else(tmp_path: Path) -> None:
    database, secure = str(tmp_path / "data.db"), tmp_path / "secure"
    arguments = ["--db", database, "--secure-dir", str(secure)]
    async with dev(*SECURE_PORTS, *arguments) as server:
        assert await server.stop() == 0
    namespace = (secure / "namespace").read_text()
    line = await asyncio.to_thread(refused, *ANY_PORTS, "--db", database)
    assert namespace in line and "--open-anyway" in line
    line = await asyncio.to_thread(refused, *SECURE_PORTS, "--db", database, "--secure-dir", str(tmp_path / "other"))
    assert namespace in line and "--secure-dir" in line
    async with dev(*SECURE_PORTS, *arguments) as server:
        assert await server.stop() == 0
    async with dev(*ANY_PORTS, "--db", database, "--open-anyway") as server:
        assert await server.stop() == 0

    assert stat.S_IMODE(secure.stat().st_mode) == 0o700
    public = {"server-ca.pem", "server.pem", "client-ca.pem", "client.pem", "namespace"}
    for file in [*tmp_path.iterdir(), *secure.iterdir()]:
        if file.is_file() and file.name not in public:
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


async def test_what_everybody_used_is_of_no_use_to_accounts(tmp_path: Path) -> None:
    database, secure = str(tmp_path / "data.db"), str(tmp_path / "secure")
    async with dev(*ANY_PORTS, "--db", database) as server:
        assert await server.stop() == 0
    line = await asyncio.to_thread(refused, *SECURE_PORTS, "--db", database, "--secure-dir", secure)
    assert "without --secure" in line and "(default)" in line


@pytest.mark.parametrize("flag", [("--namespace", "shop"), ("--search-attribute", "Customer=Keyword")])
def test_namespaces_of_flags_would_be_nobodys(flag: tuple[str, str], tmp_path: Path) -> None:
    line = refused(*SECURE_PORTS, "--ephemeral", "--secure-dir", str(tmp_path / "secure"), *flag, code=2)
    assert flag[0] in line and "perdure cloud namespace create" in line


async def test_metrics_are_for_operators(tmp_path: Path) -> None:
    arguments = ["--ephemeral", "--secure-dir", str(tmp_path), "--metrics-port", "0"]
    async with dev(*SECURE_PORTS, *arguments) as server:
        context = ssl.create_default_context(cafile=tmp_path / "server-ca.pem")
        async with httpx.AsyncClient(verify=context) as client:
            assert (await client.get(f"{server.http}/healthz")).text == "ok\n"
            assert (await client.get(f"{server.http}/metrics")).status_code == 404
            place = server.ready_line.split("metrics ")[1].split(",")[0]
            assert place.startswith("http://127.0.0.1:")
            assert "perdure_" in (await client.get(place)).text


async def test_clients_come_by_the_name_that_they_are_told(tmp_path: Path) -> None:
    arguments = ["--ephemeral", "--secure-dir", str(tmp_path), "--ip", "0.0.0.0"]
    async with dev(*SECURE_PORTS, *arguments, "--host", "localhost.localdomain") as server:
        assert server.address.startswith("localhost.localdomain:")
        assert server.http.startswith("https://localhost.localdomain:")
        assert await server.stop() == 0
    assert "other.example" in await asyncio.to_thread(refused, *SECURE_PORTS, *arguments, "--host", "other.example")
    async with dev(*SECURE_PORTS, *arguments) as server:
        assert server.address.startswith("127.0.0.1:")


async def test_whoever_is_open_to_the_network_is_told(tmp_path: Path) -> None:
    said = tmp_path / "said"
    with said.open("w") as stderr:
        async with dev(*ANY_PORTS, "--ephemeral", "--ip", "0.0.0.0", stderr=stderr) as server:
            assert await server.stop() == 0
    assert "may do everything" in said.read_text()


def test_a_file_of_something_else_gets_no_lock(tmp_path: Path) -> None:
    file = tmp_path / "notes.md"
    file.write_text("not a database\n" * 100)
    refused("--db", str(file), *ANY_PORTS)
    assert [each.name for each in tmp_path.iterdir()] == ["notes.md"]
