"""Shedding by its parts, and as a whole in a process with one processor, whose time is virtual."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from temporalio.api.enums.v1 import ResourceExhaustedCause, ResourceExhaustedScope
from temporalio.api.errordetails.v1 import ResourceExhaustedFailure

from perdure.frontend.limits import OverLimit, overload
from perdure.frontend.limits.overload import Admission, Damper, LagSampler, Rank, rank_of
from perdure.frontend.routes import WORKFLOW_ROUTES
from perdure.kernel.clock import SECOND_NS, VirtualClock
from perdure.kernel.metrics import GatewayMetrics
from tests.support import virtual_time


def filled(admission: Admission, rank: Rank) -> int:
    """How many calls of a rank get in and stay."""
    count = 0
    while True:
        try:
            admission.check(rank)
        except OverLimit:
            return count
        admission.begin()
        count += 1


@pytest.mark.parametrize(
    ("rpc", "rank"),
    [
        ("RespondWorkflowTaskCompleted", Rank.FINISH),
        ("RespondActivityTaskFailed", Rank.FINISH),
        ("RecordActivityTaskHeartbeat", Rank.FINISH),
        ("GetSystemInfo", Rank.FINISH),
        ("PollWorkflowTaskQueue", Rank.TAKE),
        ("GetWorkflowExecutionHistory", Rank.CHANGE),
        ("TerminateWorkflowExecution", Rank.CHANGE),
        ("StartWorkflowExecution", Rank.BEGIN),
        ("UpdateWorkflowExecution", Rank.BEGIN),
        ("ListWorkflowExecutions", Rank.LOOK),
        ("QueryWorkflow", Rank.LOOK),
        ("DescribeWorkflowExecution", Rank.LOOK),
        ("PollWorkflowExecutionUpdate", Rank.LOOK),
    ],
)
def test_ranks(rpc: str, rank: Rank) -> None:
    assert rank_of(WORKFLOW_ROUTES[rpc]) is rank


def test_the_first_to_be_refused_are_those_that_only_look_and_the_last_those_that_finish() -> None:
    admission = Admission(GatewayMetrics())
    for rank in reversed(Rank):
        assert filled(admission, rank) > 0
        for later in range(rank, max(Rank) + 1):
            with pytest.raises(OverLimit):
                admission.check(Rank(later))


def test_the_refusal_names_its_cause() -> None:
    metrics = GatewayMetrics()
    admission = Admission(metrics)
    filled(admission, Rank.BEGIN)
    with pytest.raises(OverLimit) as caught:
        admission.check(Rank.BEGIN)
    detail = caught.value.detail
    assert isinstance(detail, ResourceExhaustedFailure)
    assert detail.cause == ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_SYSTEM_OVERLOADED
    assert detail.scope == ResourceExhaustedScope.RESOURCE_EXHAUSTED_SCOPE_SYSTEM
    assert metrics.refusals == {("", overload.LIMIT): 2}


def test_the_limit_shrinks_with_the_lag_down_to_its_floor() -> None:
    admission = Admission(GatewayMetrics())
    filled(admission, Rank.FINISH)
    before = admission.limit
    admission.adjust(1.25 * overload.LAG_S_TARGET)
    assert admission.limit == pytest.approx(before * 0.8)
    for _ in range(20):
        admission.adjust(10 * overload.LAG_S_TARGET)
    assert admission.limit == overload.LIMIT_MIN


def test_the_limit_shrinks_from_what_was_used_of_it() -> None:
    admission = Admission(GatewayMetrics())
    for _ in range(300):
        admission.begin()
    admission.adjust(1.25 * overload.LAG_S_TARGET)
    assert admission.limit == pytest.approx(240)


def test_the_limit_grows_while_it_is_used_and_up_to_its_ceiling() -> None:
    admission = Admission(GatewayMetrics())
    admission.adjust(0)
    assert admission.limit == overload.LIMIT_START
    for _ in range(100):
        filled(admission, Rank.FINISH)
        admission.adjust(0)
    assert admission.limit == overload.LIMIT_MAX


def test_the_sampler_sleeps_unless_there_is_a_crowd_and_ignores_a_single_pause() -> None:
    clock = VirtualClock()
    admission = Admission(GatewayMetrics())
    sampler = LagSampler(admission)

    async def scenario() -> None:
        for _ in range(600):
            admission.begin()
        sampler.watch()
        await asyncio.sleep(0.07)
        clock.advance(SECOND_NS // 2)  # the process holds still
        await asyncio.sleep(0.2)
        assert admission.limit >= overload.LIMIT_START
        for _ in range(10):  # it holds still again and again
            clock.advance(SECOND_NS // 2)
            await asyncio.sleep(0)
        assert admission.limit < overload.LIMIT_START
        assert sampler.running
        while admission.crowded:
            admission.end()
        await asyncio.sleep(1)
        assert not sampler.running

    virtual_time.run(clock, scenario())


def test_refusals_leave_one_after_the_other_and_none_is_kept_for_long() -> None:
    damper = Damper()
    now_ns = 100 * SECOND_NS
    delays = [damper.delay_s(now_ns) for _ in range(10_000)]
    assert delays[0] == 0
    assert delays[1:4] == pytest.approx([turn / overload.REFUSALS_PER_S for turn in (1, 2, 3)])
    assert delays == sorted(delays)
    assert max(delays) == overload.HELD_S_MAX
    assert damper.delay_s(now_ns + 6 * SECOND_NS) == 0


#: What calls cost a process with one processor, in seconds, as measured: a refusal is cheap, but it is not free.
ARRIVAL_S, REFUSAL_S, WORK_S, COMMIT_S = 0.00004, 0.0001, 0.0006, 0.005
#: How long a client waits for its answer. Later ones are of no use to it.
PATIENCE_S = 1.0
#: Clients that just about keep the processor busy.
ENOUGH = 200


@dataclass
class Process:
    """Works on one call at a time, in the order in which they are ready. Without admission it lets everybody in."""

    admission: Admission | None = field(default_factory=lambda: Admission(GatewayMetrics()))
    useful: Counter[Rank] = field(default_factory=Counter)
    refused: Counter[Rank] = field(default_factory=Counter)
    _processor: asyncio.Lock = field(default_factory=asyncio.Lock)
    _damper: Damper = field(default_factory=Damper)

    async def client(self, rank: Rank, clock: VirtualClock) -> None:
        """One that comes back at once, whatever it was told."""
        loop = asyncio.get_running_loop()
        while True:
            asked_s = loop.time()
            if await self._serve(rank, clock) and loop.time() - asked_s <= PATIENCE_S:
                self.useful[rank] += 1

    async def _serve(self, rank: Rank, clock: VirtualClock) -> bool:
        await self._use_processor(ARRIVAL_S)
        if self.admission is None:
            await self._work()
            return True
        try:
            self.admission.check(rank)
        except OverLimit:
            self.refused[rank] += 1
            await asyncio.sleep(self._damper.delay_s(clock.now_ns()))
            await self._use_processor(REFUSAL_S)
            return False
        self.admission.begin()
        try:
            await self._work()
        finally:
            self.admission.end()
        return True

    async def _work(self) -> None:
        await self._use_processor(WORK_S / 2)
        await asyncio.sleep(COMMIT_S)
        await self._use_processor(WORK_S / 2)

    async def _use_processor(self, cost_s: float) -> None:
        async with self._processor:
            await asyncio.sleep(cost_s)

    async def measure_lag(self) -> None:
        """What `LagSampler` does: here it is not the loop that is late."""
        loop = asyncio.get_running_loop()
        while self.admission is not None:
            await asyncio.sleep(overload.WINDOW_S)
            due_s = loop.time()
            await self._use_processor(0)
            self.admission.adjust(loop.time() - due_s)


def goodput(clients: dict[Rank, int], *, shedding: bool = True) -> Process:
    """What a process did between the 5th and the 15th second with so many clients."""
    clock = VirtualClock()

    @asynccontextmanager
    async def busy(process: Process) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(process.measure_lag())]
        for rank, count in clients.items():
            tasks += [asyncio.create_task(process.client(rank, clock)) for _ in range(count)]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    async def scenario() -> Process:
        process = Process() if shedding else Process(admission=None)
        async with busy(process):
            await asyncio.sleep(5)
            process.useful.clear()
            process.refused.clear()
            await asyncio.sleep(10)
        return process

    return virtual_time.run(clock, scenario())


def test_goodput_stays_when_ten_times_as_many_ask() -> None:
    peak = goodput({Rank.BEGIN: ENOUGH}).useful[Rank.BEGIN]
    assert peak > 0.95 * 10 / (ARRIVAL_S + WORK_S)
    assert goodput({Rank.BEGIN: 10 * ENOUGH}, shedding=False).useful[Rank.BEGIN] < 0.5 * peak
    shed = goodput({Rank.BEGIN: 10 * ENOUGH})
    assert shed.useful[Rank.BEGIN] > 0.9 * peak
    assert shed.refused[Rank.BEGIN] <= 10 * overload.REFUSALS_PER_S * 1.1


def test_work_is_finished_while_everybody_else_is_refused() -> None:
    alone = goodput({Rank.FINISH: 20})
    crowd = goodput({Rank.FINISH: 20, Rank.TAKE: 100, Rank.BEGIN: 5 * ENOUGH, Rank.LOOK: 5 * ENOUGH})
    assert alone.useful[Rank.FINISH] > 0
    assert crowd.refused[Rank.FINISH] == 0
    assert crowd.refused[Rank.LOOK] > crowd.refused[Rank.TAKE]
    assert crowd.useful[Rank.FINISH] > 0
