"""The chain of an account's records: each has a number and the hash of itself and of the one before.

Records are added by whoever does something, in his transaction and without waiting for others; within a second they are
taken into the chain. From then on none can be changed, removed or moved without `verify` noticing, unless everything
after it is written anew: against that helps a copy of the hashes elsewhere, which every export is.
"""

from __future__ import annotations

from hashlib import sha256
from itertools import groupby
from typing import NamedTuple

from perdure.api.audit import records
from perdure.api.data import ControlDatabase
from perdure.api.data.tables import AuditChainRow, AuditRow

_BATCH = 1000


class BrokenChain(NamedTuple):
    """What is wrong, at the first record of an account that is not as it was written."""

    account_id: str
    number: int
    reason: str


class ChainReport(NamedTuple):
    """`records` are the intact ones of all chains that were looked at."""

    records: int
    broken: list[BrokenChain]


def first_hash(account_id: str) -> bytes:
    """PURE: what the first record of an account follows."""
    return sha256(b"perdure audit log\n" + account_id.encode()).digest()


def hash_of(before: bytes, number: int, record: str) -> bytes:
    """PURE: of a record, with all that comes before it."""
    return sha256(f"{before.hex()}\n{number}\n{record}".encode()).digest()


async def seal(database: ControlDatabase) -> int:
    """Take records into their chains, some at a time, and say how many.

    Raises:
        LostRace: somebody else is doing the same.
        StoreError: the database cannot be used.
    """
    async with database.writing(serial=False) as transaction:
        found = sorted(await transaction.audit.unsealed(_BATCH), key=lambda row: row.account_id)
        for account_id, rows in groupby(found, key=lambda row: row.account_id):
            chain = await transaction.audit.chain(account_id)
            if chain is None:
                first = first_hash(account_id)
                chain = AuditChainRow(account_id=account_id, last=0, last_hash=first, removed=0, removed_hash=first)
                transaction.audit.begin_chain(chain)
            sealed = []
            for row in rows:
                number = chain.last + 1
                chain.last_hash = hash_of(chain.last_hash, number, row.record)
                chain.last = number
                sealed.append((row.id, number, chain.last_hash))
            await transaction.audit.seal(sealed)
    return len(found)


async def forget(database: ControlDatabase, before_ns: int) -> int:
    """Remove old records from the beginnings of their chains, some at a time, and say how many.

    Raises:
        LostRace: somebody else is doing the same.
        StoreError: the database cannot be used.
    """
    removed = 0
    async with database.reading() as transaction:
        account_ids = [chain.account_id for chain in await transaction.audit.chains()]
    for account_id in account_ids:
        async with database.writing(serial=False) as transaction:
            chain = await transaction.audit.chain(account_id)
            assert chain is not None and chain.removed_hash is not None
            found = await transaction.audit.sealed(account_id, chain.removed, _BATCH)
            old: AuditRow | None = None
            for row in found:
                if row.emitted_at_ns >= before_ns:
                    break
                old = row
            if old is not None and old.number is not None and old.hash is not None:
                removed += old.number - chain.removed
                chain.removed, chain.removed_hash = old.number, old.hash
                await transaction.audit.remove(account_id, old.number)
    return removed


async def verify(database: ControlDatabase) -> ChainReport:
    """Look at all records of all accounts.

    Raises:
        StoreError: the database cannot be used.
    """
    async with database.reading() as transaction:
        account_ids = [chain.account_id for chain in await transaction.audit.chains()]
    report = ChainReport(0, [])
    for account_id in account_ids:
        intact, broken = await _verify(database, account_id)
        report = ChainReport(report.records + intact, [*report.broken, *([broken] if broken else [])])
    return report


async def _verify(database: ControlDatabase, account_id: str) -> tuple[int, BrokenChain | None]:
    intact, number, before = 0, -1, b""
    while True:
        async with database.reading() as transaction:
            chain = await transaction.audit.chain(account_id)
            if chain is None:
                return intact, BrokenChain(account_id, number, "the chain is gone")
            if number < chain.removed:
                # It begins here, or old records were removed meanwhile.
                number, before = chain.removed, chain.removed_hash
            rows = await transaction.audit.sealed(account_id, number, _BATCH)
        for row in rows:
            reason = _defect(row, number + 1, before)
            if reason:
                return intact, BrokenChain(account_id, number + 1, reason)
            assert row.number is not None and row.hash is not None
            number, before, intact = row.number, row.hash, intact + 1
        if len(rows) < _BATCH:
            if (number, before) != (chain.last, chain.last_hash):
                return intact, BrokenChain(account_id, number + 1, f"records up to {chain.last} are missing")
            return intact, None


def _defect(row: AuditRow, number: int, before: bytes) -> str:
    if row.number != number:
        return "the record is missing"
    if row.hash != hash_of(before, number, row.record):
        return "the record, or the one before, is not as it was written"
    try:
        if (row.id, row.emitted_at_ns) != records.columns(row.record):
            return "the record is shown under another id or time than its own"
    except ValueError:
        return "the record cannot be read"
    return ""
