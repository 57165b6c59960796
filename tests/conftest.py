"""What tests of several folders need. Servers are started when the first test asks for them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from perdure.infra.local.postgres import LocalPostgres
from tests.support.postgres import PostgresForTests


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresForTests]:
    """A private Postgres, one for each process of the test run."""
    with LocalPostgres(durable=False) as server:
        yield PostgresForTests(server)
