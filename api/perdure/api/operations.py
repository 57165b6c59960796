"""Carries on what calls have asked for and what takes longer than a transaction: the data plane is made to follow.

An operation is done by steps that can be repeated. Whoever takes one has it for a while; if he dies, the next one takes
it and begins again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from perdure.api.audit import records
from perdure.api.audit.operations import OPERATIONS
from perdure.api.data import ControlDatabase, Transaction
from perdure.api.data.audit import NewRecord
from perdure.api.data.database import LostRace
from perdure.api.data.tables import OperationRow, ResourceRow
from perdure.api.data_plane import DataPlane
from perdure.api.resources.operations import FAILED, FULFILLED, IN_PROGRESS, UNFINISHED
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.identity import Principal, PrincipalKind
from perdure.kernel.news import News, Topic
from perdure.kernel.runtime import Runtime

PERIOD_S = 1.0
#: How often it is counted what there is to do.
COUNT_NS = 5 * SECOND_NS
#: How long one try may take before another process takes over.
CLAIM_NS = 10 * SECOND_NS
_BACKOFF_NS = (1 * SECOND_NS, 2 * SECOND_NS, 5 * SECOND_NS, 15 * SECOND_NS, 60 * SECOND_NS)
_AT_ONCE = 10
_RACES_MAX = 10

_log = structlog.get_logger("perdure.api")


class OperationFailed(Exception):
    """It cannot be done, however often it is tried. The message is for whoever asked for it."""


@dataclass(frozen=True, slots=True)
class Work:
    """One try at one operation. The rows are copies: what is to be written is written by `done`."""

    operation: OperationRow
    resource: ResourceRow
    data_plane: DataPlane
    now_ns: int


#: Brings about what was asked for, and returns what is to be written once it is.
Outcome = Callable[[Transaction, ResourceRow], Awaitable[None]]
Step = Callable[[Work], Awaitable[Outcome]]


class Pending(NamedTuple):
    """Operations that are not finished, whoever has them, and since when the oldest of them is not."""

    number: int = 0
    age_s: float = 0.0


class OperationRunner:
    """`start` and `stop` are each called once. With several processes, each has one."""

    def __init__(
        self,
        database: ControlDatabase,
        data_plane: DataPlane,
        runtime: Runtime,
        news: News,
        steps: Mapping[str, Step],
        failed_states: Mapping[str, int],
    ) -> None:
        """`steps` and the state of a resource whose operation has failed are by the name of the RPC."""
        self._database = database
        self._data_plane = data_plane
        self._clock = runtime.clock
        self._entropy = runtime.entropy
        self._news = news
        self._steps = steps
        self._failed_states = failed_states
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._count_at_ns = 0
        self.pending = Pending()
        #: What this process has done, by RPC and outcome; and what it has to do again, by RPC.
        self.finished: Counter[tuple[str, str]] = Counter()
        self.retried: Counter[str] = Counter()

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name="operations")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def background(self) -> list[asyncio.Task[None]]:
        """What runs until `stop`."""
        return [self._task] if self._task else []

    def look(self) -> None:
        """There is something to do."""
        self._wanted.set()

    async def _run(self) -> None:
        while True:
            self._wanted.clear()
            try:
                await self._count()
                claimed = await self._claim()
                await asyncio.gather(*(self._try(operation) for operation in claimed))
            except Exception as error:
                # Whatever it is: without this loop nothing would be carried on any more.
                _log.warning("operations are not carried on", error=str(error), exc_info=True)
                claimed = []
            if not claimed:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PERIOD_S):
                        await self._wanted.wait()

    async def _count(self) -> None:
        now_ns = self._clock.now_ns()
        if now_ns < self._count_at_ns:
            return
        self._count_at_ns = now_ns + COUNT_NS
        async with self._database.reading() as transaction:
            count, since_ns = await transaction.pending(UNFINISHED)
        self.pending = Pending(count, (now_ns - since_ns) / SECOND_NS if count else 0.0)

    async def _claim(self) -> list[OperationRow]:
        now_ns = self._clock.now_ns()
        try:
            async with self._database.writing() as transaction:
                found = list(await transaction.unfinished(UNFINISHED, now_ns, _AT_ONCE))
                for operation in found:
                    operation.state = IN_PROGRESS
                    operation.claimed_until_ns = now_ns + CLAIM_NS
            return found
        except LostRace:
            return []

    async def _try(self, operation: OperationRow) -> None:
        async with self._database.reading() as transaction:
            resource = await transaction.resource(operation.resource_kind, operation.resource_id)
        if resource is None or resource.operation_id != operation.id:
            await self._finish(operation, FAILED, "Something else has happened to it meanwhile.", None)
            return
        work = Work(operation, resource, self._data_plane, self._clock.now_ns())
        try:
            outcome = await self._steps[operation.rpc](work)
        except OperationFailed as error:
            failed_state = self._failed_states[operation.rpc]

            async def fail(transaction: Transaction, row: ResourceRow) -> None:
                row.state = failed_state

            await self._finish(operation, FAILED, str(error), fail)
        except Exception as error:
            _log.warning(
                "operation is tried again", rpc=operation.rpc, id=operation.id, error=str(error), exc_info=True
            )
            await self._put_off(operation)
        else:
            await self._finish(operation, FULFILLED, "", outcome)

    def _record(self, row: OperationRow) -> NewRecord:
        """What was asked for is in the audit log already; this is that it came to nothing."""
        return records.record(
            self._entropy,
            row.finished_at_ns,
            row.account_id,
            OPERATIONS[row.rpc],
            records.ERROR,
            Principal(PrincipalKind.USER, row.principal_id),
            details={"rpc": row.rpc, "error": {"message": row.failure}},
            operation_id=row.id,
        )

    async def _put_off(self, operation: OperationRow) -> None:
        """Nobody needs to know if this fails: the claim ends by itself."""
        self.retried[operation.rpc] += 1
        with contextlib.suppress(LostRace):
            async with self._database.writing() as transaction:
                row = await transaction.operation(operation.account_id, operation.id)
                if row is not None:
                    row.claimed_until_ns = self._clock.now_ns() + _BACKOFF_NS[min(row.attempts, len(_BACKOFF_NS) - 1)]
                    row.attempts += 1

    async def _finish(self, operation: OperationRow, state: int, failure: str, outcome: Outcome | None) -> None:
        for _ in range(_RACES_MAX):
            try:
                async with self._database.writing() as transaction:
                    row = await transaction.operation(operation.account_id, operation.id)
                    if row is None or row.state not in UNFINISHED:
                        # Another process was faster.
                        return
                    resource = await transaction.resource(row.resource_kind, row.resource_id)
                    if outcome is not None and resource is not None and resource.operation_id == row.id:
                        await outcome(transaction, resource)
                    row.state, row.failure, row.finished_at_ns = state, failure, self._clock.now_ns()
                    if state == FAILED:
                        await transaction.audit.add([self._record(row)])
                    publishes = transaction.publishes
            except LostRace:
                continue
            self.finished[operation.rpc, "fulfilled" if state == FULFILLED else "failed"] += 1
            if publishes:
                self._news.tell(Topic.ACCESS)
            return
        await self._put_off(operation)
