from __future__ import annotations

import asyncio
from pathlib import Path

from perdure.kernel.persistence.cluster import ClusterStore
from tests.conformance.conftest import sqlite_file


async def test_the_first_id_is_kept(cluster: ClusterStore) -> None:
    assert await cluster.identify("first") == "first"
    assert await cluster.identify("second") == "first"


async def test_all_who_ask_at_once_get_the_same(cluster: ClusterStore) -> None:
    answers = await asyncio.gather(*(cluster.identify(f"proposal {n}") for n in range(5)))
    assert len(set(answers)) == 1


async def test_it_survives(tmp_path: Path) -> None:
    for proposed in ("first", "second"):
        async with sqlite_file(tmp_path) as stores:
            assert await stores.cluster.identify(proposed) == "first"
