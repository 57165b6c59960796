"""What operators do to the control plane's database."""

from __future__ import annotations

from contextlib import aclosing

from perdure.api.audit.chain import ChainReport, verify
from perdure.api.data import ControlDatabase
from perdure.api.founding import found, give_key
from perdure.auth.policy.decisions import Policy
from perdure.kernel.namespace import DAY_NS
from perdure.kernel.runtime import Runtime


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
