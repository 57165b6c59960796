"""Who calls, by what holds in a transaction: this process may not have heard yet what others have just decided."""

from __future__ import annotations

from perdure.api.data import Transaction
from perdure.auth.access.records import AccountRecord, CredentialRecord, PrincipalRecord
from perdure.auth.access.view import credential_of, somebody_of
from perdure.auth.guard import Identified, identified
from perdure.kernel.errors import Unauthenticated
from perdure.kernel.identity import PrincipalKind

_KNOWN_TO_GATEWAYS = frozenset({PrincipalKind.USER, PrincipalKind.SERVICE_ACCOUNT})


async def identified_anew(transaction: Transaction, who: Identified, address: str, now_ns: int) -> Identified:
    """The same caller with what he may do now.

    Raises:
        Unauthenticated: what he has shown is not good any more.
        StoreError: it cannot be read.
    """
    principal = who.principal
    if principal.kind not in _KNOWN_TO_GATEWAYS:
        # Nobody, or one who has been looked up in the database just now.
        return who
    credential, owner, account = await transaction.published(
        ("credential", principal.key_id), ("principal", principal.id), ("account", principal.account_id)
    )
    if not isinstance(credential, CredentialRecord):
        raise Unauthenticated("The session has ended." if who.grants.signed_in else "The API key is not valid.")
    return identified(
        credential_of(credential),
        somebody_of(owner) if isinstance(owner, PrincipalRecord) else None,
        account_is_active=isinstance(account, AccountRecord) and account.active,
        address=address,
        now_ns=now_ns,
    )
