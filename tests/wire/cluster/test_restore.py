"""`perdure admin backup` and `restore` of a cluster that is busy, into one with another number of databases."""

from __future__ import annotations

from pathlib import Path

import pytest
from temporalio.client import Client

from perdure.infra.local.cluster import LocalCluster
from tests.wire.cluster.test_faults import connected
from tests.wire.cluster.test_moves import admin
from tests.wire.sdk.restoring import Promises, back_up_under_load

pytestmark = pytest.mark.timeout(240)

ENVIRONMENT = {"PERDURE_LOG_LEVEL": "error"}
PROCESSES = ("gateway,matching", "history", "history")


async def start(cluster: LocalCluster) -> None:
    for roles in PROCESSES:
        await cluster.start(roles)


@pytest.mark.parametrize("databases", [1, 3])
async def test_nothing_acknowledged_before_a_backup_is_lost(tmp_path: Path, databases: int) -> None:
    file = str(tmp_path / "backup")

    async def back_up() -> None:
        assert "runs backed up" in await admin(cluster, "backup", file)

    async with LocalCluster(environment=ENVIRONMENT) as cluster:
        await start(cluster)
        async with connected(cluster) as client:
            promises: Promises = await back_up_under_load(client, back_up)
    async with LocalCluster(databases=databases, environment=ENVIRONMENT) as restored:
        assert "runs restored" in await admin(restored, "restore", file)
        await start(restored)
        node = restored.with_role("gateway")[0]
        await promises.check(await Client.connect(node.address))
