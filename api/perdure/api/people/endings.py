"""How sessions end, and which ones do where an account asks for single sign-on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from perdure.api.data import Transaction
from perdure.api.data.person_tables import SessionRow
from perdure.api.data.tables import ResourceRow
from perdure.api.resources import kinds
from perdure.auth.access.records import PrincipalRecord
from perdure.auth.policy.grants import AccountRole

#: In an account's details: whether passwords open it to its owners only.
SIGN_ON_REQUIRED: Final = "sign_on_required"


async def end(transaction: Transaction, row: SessionRow) -> None:
    await transaction.people.remove(row)
    transaction.withdraw("credential", row.id)


async def end_all(transaction: Transaction, ended: Sequence[SessionRow]) -> None:
    for row in ended:
        await end(transaction, row)


def is_open_to_passwords(account: ResourceRow, user: PrincipalRecord) -> bool:
    """Owners come by password when the provider is away."""
    return not account.details.get(SIGN_ON_REQUIRED) or AccountRole.OWNER in user.roles


async def end_by_password(transaction: Transaction, user: PrincipalRecord) -> None:
    """End his sessions that came by a password, if his account is not open to it any more."""
    account = await transaction.resource(kinds.ACCOUNT, user.account_id)
    if account is None or is_open_to_passwords(account, user):
        return
    held = await transaction.people.sessions(user_id=user.id)
    await end_all(transaction, [row for row in held if not row.connection_id])
