"""Works on batch jobs: looks for executions, does the operation to each at the job's pace, and notes how far it got.

What was not noted when the process dies is done again: operations on the same execution with the same request id do
nothing twice, and one that finds nothing left to do counts as done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import structlog
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import (
    DescribeActivityExecutionRequest,
    DescribeActivityExecutionResponse,
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    StartBatchOperationRequest,
)

from perdure.history.batches.reset_points import reset_point
from perdure.history.engine import Engine
from perdure.history.kinds.batch import LoadedBatch
from perdure.history.machines import batch
from perdure.history.shard import Shard
from perdure.history.state.batch import Target
from perdure.kernel.batch_operations import call_for, kind_of, query_of
from perdure.kernel.call import Call
from perdure.kernel.errors import (
    DataLoss,
    DeadlineExceeded,
    Internal,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
    Unavailable,
)
from perdure.kernel.ids import ExecutionKey, ExecutionKind
from perdure.kernel.masking import service_error
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
#: How soon whoever waits for its turn sees that a job was stopped.
_LOOK_S = 1.0
#: What has no run means this one, which nothing has.
_NO_RUN = "00000000-0000-0000-0000-000000000000"
_PASSING = (Unavailable, ResourceExhausted, DeadlineExceeded)


class _Pace:
    """Lets one pass after the other, so many in a second."""

    def __init__(self, rate: float) -> None:
        self._interval_s = 1 / rate
        self._next_s = 0.0

    def turn(self) -> float:
        """When the next one may pass, on the loop's clock."""
        at_s = max(self._next_s, asyncio.get_running_loop().time())
        self._next_s = at_s + self._interval_s
        return at_s


class _Job(NamedTuple):
    """A job as it was taken up."""

    shard: Shard
    key: ExecutionKey
    namespace: Namespace
    pace: _Pace


