"""Exports the audit log to the sinks of accounts: at least once, in order, from where the last delivery ended.

A sink is served by whoever has it for a while; if he dies the next one takes it and repeats what was not confirmed.
"""

from __future__ import annotations

import asyncio

import structlog

from perdure.api.audit.sinks.batches import Batch, Sealed, batch_of
from perdure.api.audit.sinks.making import SinkMaker, decode
from perdure.api.audit.sinks.s3 import S3Spec
from perdure.api.data import ControlDatabase, Transaction
from perdure.api.data.database import LostRace
from perdure.api.data.tables import ResourceRow, SinkProgressRow
from perdure.api.outgoing.calls import CallFailed
from perdure.api.resources import kinds
from perdure.kernel.clock import SECOND_NS, Clock
from perdure.kernel.persistence.executions import StoreError

PERIOD_S = 1.0
#: Records of one delivery, and their bytes.
BATCH_MAX = 500
BATCH_BYTES_MAX = 1 << 20
#: Longer than any delivery takes.
_CLAIM_NS = 60 * SECOND_NS
_BACKOFF_NS = tuple(seconds * SECOND_NS for seconds in (1, 2, 5, 15, 60, 300))
#: Whoever gets an object for each delivery would rather have few of them.
_OBJECT_AGE_NS = 60 * SECOND_NS
_AT_ONCE = 8
_PAGE = 200
_FAILURE_LENGTH_MAX = 1024

_log = structlog.get_logger("perdure.api")


class AuditExporter:
    """To the sinks of all accounts."""

    def __init__(self, database: ControlDatabase, maker: SinkMaker, clock: Clock) -> None:
        self._database = database
        self._maker = maker
        self._clock = clock
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def aclose(self) -> None:
        await self._maker.calls.aclose()

    async def export_all(self) -> None:
        """Deliver until nothing more arrives. Raises StoreError: see `export`."""
        while await self.export():
            pass

    async def export(self) -> int:
        """Make one delivery to each sink that something is there for, and say how many records have arrived.

        Raises:
            StoreError: the database cannot be used.
        """
        sinks: list[ResourceRow] = []
        after = ""
        while True:
            async with self._database.reading() as transaction:
                page = await transaction.of_kind(kinds.AUDIT_EXPORT, after, _PAGE)
                sinks += [row for row in page if row.details["enabled"] and await self._lacks_some(transaction, row)]
            if len(page) < _PAGE:
                break
            after = page[-1].id
        return sum(await asyncio.gather(*(self._serve(sink) for sink in sinks)))

    async def _lacks_some(self, transaction: Transaction, sink: ResourceRow) -> bool:
        chain = await transaction.audit.chain(sink.account_id)
        progress = await transaction.audit.progress(sink.id)
        return chain is not None and chain.last > (progress.number if progress else 0)

    async def _serve(self, sink: ResourceRow) -> int:
        async with self._turns:
            try:
                return await self._deliver(sink)
            except CallFailed as error:
                await self._failed(sink, error)
            except LostRace:
                # Another process has it.
                pass
            except StoreError:
                raise
            except Exception:
                # A defect of ours, and of this sink: those of others are to be served.
                _log.exception("audit log is not exported", sink=sink.id)
                await self._failed(sink, CallFailed("an internal error", is_theirs=False))
            return 0

    async def _deliver(self, sink: ResourceRow) -> int:
        """Raises CallFailed: it did not arrive, and LostRace, StoreError."""
        batch = await self._claim(sink)
        if batch is None:
            return 0
        await self._maker.make_stored(sink).deliver(batch)
        await self._arrived(sink, batch)
        return batch.last - batch.first + 1

    async def _claim(self, sink: ResourceRow) -> Batch | None:
        """What is to be delivered next, and nobody else does that meanwhile."""
        now_ns = self._clock.now_ns()
        async with self._database.writing(serial=False) as transaction:
            chain = await transaction.audit.chain(sink.account_id)
            progress = await transaction.audit.progress(sink.id)
            if chain is None or (progress and (progress.claimed_until_ns > now_ns or progress.number >= chain.last)):
                return None
            if progress is None:
                progress = SinkProgressRow(id=sink.id, number=0, failures=0, failure="", is_theirs=False)
                progress.succeeded_at_ns = 0
                transaction.audit.begin_progress(progress)
            before = max(progress.number, chain.removed)
            previous = chain.removed_hash
            if before > chain.removed:
                previous = (await transaction.audit.sealed(sink.account_id, before - 1, 1))[0].hash or b""
            rows = await transaction.audit.sealed(sink.account_id, before, BATCH_MAX)
            if not rows or self._is_early(sink, rows[0].emitted_at_ns, len(rows), now_ns):
                return None
            progress.claimed_until_ns = now_ns + _CLAIM_NS
        records: list[Sealed] = []
        for row in rows:
            assert row.number is not None and row.hash is not None
            records.append(Sealed(row.number, row.emitted_at_ns, row.record, previous, row.hash))
            previous = row.hash
        return batch_of(sink.account_id, records, BATCH_BYTES_MAX)

    def _is_early(self, sink: ResourceRow, emitted_at_ns: int, count: int, now_ns: int) -> bool:
        is_object = isinstance(decode(sink.spec), S3Spec)
        return is_object and count < BATCH_MAX and now_ns - emitted_at_ns < _OBJECT_AGE_NS

    async def _arrived(self, sink: ResourceRow, batch: Batch) -> None:
        async with self._database.writing(serial=False) as transaction:
            progress = await transaction.audit.progress(sink.id)
            if progress is None:
                # It has been deleted.
                return
            progress.number = max(progress.number, batch.last)
            progress.claimed_until_ns = progress.failures = 0
            progress.failure, progress.is_theirs = "", False
            progress.succeeded_at_ns = self._clock.now_ns()

    async def _failed(self, sink: ResourceRow, error: CallFailed) -> None:
        _log.info("audit log is not exported", sink=sink.id, error=str(error))
        async with self._database.writing(serial=False) as transaction:
            progress = await transaction.audit.progress(sink.id)
            if progress is None:
                return
            progress.claimed_until_ns = self._clock.now_ns() + _BACKOFF_NS[min(progress.failures, len(_BACKOFF_NS) - 1)]
            progress.failures += 1
            progress.failure, progress.is_theirs = str(error)[:_FAILURE_LENGTH_MAX], error.is_theirs
