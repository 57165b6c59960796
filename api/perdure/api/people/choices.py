"""What somebody can choose who signs in to an account."""

from __future__ import annotations

from typing import NamedTuple

from perdure.api.data import Transaction
from perdure.api.resources import kinds, rows
from perdure.api.resources.endings import SIGN_ON_REQUIRED


class Choice(NamedTuple):
    connection_id: str
    display_name: str


class Choices(NamedTuple):
    """`is_enforced`: only owners come by password."""

    connections: tuple[Choice, ...] = ()
    is_enforced: bool = False


async def choices(transaction: Transaction, account_id: str) -> Choices:
    """Nothing, if there is no such account: who asks is nobody yet."""
    account = await transaction.resource(kinds.ACCOUNT, account_id) if account_id else None
    if account is None or account.state != rows.ACTIVE:
        return Choices()
    found = await transaction.resources(account_id, kinds.SIGN_ON_CONNECTION)
    return Choices(tuple(Choice(row.id, row.name) for row in found), bool(account.details.get(SIGN_ON_REQUIRED)))
