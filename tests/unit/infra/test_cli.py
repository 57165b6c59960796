"""What people see of the command when something is wrong: one line, and a non-zero exit."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from perdure.infra.sqlite import SqliteDatabase

COMMAND = [sys.executable, "-c", "from perdure.infra.cli import main; main()"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("dev", "--port", "x"), "--port"),
        (("dev", "--port", "70000"), "--port"),
        (("dev", "--nope"), "--nope"),
        (("serve-me",), "serve-me"),
        (("dev", "--log-level", "loud"), "loud"),
        (("dev", "--search-attribute", "Mine"), "Name=Type"),
        (("dev", "--search-attribute", "Mine=Colour"), "Colour"),
        (("dev", "--dynamic-config-value", "limit.maxIDLength"), "key=value"),
        (("dev", "--dynamic-config-value", "limit.maxIDLength=many"), "limit.maxIDLength"),
        (("serve",), "databases"),
        (("serve", "--role", "gateway,cook"), "roles.1"),
        (("serve", "--config", "no-such-file"), "no-such-file"),
        (("serve", "--host", "0.0.0.0"), "listen.advertise"),
        (("config", "show", "--log-level", "loud"), "log_level"),
        (("config", "show", "--port", "70000"), "listen.grpc_port"),
        (("config",), "command"),
    ],
)
def test_bad_flags(arguments: tuple[str, ...], expected: str) -> None:
    result = run(*arguments)
    assert result.returncode == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("perdure: ")
    assert expected in result.stderr


def test_version() -> None:
    result = run("--version")
    assert result.returncode == 0
    assert result.stdout.startswith("perdure ")


def test_settings_are_shown_with_their_origin() -> None:
    result = run("config", "show", "--role", "history,matching", "--internal-port", "7", "--log-level", "warn")
    assert result.returncode == 0
    assert result.stderr == ""
    shown = result.stdout.splitlines()
    assert 'roles = ["history", "matching"]  # flag' in shown
    assert "listen.internal_port = 7  # flag" in shown
    assert "listen.grpc_port = 7233  # default" in shown


@pytest.mark.parametrize("heavy", ["pydantic", "redis", "grpc", "asyncpg", "prometheus_client"])
def test_the_command_itself_is_light(heavy: str) -> None:
    """`perdure --version` and `--help` are to be there at once, and `perdure dev` needs nothing of a cluster."""
    program = f"import sys; from perdure.infra import cli; sys.exit('{heavy}' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0


def test_a_database_that_this_version_cannot_use(tmp_path: Path) -> None:
    path = tmp_path / "perdure.db"
    asyncio.run(SqliteDatabase.open(path).close())
    connection = apsw.Connection(str(path))
    connection.execute("ALTER TABLE heads RENAME COLUMN kind TO sort")
    connection.close()
    result = run("dev", "--port", "0", "--http-port", "0", "--db", str(path))
    assert result.returncode == 1
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert f"database {path}: no such column" in result.stderr


def _refused(directory: Path) -> str:
    """What `perdure dev --secure` says that cannot start in this directory."""
    result = run(
        "dev",
        "--port",
        "0",
        "--http-port",
        "0",
        "--mtls-port",
        "0",
        "--ephemeral",
        "--secure-dir",
        str(directory),
        "--secure",
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert len(result.stderr.splitlines()) == 1
    return result.stderr


def test_sealing_keys_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "sealing.keys").write_text("not a key\n")
    assert f"{tmp_path}/sealing.keys: must have lines of 32 bytes" in _refused(tmp_path)


def test_a_control_plane_that_was_restored_without_its_sealing_keys(tmp_path: Path) -> None:
    (tmp_path / "control-plane.db").touch()
    assert f"{tmp_path}/sealing.keys is missing" in _refused(tmp_path)
    assert not (tmp_path / "sealing.keys").exists()
