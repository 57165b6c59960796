from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from perdure.infra.local import debian
from perdure.infra.local.redis import LocalRedis, RedisFailed


def test_it_leaves_nothing_behind() -> None:
    with LocalRedis() as server:
        directory = server.socket.parent
        server.kill()
        server.start()
        assert server.socket.exists()
        server.suspend()
    assert not directory.exists()


def test_what_it_said_last_is_told_when_it_does_not_start(tmp_path: Path) -> None:
    server = LocalRedis()
    server.socket = tmp_path / "no-such-directory" / "redis.sock"
    with pytest.raises(RedisFailed, match=r"did not start: .*socket"):
        server.start()
    server.stop()


def test_what_is_missing_is_named_where_it_cannot_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None)
    with pytest.raises(debian.NotInstalled, match="redis-server is not installed: install the package redis-server"):
        LocalRedis()


def test_what_is_missing_is_installed_where_we_may(monkeypatch: pytest.MonkeyPatch) -> None:
    installed: list[str] = []

    def install(*command: str) -> None:
        if "install" in command:
            installed.append(command[-1])

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(
        shutil, "which", lambda name, path=None: f"/usr/bin/{name}" if name == "apt-get" or installed else None
    )
    monkeypatch.setattr(debian, "_quietly", install)
    assert debian.program("redis-server", "redis-server") == "/usr/bin/redis-server"
    assert installed == ["redis-server"]
