"""Both servers, started once for all scenarios."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.differential.compare import Pair
from tests.differential.known_differences import KNOWN_DIFFERENCES
from tests.differential.servers import cluster, perdure, real

#: `real` finds the scenarios that can come out in more than one way.
_CANDIDATES = {"perdure": perdure, "cluster": cluster, "real": real}
_CANDIDATE = os.environ.get("DIFFERENTIAL_CANDIDATE", "perdure")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent != Path(__file__).parent:
            continue
        name = f"{item.path.stem}.{item.name}"
        if name in KNOWN_DIFFERENCES and _CANDIDATE != "real":
            item.add_marker(pytest.mark.xfail(reason=KNOWN_DIFFERENCES[name], strict=True))
        if item.path.stem == "test_cluster" and _CANDIDATE != "perdure":
            item.add_marker(pytest.mark.skip(reason="it brings its own candidate"))


@pytest.fixture(scope="session")
def pair() -> Iterator[Pair]:
    with real() as oracle, _CANDIDATES[_CANDIDATE]() as candidate:
        yield Pair(oracle, candidate)
