from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.client import Client

from tests.support.process import ANY_PORTS, dev


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def address(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A server on a file, shared by the tests of a module."""
    database: Path = tmp_path_factory.mktemp("server") / "data.db"
    attributes = ("--search-attribute", "Customer=Keyword", "--search-attribute", "Amount=Int")
    async with dev("--db", str(database), *attributes, *ANY_PORTS) as process:
        yield process.address


@pytest.fixture
async def client(address: str) -> Client:
    return await Client.connect(address)
