"""What operators do to the control plane's database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import NamedTuple

from perdure.api.audit.chain import ChainReport, verify
from perdure.api.data import ControlDatabase
from perdure.api.founding import found, give_key
from perdure.auth.policy.decisions import Policy
from perdure.frontend.namespaces import Namespaces
from perdure.frontend.nexus_endpoints import NexusEndpoints
from perdure.infra.postgres import PostgresDatabases, PostgresNamespaceStore, PostgresNexusEndpointStore
from perdure.infra.tenancy import reconciling
from perdure.infra.tenancy.data_plane import TenantRecords
from perdure.kernel.namespace import DAY_NS, Namespace
from perdure.kernel.runtime import Runtime

_PAGE_SIZE = 1000


async def migrate(url: str) -> list[str]:
    """Bring the schema up to date; what was done, in words.

    Raises:
        StoreError: the database cannot be used, or is newer than this program.
    """
    before = await ControlDatabase.schema(url)
    async with aclosing(await ControlDatabase.open(url, migrate=True)):
        after = await ControlDatabase.schema(url)
    return [f"control plane: schema {after}"] if before != after else []


async def create(url: str, email: str, key_days: int) -> tuple[str, str]:
    """An account and an API key of its owner.

    Raises:
        InvalidArgument: the address is none.
        StoreError: the database cannot be used.
    """
    runtime, policy = Runtime(), Policy.load()
    async with aclosing(await ControlDatabase.open(url)) as database:
        founded = await found(database, runtime, policy, email)
        token = await give_key(database, runtime, policy, founded.owner, "first key", key_days * DAY_NS)
    return founded.account.id, token


async def verify_audit(url: str) -> ChainReport:
    """What is wrong with the audit log.

    Raises:
        StoreError: the database cannot be used.
    """
    async with aclosing(await ControlDatabase.open(url)) as database:
        return await verify(database)


class Healed(NamedTuple):
    """How many namespaces and Nexus endpoints the control plane has; those that could not be made so; and namespaces of
    the data plane that it does not know.
    """

    namespaces: int
    endpoints: int
    impossible: tuple[str, ...]
    unknown: tuple[str, ...]


async def reconcile(url: str, dsns: Mapping[str, str]) -> Healed:
    """See `perdure.infra.tenancy.reconciling`. The cluster may run.

    Raises:
        StoreError: one of the databases cannot be used.
    """
    databases = await PostgresDatabases.open(dsns)
    try:
        namespaces = Namespaces(PostgresNamespaceStore(databases))
        endpoints = NexusEndpoints(PostgresNexusEndpointStore(databases), Runtime().clock)
        async with aclosing(await ControlDatabase.open(url)) as database:
            done = await reconciling.reconcile(database, TenantRecords(namespaces, endpoints))
        unknown = [each.name async for each in _all_of(namespaces) if each.account_id and each.id not in done.known]
    finally:
        await databases.close()
    return Healed(len(done.known), done.endpoints, done.impossible, tuple(unknown))


async def _all_of(namespaces: Namespaces) -> AsyncIterator[Namespace]:
    after = None
    while page := await namespaces.page(after, _PAGE_SIZE):
        for each in page:
            yield each
        after = page[-1].name
