"""Sign-ins that failed, on their way into the audit logs of the accounts that the person is a user of.

They are written later, by nobody's call: how long an answer takes, and what it writes, must not tell whether the
address is known.
"""

from __future__ import annotations

from collections import deque

import structlog

from perdure.api.audit import records
from perdure.api.audit.operations import EVENTS
from perdure.api.data import ControlDatabase, Transaction
from perdure.api.people.events import SignInEvent, SignInEventKind
from perdure.api.people.sessions import memberships
from perdure.kernel.entropy import Entropy
from perdure.kernel.identity import Principal, PrincipalKind

PERIOD_S = 1.0
_WAITING_MAX = 1_000
_AT_ONCE = 100

_log = structlog.get_logger("perdure.api")


class FailedSignIns:
    """`note` is told of everything that happens; what a crash can cost is what came since the last `write`."""

    def __init__(self, database: ControlDatabase, entropy: Entropy) -> None:
        self._database = database
        self._entropy = entropy
        self._waiting: deque[SignInEvent] = deque()

    def note(self, event: SignInEvent) -> None:
        if event.kind is not SignInEventKind.FAILED or not event.person_id:
            return
        if len(self._waiting) >= _WAITING_MAX:
            _log.warning("the audit log lacks a failed sign-in", person=event.person_id)
            return
        self._waiting.append(event)

    async def write(self) -> None:
        """Raises StoreError: the database cannot be used, and they are kept."""
        while self._waiting:
            batch = list(self._waiting)[:_AT_ONCE]

            async def add(transaction: Transaction, batch: list[SignInEvent] = batch) -> None:
                for event in batch:
                    await self._add(transaction, event)

            await self._database.write(add)
            for _ in batch:
                self._waiting.popleft()

    async def _add(self, transaction: Transaction, event: SignInEvent) -> None:
        found = [
            records.record(
                self._entropy,
                event.at_ns,
                account.id,
                EVENTS[event.kind],
                records.ERROR,
                Principal(PrincipalKind.USER, user.id, event.email, account.id),
                details={"reason": event.reason, "userAgent": event.user_agent},
                address=event.address,
            )
            for user, account in await memberships(transaction, event.email)
        ]
        await transaction.audit.add(found)
