"""Works on batch jobs: looks for executions, does the operation to each at the job's pace, and notes how far it got.

What was not noted when the process dies is done again: operations on the same execution with the same request id do
nothing twice, and one that finds nothing left to do counts as done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

import structlog
from temporalio.api.workflowservice.v1 import StartBatchOperationRequest

from perdure.history.batches.operations import call_for, kind_of, query_of
from perdure.history.batches.reset_points import reset_point
from perdure.history.engine import Engine
from perdure.history.kinds.batch import LoadedBatch
from perdure.history.machines import batch
from perdure.history.state.batch import Target
from perdure.kernel.call import Call
from perdure.kernel.errors import (
    DeadlineExceeded,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
    ServiceError,
    Unavailable,
)
from perdure.kernel.ids import ExecutionKey
from perdure.kernel.namespace import Namespace
from perdure.kernel.persistence.visibility import VisibilityStore
from perdure.kernel.rpc import HistoryClient
from perdure.kernel.serving import named
from perdure.kernel.visibility.parser import parse
from perdure.kernel.visibility.query import Query

logger = structlog.get_logger(__name__)

#: Executions looked for at once. All that are in hand are part of the job's state.
_PAGE_SIZE = 500
#: Executions of one job that are worked on at the same time.
_AT_ONCE = 5
#: What may pass by itself is tried so often, with pauses between.
_ATTEMPTS_MAX = 10
_RETRY_DELAY_S_MIN, _RETRY_DELAY_S_MAX = 0.1, 5.0
_PASSING = (Unavailable, ResourceExhausted, DeadlineExceeded)


class _Pace:
    """Lets one pass after the other, `rate` in a second."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.rate = 1.0
        self._loop = loop
        self._next_s = 0.0

    async def wait(self) -> None:
        now_s = self._loop.time()
        at_s = max(self._next_s, now_s)
        self._next_s = at_s + 1 / self.rate
        if at_s > now_s:
            await asyncio.sleep(at_s - now_s)


class BatchWorker:
    """Works on the batch jobs of one engine. Operations go to whoever owns the executions."""

    def __init__(self, engine: Engine, history: HistoryClient, visibility: VisibilityStore) -> None:
        self._engine = engine
        self._history = history
        self._visibility = visibility

    async def run(self, key: ExecutionKey, _: int) -> None:
        """Work on a job until it has ended.

        Raises:
            ServiceError: the job itself cannot be read or written now.
        """
        pace = _Pace(asyncio.get_running_loop())
        while (loaded := await self._find(key)) is not None and loaded.state.running:
            namespace = await self._engine.namespace_of(key)
            try:
                await self._advance(loaded, namespace, pace)
            except InvalidArgument as error:
                # The query is none any more: an attribute was removed.
                await self._decide(key, namespace, partial(batch.fail, reason=error.message))

    async def _find(self, key: ExecutionKey) -> LoadedBatch | None:
        return await self._engine.shard_of(key.workflow).find(LoadedBatch, key)

    async def _advance(self, loaded: LoadedBatch, namespace: Namespace, pace: _Pace) -> None:
        """One step: count, look for a page, or work on some of it."""
        state, key = loaded.state, loaded.key
        request = state.request
        if state.total is None:
            total, _ = await self._visibility.count(namespace.id, _query(request, namespace))
            await self._decide(key, namespace, lambda tx: batch.counted(tx, total))
        elif state.targets:
            pace.rate = self._rate(request)
            # What takes about a second, so that progress is shown and little is done again after a crash.
            done = await self._work(loaded, namespace, state.targets[: max(int(pace.rate), 1)], pace)
            failed = done.count(False)
            await self._decide(
                key, namespace, lambda tx: batch.progressed(tx, len(done) - failed, failed), stopped=True
            )
        elif state.all_listed:
            await self._decide(key, namespace, batch.complete)
        else:
            query = _query(request, namespace)
            page = await self._visibility.list(namespace.id, query, _PAGE_SIZE, state.next_page_token)
            targets = [Target(record.workflow_id, record.run_id) for record in page.records]
            await self._decide(key, namespace, lambda tx: batch.listed(tx, targets, page.next_page_token))

    async def _decide(
        self, key: ExecutionKey, namespace: Namespace, decision: object, *, stopped: bool = False
    ) -> None:
        loaded = await self._find(key)
        if loaded is not None and (loaded.state.running or stopped):
            self._engine.decide(namespace, loaded, decision)  # type: ignore[arg-type]
            await loaded.committed()

    def _rate(self, request: StartBatchOperationRequest) -> float:
        limit = self._engine.limits.batch_operations_per_s
        return min(request.max_operations_per_second or limit, limit)

    async def _work(
        self, loaded: LoadedBatch, namespace: Namespace, targets: Sequence[Target], pace: _Pace
    ) -> list[bool]:
        """Whether the operation was done to each, as far as the job was not stopped. In order."""
        results: list[bool] = []
        waiting = list(enumerate(targets))
        done: dict[int, bool] = {}

        async def work() -> None:
            while waiting and loaded.state.running and not loaded.shard.closed:
                number, target = waiting.pop(0)
                await pace.wait()
                done[number] = await self._operate(loaded, namespace, target)

        await asyncio.gather(*(work() for _ in range(min(_AT_ONCE, len(targets)))))
        while len(results) in done:
            results.append(done[len(results)])
        return results

    async def _operate(self, loaded: LoadedBatch, namespace: Namespace, target: Target) -> bool:
        request, call = loaded.state.request, Call(namespace)
        delay_s = _RETRY_DELAY_S_MIN
        for attempt in range(1, _ATTEMPTS_MAX + 1):
            try:
                run, event_id = target, 0
                if request.HasField("reset_operation"):
                    now = self._engine.runtime.clock.now_ns()
                    run, event_id = await reset_point(self._history, call, request.reset_operation, target, now)
                rpc, operation = call_for(request, run, event_id)
                await self._history.handle(rpc, call, operation)
                return True
            except NotFound:
                # It has ended, or is gone: there is nothing to do to it.
                return True
            except ServiceError as error:
                if not isinstance(error, _PASSING) or attempt == _ATTEMPTS_MAX:
                    logger.info(
                        "an operation of a batch failed", **named(loaded.key), target=target.id, error=str(error)
                    )
                    return False
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, _RETRY_DELAY_S_MAX)
        return False


def _query(request: StartBatchOperationRequest, namespace: Namespace) -> Query:
    return parse(query_of(request), namespace.shown_attributes, kind_of(request), namespace.stored_attributes)
