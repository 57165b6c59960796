"""Mails people before what they connect with stops to be good. What is due, `perdure.api.notices` says."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

from temporalio.api.cloud.identity.v1 import AccountAccess, NamespaceAccess

from perdure.api import notices
from perdure.api.data import ControlDatabase, Transaction
from perdure.api.data.tables import NoticeRow
from perdure.api.notices import Expiry, Notice
from perdure.api.people import mails
from perdure.api.people.mails import Links
from perdure.api.resources import kinds, rows
from perdure.api.resources.publishing import identity_of
from perdure.api.resources.user_states import is_active
from perdure.auth.access.records import PrincipalRecord
from perdure.kernel.clock import Clock
from perdure.kernel.ids import NamespaceName
from perdure.kernel.mailer import Mail

PERIOD_S = 3600.0
_PAGE = 200
_ADMINS = {AccountAccess.ROLE_OWNER, AccountAccess.ROLE_ADMIN}


class ExpiryMails:
    """Each is mailed once for each of its days, by whichever process is first. If that one dies before the mail has
    left, the next one of fewer days still comes.
    """

    def __init__(
        self, database: ControlDatabase, clock: Clock, links: Callable[[], Links], send: Callable[[Mail], None]
    ) -> None:
        self._database = database
        self._clock = clock
        self._links = links
        self._send = send

    async def mail_all(self) -> None:
        """Look at all keys and certificates.

        Raises:
            StoreError: the database cannot be used.
        """
        now_ns = self._clock.now_ns()
        for kind in (kinds.API_KEY, kinds.NAMESPACE):
            after = ""
            while True:
                async with self._database.reading() as transaction:
                    page = await transaction.of_kind(kind, after, _PAGE)
                    due = [(row.account_id, notices.due(notices.of_resource(row), now_ns)) for row in page]
                    after = page[-1].id if page else ""
                for account_id, found in due:
                    for notice in found:
                        await self._tell(account_id, notice)
                if len(page) < _PAGE:
                    break
        await self._database.write(lambda transaction: transaction.forget_notices(now_ns))

    async def _tell(self, account_id: str, notice: Notice) -> None:
        row_id = _id(account_id, notice)
        async with self._database.reading() as transaction:
            if await transaction.noted(row_id):
                return

        async def note(transaction: Transaction) -> list[str]:
            row = NoticeRow(id=row_id, forget_at_ns=notice.expiry.expires_at_ns)
            return await _recipients(transaction, account_id, notice.expiry) if await transaction.note(row) else []

        for email in await self._database.write(note):
            self._send(mails.expiring(self._links(), email, notice))


async def _recipients(transaction: Transaction, account_id: str, expiry: Expiry) -> list[str]:
    """The owner of a key, if it is a person; the admins of a namespace; without either, those of the account."""
    account = await transaction.resource(kinds.ACCOUNT, account_id)
    if account is None or account.state != rows.ACTIVE:
        return []
    if expiry.kind == kinds.API_KEY:
        owner = await transaction.resource(kinds.USER, expiry.of)
        if owner is not None:
            return [owner.name] if is_active(owner) else []
    found = []
    for user in await transaction.resources(account_id, kinds.USER):
        identity = await identity_of(transaction, user)
        if identity.active and _is_admin(identity, expiry):
            found.append(user.name)
    return found


def _is_admin(identity: PrincipalRecord, expiry: Expiry) -> bool:
    if _ADMINS & set(identity.roles):
        return True
    return identity.namespaces.get(NamespaceName(expiry.of)) == NamespaceAccess.PERMISSION_ADMIN


def _id(account_id: str, notice: Notice) -> str:
    expiry = notice.expiry
    told = (account_id, expiry.kind, expiry.id, expiry.of, str(expiry.expires_at_ns), str(notice.days))
    return sha256("\n".join(told).encode()).hexdigest()
