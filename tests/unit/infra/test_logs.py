from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import structlog

from perdure.infra import logs


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    structlog.reset_defaults()


@pytest.mark.parametrize("level", logs.LEVELS)
def test_every_level_lets_through_what_it_says(level: str, capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure(level)
    logger = structlog.get_logger("test")
    for name in ("debug", "info", "warning", "error", "critical"):
        getattr(logger, name)(name)
    seen = [json.loads(line)["event"] for line in capfd.readouterr().err.splitlines()]
    everything = ["debug", "info", "warning", "error", "critical"]
    first = {"debug": 0, "info": 1, "warn": 2, "error": 3, "never": 5}[level]
    assert seen == everything[first:]
