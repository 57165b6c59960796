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
