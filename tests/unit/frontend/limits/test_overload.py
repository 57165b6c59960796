"""Shedding by its parts, and as a whole in a process with one processor, whose time is virtual."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import pytest
from temporalio.api.enums.v1 import ResourceExhaustedCause, ResourceExhaustedScope
from temporalio.api.errordetails.v1 import ResourceExhaustedFailure

from perdure.frontend import probe
from perdure.frontend.limits import OverLimit, overload
from perdure.frontend.limits.demand import Demand
from perdure.frontend.limits.overload import Admission, Damper, Rank, rank_of
from perdure.frontend.metrics import GatewayMetrics
from perdure.frontend.routes import WORKFLOW_ROUTES
from perdure.kernel.clock import SECOND_NS, VirtualClock
from tests.support import virtual_time


def filled(admission: Admission, rank: Rank) -> int:
    """How many calls of a rank get in and stay."""
    count = 0
    while lets_in(admission, rank):
        admission.begin()
        count += 1
    return count


def lets_in(admission: Admission, rank: Rank, namespace: str = "", now_ns: int = 0) -> bool:
    try:
        admission.check(rank, namespace, now_ns)
    except OverLimit:
        return False
    return True


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


def test_the_longer_the_wait_the_more_are_refused_and_those_last_who_finish() -> None:
    admission = Admission(GatewayMetrics())
    let_in = []
    for wait_s in (0.1, 0.4, 0.6, 0.9, 2.0, 10.0):
        for _ in range(overload.SAMPLES):
            admission.waited(wait_s)
        let_in.append([rank for rank in Rank if lets_in(admission, rank)])
    assert let_in == [list(Rank)[:count] for count in range(len(Rank), -1, -1)]
    admission.waited(0.1)
    assert all(lets_in(admission, rank) for rank in Rank)


def test_a_single_long_wait_is_no_overload() -> None:
    admission = Admission(GatewayMetrics())
    for wait_s in (0.0, 60.0, 60.0, 0.1, 60.0, 0.0):
        admission.waited(wait_s)
        assert all(lets_in(admission, rank) for rank in Rank)


def test_the_more_are_worked_on_the_more_are_refused_and_those_last_who_finish() -> None:
    admission = Admission(GatewayMetrics())
    for rank in reversed(Rank):
        assert filled(admission, rank) > 0
        assert not any(lets_in(admission, later) for later in Rank if later >= rank)
    admission.end()
    assert [rank for rank in Rank if lets_in(admission, rank)] == [Rank.FINISH]


def test_the_refusal_names_its_cause() -> None:
    metrics = GatewayMetrics()
    admission = Admission(metrics)
    for _ in range(overload.SAMPLES):
        admission.waited(1000)
    with pytest.raises(OverLimit) as caught:
        admission.check(Rank.BEGIN, "", 0)
    detail = caught.value.detail
    assert isinstance(detail, ResourceExhaustedFailure)
    assert detail.cause == ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_SYSTEM_OVERLOADED
    assert detail.scope == ResourceExhaustedScope.RESOURCE_EXHAUSTED_SCOPE_SYSTEM
    assert metrics.refusals == {("", overload.LIMIT): 1}


def test_refusals_leave_one_after_the_other_and_none_is_kept_for_long() -> None:
    damper = Damper(2.0)
    now_ns = 100 * SECOND_NS
    delays = [damper.delay_s(now_ns) for _ in range(10_000)]
    assert delays[0] == 0
    assert delays[1:4] == pytest.approx([turn / overload.REFUSALS_PER_S for turn in (1, 2, 3)])
    assert delays == sorted(delays)
    assert max(delays) == 2.0
    assert damper.delay_s(now_ns + 3 * SECOND_NS) == 0


@pytest.mark.parametrize("lets_go", [False, True])
def test_a_clock_that_is_set_back_ends_no_holding_back(lets_go: bool) -> None:
    damper = Damper(2.0, lets_go=lets_go)
    damper.delay_s(5000 * SECOND_NS)
    assert damper.delay_s(SECOND_NS) == 0
    assert damper.delay_s(SECOND_NS) > 0


def test_only_so_many_are_held_back_if_the_others_are_let_go() -> None:
    damper = Damper(2.0, lets_go=True)
    now_ns = 100 * SECOND_NS
    delays = [damper.delay_s(now_ns) for _ in range(10_000)]
    held = 2 * overload.REFUSALS_PER_S
    assert delays[: held + 1] == pytest.approx([turn / overload.REFUSALS_PER_S for turn in range(held + 1)])
    assert set(delays[held + 1 :]) == {0.0}
    assert damper.delay_s(now_ns + SECOND_NS) == pytest.approx(1.0, abs=0.02), "those before have not left yet"


#: What calls cost a process with one processor, in seconds, as measured: a refusal is cheap, but it is not free.
ARRIVAL_S, REFUSAL_S, WORK_S, COMMIT_S = 0.00005, 0.0001, 0.0006, 0.005
#: How long a client waits for its answer. Later ones are of no use to it.
PATIENCE_S = 1.0
#: Clients that just about keep the processor busy.
ENOUGH = 200


class Processor:
    """Does one thing at a time. What has arrived waits until nothing is left to do for what was begun, as with grpc."""

    def __init__(self) -> None:
        self._begun: deque[tuple[float, asyncio.Future[None]]] = deque()
        self._arrived: deque[tuple[float, asyncio.Future[None]]] = deque()
        self._something = asyncio.Event()

    async def begin(self, cost_s: float) -> None:
        await self._in(self._arrived, cost_s)

    async def go_on(self, cost_s: float) -> None:
        await self._in(self._begun, cost_s)

    async def run(self) -> None:
        while True:
            await self._something.wait()
            while queue := self._begun or self._arrived:
                cost_s, done = queue.popleft()
                await asyncio.sleep(cost_s)
                done.set_result(None)
            self._something.clear()

    async def _in(self, queue: deque[tuple[float, asyncio.Future[None]]], cost_s: float) -> None:
        done = asyncio.get_running_loop().create_future()
        queue.append((cost_s, done))
        self._something.set()
        await done


class Process:
    """Lets everybody in if it does not shed."""

    def __init__(self, clock: VirtualClock, *, shedding: bool) -> None:
        self.useful: Counter[Rank] = Counter()
        self.refused: Counter[Rank] = Counter()
        #: By namespace.
        self.served: Counter[str] = Counter()
        self.turned_away: Counter[str] = Counter()
        self.processor = Processor()
        self._clock = clock
        self._shedding = shedding
        self._admission = Admission(GatewayMetrics())
        self._damper = Damper(overload.HELD_S_MAX)

    async def client(self, rank: Rank, namespace: str = "default", pause_s: float = 0.0) -> None:
        """One that comes back at once, whatever it was told, or after a pause."""
        loop = asyncio.get_running_loop()
        while True:
            asked_s = loop.time()
            if not await self._serve(rank, namespace):
                self.refused[rank] += 1
                self.turned_away[namespace] += 1
            elif loop.time() - asked_s <= PATIENCE_S:
                self.useful[rank] += 1
                self.served[namespace] += 1
            await asyncio.sleep(pause_s)

    async def probe(self) -> None:
        """What `perdure.frontend.probe` does."""
        loop = asyncio.get_running_loop()
        asked_s = loop.time()
        await self.processor.begin(ARRIVAL_S)
        self._admission.waited(loop.time() - asked_s)

    async def _serve(self, rank: Rank, namespace: str) -> bool:
        await self.processor.begin(ARRIVAL_S)
        if self._shedding and not lets_in(self._admission, rank, namespace, self._clock.now_ns()):
            await asyncio.sleep(self._damper.delay_s(self._clock.now_ns()))
            await self.processor.go_on(REFUSAL_S)
            return False
        self._admission.begin()
        await self.processor.go_on(WORK_S / 2)
        await asyncio.sleep(COMMIT_S)
        await self.processor.go_on(WORK_S / 2)
        self._admission.end()
        return True


def run_clients(begin: Callable[[Process], Iterable[Coroutine[Any, Any, None]]], *, shedding: bool = True) -> Process:
    """What a process did between the 5th and the 15th second with these clients."""
    clock = VirtualClock()

    async def probes(process: Process) -> None:
        while True:
            await asyncio.sleep(probe.PERIOD_S)
            running.append(asyncio.create_task(process.probe()))

    running: list[asyncio.Task[None]] = []

    async def scenario() -> Process:
        process = Process(clock, shedding=shedding)
        clients = begin(process)
        running.extend(asyncio.create_task(work) for work in (process.processor.run(), probes(process), *clients))
        await asyncio.sleep(5)
        for counts in (process.useful, process.refused, process.served, process.turned_away):
            counts.clear()
        await asyncio.sleep(10)
        for task in running:
            task.cancel()
        await asyncio.wait(running)
        return process

    return virtual_time.run(clock, scenario())


def goodput(clients: dict[Rank, int], *, shedding: bool = True) -> Process:
    """The same with so many clients of each rank, who come back at once."""
    return run_clients(
        lambda process: (process.client(rank) for rank, count in clients.items() for _ in range(count)),
        shedding=shedding,
    )


def test_goodput_stays_when_ten_times_as_many_ask() -> None:
    peak = goodput({Rank.BEGIN: ENOUGH}).useful[Rank.BEGIN]
    assert peak > 0.95 * 10 / (ARRIVAL_S + WORK_S)
    assert goodput({Rank.BEGIN: 10 * ENOUGH}, shedding=False).useful[Rank.BEGIN] < 0.5 * peak
    shed = goodput({Rank.BEGIN: 10 * ENOUGH})
    assert shed.useful[Rank.BEGIN] > 0.9 * peak
    assert shed.refused[Rank.BEGIN] > 0


def test_work_is_finished_while_everybody_else_is_refused() -> None:
    crowd = goodput({Rank.FINISH: 20, Rank.TAKE: 20, Rank.BEGIN: 5 * ENOUGH, Rank.LOOK: 5 * ENOUGH})
    assert crowd.refused[Rank.FINISH] == crowd.refused[Rank.TAKE] == 0
    assert crowd.useful[Rank.FINISH] > 0
    assert crowd.refused[Rank.LOOK] > crowd.refused[Rank.BEGIN]
    assert crowd.useful[Rank.LOOK] < crowd.useful[Rank.BEGIN]


def test_a_namespace_that_asks_for_little_is_served_while_another_makes_the_overload() -> None:
    def clients(process: Process) -> Iterable[Coroutine[Any, Any, None]]:
        yield from (process.client(Rank.BEGIN, "loud") for _ in range(10 * ENOUGH))
        yield from (process.client(Rank.BEGIN, "quiet", pause_s=1.0) for _ in range(20))

    crowd = run_clients(clients)
    assert crowd.turned_away["loud"] > 0
    assert crowd.turned_away["quiet"] == 0
    assert crowd.served["quiet"] > 0.9 * 10 * 20 / 2, "one call of a second at most, and a second's pause"


def test_namespaces_that_ask_for_the_same_are_treated_alike() -> None:
    def clients(process: Process) -> Iterable[Coroutine[Any, Any, None]]:
        for namespace in ("one", "other"):
            yield from (process.client(Rank.BEGIN, namespace) for _ in range(5 * ENOUGH))

    crowd = run_clients(clients)
    assert 0.7 < crowd.served["one"] / crowd.served["other"] < 1.5, "who came first stays ahead by a third"
    assert crowd.turned_away["one"] > 0
    assert crowd.turned_away["other"] > 0


def test_demand_is_that_of_the_last_seconds() -> None:
    demand = Demand()
    for _ in range(100):
        demand.count("loud", 0)
    demand.count("quiet", 0)
    assert demand.is_modest("quiet")
    assert demand.is_modest("nobody")
    assert not demand.is_modest("loud")
    demand.count("quiet", 2 * SECOND_NS)
    assert not demand.is_modest("quiet"), "nobody else asks any more"


def test_demand_survives_a_clock_that_is_set_back() -> None:
    demand = Demand()
    for _ in range(100):
        demand.count("loud", 100 * SECOND_NS)
    for second in range(3):
        demand.count("quiet", second * SECOND_NS)
    assert not demand.is_modest("quiet"), "nobody else asks any more"


def test_demand_that_was_in_the_name_of_others_is_not_theirs() -> None:
    demand = Demand()
    demand.count("named", 0)
    demand.count("quiet", 0)
    for _ in range(100):
        demand.count("named", 0)
        demand.disown("named", "")
    assert demand.is_modest("named")
    assert not demand.is_modest("")
    # The windows have turned meanwhile.
    demand.count("quiet", 5 * SECOND_NS)
    demand.disown("named", "")
    assert not demand.is_modest("quiet"), "nobody else asks any more"
