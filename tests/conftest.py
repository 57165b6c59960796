"""What tests of several folders need. Servers are started when the first test asks for them."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from perdure.infra.local.postgres import LocalPostgres
from tests.support.postgres import PostgresForTests

# What grpc does when a process forks it does in its threads, which are gone then: sometimes that kills Postgres before
# it is there. Nothing here forks without becoming another program.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresForTests]:
    """A private Postgres, one for each process of the test run."""
    with LocalPostgres(durable=False) as server:
        yield PostgresForTests(server)
