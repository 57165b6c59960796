"""`perdure admin backup` and `restore` of an SQLite file whose server is busy."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from temporalio.client import Client

from tests.support.process import ANY_PORTS, COMMAND, dev
from tests.wire.sdk.restoring import Promises, back_up_under_load

pytestmark = pytest.mark.timeout(240)


async def admin(*arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(*COMMAND, "admin", *arguments)
    assert await process.wait() == 0


async def test_nothing_acknowledged_before_a_backup_is_lost(tmp_path: Path) -> None:
    original, file, restored = (str(tmp_path / name) for name in ("original.db", "backup", "restored.db"))
    async with dev("--db", original, *ANY_PORTS) as server:
        client = await Client.connect(server.address)
        promises: Promises = await back_up_under_load(client, lambda: admin("backup", file, "--db", original))
    await admin("restore", file, "--db", restored)
    async with dev("--db", restored, *ANY_PORTS) as server:
        await promises.check(await Client.connect(server.address))
