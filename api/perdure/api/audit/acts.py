"""Acts of the data plane on their way into the audit log.

A gateway adds to a list in memory; every so often, and at once when there are many, the list is written in one
transaction. So an act costs a call next to nothing, and a crash of the process loses the acts of the last `DELAY_S`
and of the write in flight. When acts cannot be written the list fills up, and then calls wait and are refused: nobody
does anything of which the log would not know. Refusals never fill it, since whoever is refused could stop all others.
"""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from perdure.api.audit import records
from perdure.api.audit.refusals import LEFT_OUT, Refusals
from perdure.api.data import ControlDatabase
from perdure.api.data.audit import NewRecord
from perdure.kernel.acts import OK, Act
from perdure.kernel.errors import Unavailable
from perdure.kernel.persistence.executions import StoreError
from perdure.kernel.runtime import Runtime

#: What a crash can cost.
DELAY_S = 0.2
#: Acts in memory, those that are being written included.
WAITING_MAX = 20_000
_BATCH_MAX = 2_000
#: The part of them beyond which refusals are left out.
_REFUSALS_PART = 0.5
_PATIENCE_S = 5.0
_RETRY_S = 0.5
_ID_LENGTH_MAX = 1_000

_log = structlog.get_logger("perdure.api")


class ActWriter:
    """See `perdure.kernel.acts.ActLog`. `start` and `stop` are each called once."""

    def __init__(self, database: ControlDatabase, runtime: Runtime) -> None:
        self._database = database
        self._entropy = runtime.entropy
        self.refusals = Refusals()
        self._waiting: list[Act] = []
        self._wanted = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self.written = 0

    @property
    def is_full(self) -> bool:
        return len(self._waiting) >= WAITING_MAX

    async def room(self) -> None:
        while self.is_full:
            self._room.clear()
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    await self._room.wait()
            except TimeoutError:
                raise Unavailable("The audit log cannot be written at the moment, try again.") from None

    def add(self, act: Act) -> None:
        self._waiting.append(act)
        if len(self._waiting) >= _BATCH_MAX:
            self._wanted.set()

    def add_refusal(self, act: Act) -> None:
        has_room = len(self._waiting) < _REFUSALS_PART * WAITING_MAX
        left_out = self.refusals.tell(act.principal.account_id, act.at_ns, has_room=has_room)
        if left_out is not None:
            self.add(act._replace(left_out=left_out))

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name="acts")

    async def stop(self) -> None:
        """Write what is left. If it cannot be written it is lost, and that is logged."""
        self._stopping = True
        self._wanted.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def background(self) -> list[asyncio.Task[None]]:
        """What runs until `stop`."""
        return [self._task] if self._task else []

    async def write(self) -> None:
        """Write down the acts so far, at most some thousands.

        Raises:
            StoreError: the database cannot be used; they are kept.
        """
        batch = self._waiting[:_BATCH_MAX]
        if not batch:
            return
        async with self._database.writing(serial=False) as transaction:
            await transaction.audit.add([self._record(act) for act in batch])
        del self._waiting[: len(batch)]
        self.written += len(batch)
        self._room.set()

    async def _run(self) -> None:
        while not self._stopping or self._waiting:
            if not self._stopping and len(self._waiting) < _BATCH_MAX:
                self._wanted.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(DELAY_S):
                        await self._wanted.wait()
            try:
                await self.write()
            except Exception as error:
                # Whatever it is: without this loop nobody could do anything any more.
                unexpected = not isinstance(error, StoreError)
                _log.warning("acts are not written", waiting=len(self._waiting), error=str(error), exc_info=unexpected)
                if self._stopping:
                    return
                await asyncio.sleep(_RETRY_S)

    def _record(self, act: Act) -> NewRecord:
        details = {"namespace": act.namespace}
        if act.workflow_id:
            details["workflowId"] = act.workflow_id[:_ID_LENGTH_MAX]
        if act.run_id:
            details["runId"] = act.run_id[:_ID_LENGTH_MAX]
        if act.result != OK:
            details["error"] = act.result
        if act.left_out:
            details[LEFT_OUT] = str(act.left_out)
        return records.record(
            self._entropy,
            act.at_ns,
            act.principal.account_id,
            act.rpc,
            records.OK if act.result == OK else records.ERROR,
            act.principal,
            details=details,
            address=act.address,
        )
