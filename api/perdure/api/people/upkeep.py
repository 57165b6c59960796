"""What people and machines leave behind: ended sessions, unused tickets, keys for tokens, tries of long ago, closed
accounts. And what gateways report of uses.
"""

from __future__ import annotations

from collections.abc import Mapping

from perdure.api.data import ControlDatabase, Transaction
from perdure.api.data.person_tables import CredentialUseRow
from perdure.api.federation import keys
from perdure.api.people import attempts, closing, sessions
from perdure.api.people.people import SessionLimits
from perdure.api.resources import kinds
from perdure.api.resources.endings import end_all
from perdure.auth.access.uses import DELAY_NS
from perdure.kernel.clock import Clock

PERIOD_S = 600.0
_AT_ONCE = 200


class RecordedUses:
    """See `perdure.auth.access.uses.UseStore`. A session that is used goes on."""

    def __init__(self, database: ControlDatabase, limits: SessionLimits) -> None:
        self._database = database
        self._limits = limits

    async def report(self, uses: Mapping[str, int]) -> None:
        reported = list(uses.items())
        for start in range(0, len(reported), _AT_ONCE):
            batch = reported[start : start + _AT_ONCE]

            async def record(transaction: Transaction, batch: list[tuple[str, int]] = batch) -> None:
                for credential_id, used_at_ns in batch:
                    await self._record(transaction, credential_id, used_at_ns)

            await self._database.write(record)

    async def _record(self, transaction: Transaction, credential_id: str, used_at_ns: int) -> None:
        session = await transaction.people.session(credential_id)
        if session is not None:
            if used_at_ns > session.used_at_ns:
                session.used_at_ns = used_at_ns
                sessions.publish(transaction, session, self._limits)
            return
        use = await transaction.people.use(credential_id)
        if use is not None:
            use.used_at_ns = max(use.used_at_ns, used_at_ns)
        elif await transaction.resource(kinds.API_KEY, credential_id) is not None:
            transaction.people.add(CredentialUseRow(id=credential_id, used_at_ns=used_at_ns))


class Upkeep:
    """Sweeps up."""

    def __init__(self, database: ControlDatabase, clock: Clock, limits: SessionLimits) -> None:
        self._database = database
        self._clock = clock
        self._limits = limits

    async def sweep(self) -> None:
        """Raises StoreError: the database cannot be used."""
        while await self._database.write(self._sweep) == _AT_ONCE:
            pass
        while await self._database.write(lambda transaction: closing.purge(transaction, self._clock.now_ns(), 1)):
            pass

    async def _sweep(self, transaction: Transaction) -> int:
        now_ns = self._clock.now_ns()
        # A use that is not reported yet may have been later.
        unused_since_ns = now_ns - self._limits.idle_ns - DELAY_NS
        ended = await transaction.people.sessions_ended(unused_since_ns, now_ns, _AT_ONCE)
        await end_all(transaction, ended)
        await transaction.people.forget_old(now_ns, now_ns - attempts.FORGOTTEN_NS, now_ns - attempts.KNOWN_NS)
        return max(len(ended), await keys.sweep(transaction, now_ns, _AT_ONCE))
