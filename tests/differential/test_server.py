"""What a server says of itself."""

from __future__ import annotations

from tests.differential.compare import scenario
from tests.differential.script import Script


@scenario
def test_system(s: Script) -> None:
    s.call("GetSystemInfo")


@scenario
def test_cluster(s: Script) -> None:
    s.call("GetClusterInfo")


@scenario
def test_clusters(s: Script) -> None:
    s.call("ListClusters")
