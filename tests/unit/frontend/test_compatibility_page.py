"""docs/compatibility.md, which a run of the scenarios writes, against the table of RPCs."""

from __future__ import annotations

import re
from pathlib import Path

from tests.differential import compatibility
from tests.differential.known_differences import KNOWN_DIFFERENCES

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "compatibility.md").read_text(encoding="utf-8")
#: What is told of the installation, what skips time, and what should have a scenario. It can only shrink.
UNCOMPARED = """
    LockTimeSkipping UnlockTimeSkipping UnlockTimeSkippingWithSleep Sleep SleepUntil GetCurrentTime
"""
_RENEW = "COMPATIBILITY_PAGE=docs/compatibility.md python -m pytest tests/differential -n 2"


def test_every_rpc_is_there_with_what_is_done_with_it() -> None:
    written = re.findall(r"^\| ([A-Z][a-z]\w+) \| ([^|]+) \|", PAGE, re.MULTILINE)
    assert written == [(rpc, served) for _, rpc, served in compatibility.rows()], _RENEW


def test_every_known_difference_is_there() -> None:
    assert re.findall(r"^\d+\. `([^`]+)`", PAGE, re.MULTILINE) == list(KNOWN_DIFFERENCES), _RENEW


def test_what_is_served_is_compared() -> None:
    lacking = re.findall(r"^\| ([A-Z]\w+) \| yes \|  \|", PAGE, re.MULTILINE)
    assert set(lacking) == set(UNCOMPARED.split())
