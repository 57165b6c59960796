"""Runs a scenario on both servers and compares what they answered."""

from __future__ import annotations

import difflib
import os
import secrets
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.differential.script import Script

Scenario = Callable[[Script], None]

_CONTEXT_LINES = 12
#: The property of a test that says of which RPCs the answers were compared.
COMPARED = "compared"


@dataclass(frozen=True)
class Pair:
    """Where the oracle and the server that is put to the test are, as gRPC targets."""

    oracle: str
    candidate: str


#: A scenario as a test.
Comparison = Callable[[Pair, Callable[[str, object], None]], None]


def scenario(body: Scenario) -> Comparison:
    """Make a test of a scenario."""

    def test(pair: Pair, record_property: Callable[[str, object], None]) -> None:
        with ThreadPoolExecutor(2) as both:
            expected = both.submit(_run, body, pair.oracle, oracle=True)
            actual = both.submit(_run, body, pair.candidate, oracle=False)
        there, here = expected.result(), actual.result()
        record_property(COMPARED, " ".join(sorted(there.rpcs)))
        _keep(f"{body.__module__.rpartition('.')[2]}.{body.__name__}", there.record, here.record)
        difference = difflib.unified_diff(there.record, here.record, "real", "candidate", lineterm="", n=_CONTEXT_LINES)
        if text := "\n".join(difference):
            pytest.fail(text, pytrace=False)

    test.__name__ = body.__name__
    test.__doc__ = body.__doc__
    test.__module__ = body.__module__
    return test


def _run(body: Scenario, address: str, *, oracle: bool) -> Script:
    script = Script(address, secrets.token_hex(4), oracle=oracle)
    try:
        body(script)
    except Exception:
        if oracle:
            raise
        # An answer that the scenario cannot go on with is a difference like any other.
        script.record.append(f"the scenario broke off: {traceback.format_exc()}")
    finally:
        script.close()
    return script


def _keep(name: str, expected: list[str], actual: list[str]) -> None:
    directory = os.environ.get("DIFFERENTIAL_OUT")
    if directory:
        for server, record in (("real", expected), ("candidate", actual)):
            Path(directory, f"{name}.{server}.txt").write_text("\n".join(record) + "\n", encoding="utf-8")