class BatchWorker:
    """Works on the batch jobs of one engine. Operations go to whoever owns the executions."""

    def __init__(self, engine: Engine, history: HistoryClient, visibility: VisibilityStore) -> None:
        self._engine = engine
        self._history = history
        self._visibility = visibility
        #: Of all jobs of a namespace together.
        self._paces: dict[str, _Pace] = {}

    async def run(self, key: ExecutionKey, _: int) -> None:
        """Work on a job until it has ended, or its shard is not the one any more on which it was taken up: whoever owns
        that then works on it.

        Raises:
            ServiceError: the job itself cannot be read or written now.
        """
        loaded = await self._engine.shard_of(key.workflow).find(LoadedBatch, key)
        if loaded is None or not loaded.state.running:
            return
        namespace = await self._engine.namespace_of(key)
        job = _Job(loaded.shard, key, namespace, _Pace(self._rate(loaded.state.request)))
        while (loaded := await self._find(job)) is not None and loaded.state.running:
            try:
                await self._advance(loaded, job)
            except InvalidArgument as error:
                # The query is none any more: an attribute was removed.
                await self._decide(job, partial(batch.fail, reason=error.message))

    async def _find(self, job: _Job) -> LoadedBatch | None:
        if self._engine.shards.get(job.shard.id) is not job.shard:
            return None
        return await job.shard.find(LoadedBatch, job.key)

    async def _advance(self, loaded: LoadedBatch, job: _Job) -> None:
        """One step: count, look for a page, or work on some of it."""
        state, namespace = loaded.state, job.namespace
        request = state.request
        if state.total is None:
            total, _ = await self._visibility.count(namespace.id, _query(request, namespace))
            await self._decide(job, lambda tx: batch.counted(tx, total))
        elif state.targets:
            # What takes about a second, so that progress is shown and little is done again after a crash.
            some = state.targets[: max(int(self._rate(request)), 1)]
            if any(not target.run_id for target in some):
                targets = [await self._with_run(job, request, target) for target in some]
                await self._decide(job, lambda tx: batch.named(tx, targets))
                return
            position = state.completed + state.failed
            done = await self._work(loaded, job, some)
            failed = done.count(False)
            # What was done counts also if the job was stopped meanwhile.
            await self._decide(
                job, lambda tx: batch.progressed(tx, position, len(done) - failed, failed), also_stopped=True
            )
        elif state.all_listed:
            await self._decide(job, batch.complete)
        else:
            query = _query(request, namespace)
            page = await self._visibility.list(namespace.id, query, _PAGE_SIZE, state.next_page_token)
            targets = [Target(record.workflow_id, record.run_id) for record in page.records]
            await self._decide(job, lambda tx: batch.listed(tx, targets, page.next_page_token))

    async def _decide(
        self, job: _Job, decision: Callable[[batch.BatchTransition], None], *, also_stopped: bool = False
    ) -> None:
        """Durably; nothing if the job is not ours any more, or has ended."""
        loaded = await self._find(job)
        if loaded is not None and (loaded.state.running or also_stopped):
            self._engine.decide(job.namespace, loaded, decision)
            await loaded.committed()

    def _rate(self, request: StartBatchOperationRequest) -> float:
        limit = float(self._engine.limits.batch_operations_per_s)
        return min(request.max_operations_per_second or limit, limit)

    async def _with_run(self, job: _Job, request: StartBatchOperationRequest, target: Target) -> Target:
        """The target with the run that it means now: a repetition must not mean one that has begun since."""
        if target.run_id:
            return target
        call = Call(job.namespace)
        try:
            if kind_of(request) is ExecutionKind.ACTIVITY:
                activity = await self._history.handle(
                    "DescribeActivityExecution", call, DescribeActivityExecutionRequest(activity_id=target.id)
                )
                assert isinstance(activity, DescribeActivityExecutionResponse)
                return Target(target.id, activity.run_id)
            described = await self._history.handle(
                "DescribeWorkflowExecution",
                call,
                DescribeWorkflowExecutionRequest(execution=WorkflowExecution(workflow_id=target.id)),
            )
            assert isinstance(described, DescribeWorkflowExecutionResponse)
            return Target(target.id, described.workflow_execution_info.execution.run_id)
        except (NotFound, DataLoss):
            return Target(target.id, _NO_RUN)

    async def _work(self, loaded: LoadedBatch, job: _Job, targets: Sequence[Target]) -> list[bool]:
        """Whether the operation was done to each, as far as the job was not stopped. In order."""
        waiting = list(enumerate(targets))
        done: dict[int, bool] = {}

        async def work() -> None:
            while waiting:
                number, target = waiting.pop(0)
                if not await self._turn(loaded, job):
                    return
                done[number] = await self._operate(loaded, job, target)

        await asyncio.gather(*(work() for _ in range(min(_AT_ONCE, len(targets)))))
        results: list[bool] = []
        while len(results) in done:
            results.append(done[len(results)])
        return results

    async def _turn(self, loaded: LoadedBatch, job: _Job) -> bool:
        """Wait for the job's turn, and its namespace's. Returns whether there is still something to be done."""
        loop = asyncio.get_running_loop()
        limit = self._engine.limits.batch_operations_per_s
        of_all = self._paces.setdefault(job.namespace.id, _Pace(limit))
        at_s = max(job.pace.turn(), of_all.turn())
        while loaded.state.running and not job.shard.closed:
            if (early_s := at_s - loop.time()) <= 0:
                return True
            # A job that is stopped must not be waited for.
            await asyncio.sleep(min(early_s, _LOOK_S))
        return False

    async def _operate(self, loaded: LoadedBatch, job: _Job, target: Target) -> bool:
        request, call = loaded.state.request, Call(job.namespace)
        delay_s = _RETRY_DELAY_S_MIN
        for attempt in range(1, _ATTEMPTS_MAX + 1):
            try:
                run, event_id = target, 0
                if request.HasField("reset_operation"):
                    now = self._engine.runtime.clock.now_ns()
                    run, event_id = await reset_point(self._history, call, request.reset_operation, target, now)
                rpc, operation = call_for(request, run.id, run.run_id, event_id)
                await self._history.handle(rpc, call, operation)
                return True
            except NotFound:
                # It has ended, or is gone: there is nothing to do to it.
                return True
            except Exception as error:
                # Whatever it is, the others have their turn.
                shown = service_error(error) or Internal("internal error")
                if not isinstance(shown, _PASSING) or attempt == _ATTEMPTS_MAX or job.shard.closed:
                    logger.warning("a batch operation failed", **named(job.key), target=target.id, error=str(error))
                    return False
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, _RETRY_DELAY_S_MAX)
        return False


def _query(request: StartBatchOperationRequest, namespace: Namespace) -> Query:
    return parse(query_of(request), namespace.shown_attributes, kind_of(request), namespace.stored_attributes)
