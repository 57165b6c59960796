"""How sessions and keys end, and which ones do with what their owner may, or with how his account lets people in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from perdure.api.data import Transaction
from perdure.api.data.person_tables import SessionRow
from perdure.api.data.tables import ResourceRow
from perdure.api.resources import kinds
from perdure.auth.access.records import PrincipalRecord
from perdure.auth.policy.conditions import OWNERS_ROLES
from perdure.auth.policy.grants import AccountRole

#: In an account's details: whether passwords open it to its owners only.
SIGN_ON_REQUIRED: Final = "sign_on_required"
#: In a sign-on connection's details: whether an owner has said what proves identity.
BY_OWNER: Final = "by_owner"
#: In an API key's details: the sign-on connection by which its maker had come, if that did not vouch for owners.
UNVOUCHED: Final = "unvouched_connection"


async def end(transaction: Transaction, row: SessionRow) -> None:
    await transaction.people.remove(row)
    transaction.withdraw("credential", row.id)


async def end_all(transaction: Transaction, ended: Sequence[SessionRow]) -> None:
    for row in ended:
        await end(transaction, row)


async def end_key(transaction: Transaction, row: ResourceRow) -> None:
    await transaction.remove(row)
    await transaction.people.forget_use(row.id)
    transaction.withdraw("credential", row.id)


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


def is_owners(user: PrincipalRecord) -> bool:
    """Whether he has what only owners give, by himself or by a group."""
    return not OWNERS_ROLES.isdisjoint(user.roles)


def vouches_for_owners(connection: ResourceRow) -> bool:
    """Whether owners may come by it: whoever cannot make somebody an owner must not be able to come as one either."""
    return bool(connection.details.get(BY_OWNER))


async def unvouched(transaction: Transaction, connection_id: str) -> str:
    """The same connection if it does not vouch for owners, also because it is gone, and else nothing."""
    if not connection_id:
        return ""
    connection = await transaction.resource(kinds.SIGN_ON_CONNECTION, connection_id)
    return "" if connection is not None and vouches_for_owners(connection) else connection_id


async def end_unvouched(transaction: Transaction, user: PrincipalRecord) -> None:
    """If he has what only owners give, end the sessions and keys that somebody else could have got in his name: whoever
    set up a connection that does not vouch for owners might have waited until he became one.
    """
    if not is_owners(user):
        return
    for session in await transaction.people.sessions(user_id=user.id):
        if await unvouched(transaction, session.connection_id):
            await end(transaction, session)
    for key in await transaction.resources(user.account_id, kinds.API_KEY, owner_id=user.id):
        if key.details.get(UNVOUCHED):
            await end_key(transaction, key)
