"""Both servers, started once for all scenarios."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.differential import compatibility
from tests.differential.compare import COMPARED, Pair
from tests.differential.known_differences import KNOWN_DIFFERENCES
from tests.differential.servers import cluster, perdure, real, version_of_real

#: `real` finds the scenarios that can come out in more than one way.
_CANDIDATES = {"perdure": perdure, "cluster": cluster, "real": real}
_CANDIDATE = os.environ.get("DIFFERENTIAL_CANDIDATE", "perdure")

#: Where to write what has come of all scenarios, if anywhere.
_PAGE = os.environ.get("COMPATIBILITY_PAGE")
_outcomes: list[compatibility.Outcome] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent != Path(__file__).parent:
            continue
        name = f"{item.path.stem}.{item.name}"
        if name in KNOWN_DIFFERENCES and _CANDIDATE != "real":
            item.add_marker(pytest.mark.xfail(reason=KNOWN_DIFFERENCES[name], strict=True))
        if item.path.stem == "test_cluster" and _CANDIDATE != "perdure":
            item.add_marker(pytest.mark.skip(reason="it brings its own candidate"))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    rpcs = dict(report.user_properties).get(COMPARED)
    if report.when == "call" and rpcs is not None:
        path, _, test = report.nodeid.partition("::")
        scenario = f"{Path(path).stem}.{test}"
        _outcomes.append(compatibility.Outcome(scenario, str(rpcs).split(), report.outcome == "passed"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _PAGE and not hasattr(session.config, "workerinput"):
        Path(_PAGE).write_text(compatibility.page(_outcomes, version_of_real()), encoding="utf-8")


@pytest.fixture(scope="session")
def pair() -> Iterator[Pair]:
    with real() as oracle, _CANDIDATES[_CANDIDATE]() as candidate:
        yield Pair(oracle, candidate)
