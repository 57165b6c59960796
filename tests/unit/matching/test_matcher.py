"""The pure matcher: playbooks, and invariants under random sequences of steps."""

from collections.abc import Iterator

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from perdure.kernel.clock import SECOND_NS
from perdure.kernel.ids import ExecutionKey, NamespaceId, RunId, TaskKind, TaskQueueKey, WorkflowId
from perdure.kernel.rpc import Task
from perdure.matching.matcher import Matcher

QUEUE = TaskQueueKey(NamespaceId("ns"), "queue", TaskKind.ACTIVITY)
NOW = 1_700_000_000 * SECOND_NS
FAST = 1_000_000


def a_task(number: int, *, priority: int = 3, created: int = 0, fairness: str = "", weight: float = 1.0) -> Task:
    key = ExecutionKey(NamespaceId("ns"), WorkflowId(f"w{number}"), RunId("r"))
    return Task(QUEUE, key, 5, 1, NOW + created, priority, fairness, weight)


def taken(matcher: Matcher[str, str], now_ns: int = NOW) -> Iterator[str]:
    while (item := matcher.take(now_ns)) is not None:
        yield item.key.workflow_id if isinstance(item, Task) else item


def a_matcher(rate: float = FAST, tasks_max: int = 100) -> Matcher[str, str]:
    return Matcher(rate, tasks_max)


def test_a_waiting_poller_gets_the_task_at_once() -> None:
    matcher = a_matcher()
    matcher.wait("p1")
    matcher.wait("p2")
    assert matcher.offer(a_task(1), NOW) == "p1"
    assert matcher.offer(a_task(2), NOW) == "p2"
    assert matcher.offer(a_task(3), NOW) is None
    assert list(taken(matcher)) == ["w3"]


def test_priority_then_age() -> None:
    matcher = a_matcher()
    for task in [
        a_task(1, priority=3, created=5),
        a_task(2, priority=3, created=1),
        a_task(3, priority=5, created=0),
        a_task(4, priority=1, created=9),
    ]:
        matcher.offer(task, NOW)
    assert list(taken(matcher)) == ["w4", "w2", "w1", "w3"]


def test_fairness_keys_take_turns_by_weight() -> None:
    matcher = a_matcher()
    for number in range(8):
        matcher.offer(a_task(number, created=number, fairness="many"), NOW)
    for number in range(8, 10):
        matcher.offer(a_task(number, created=number, fairness="few"), NOW)
    for number in range(10, 14):
        matcher.offer(a_task(number, created=number, fairness="double", weight=2.0), NOW)
    order = list(taken(matcher))
    position = {name: order.index(name) for name in order}
    assert position["w9"] < 9, "the key with two tasks is done long before the one with eight"
    assert position["w13"] < 9, "the key of double weight has four turns while the others have two"


def test_a_key_that_was_away_has_no_claim_to_the_past() -> None:
    matcher = a_matcher()
    for number in range(6):
        matcher.offer(a_task(number, created=number, fairness="steady"), NOW)
    for _ in range(4):
        matcher.take(NOW)
    for number in range(6, 9):
        matcher.offer(a_task(number, created=number, fairness="late"), NOW)
    assert list(taken(matcher)) == ["w4", "w6", "w5", "w7", "w8"]


def test_queries_go_first_and_are_not_rate_limited() -> None:
    matcher = a_matcher(rate=0)
    matcher.offer(a_task(1), NOW)
    matcher.offer_query("q1")
    matcher.offer_query("q2")
    matcher.put_back_query("q0")
    matcher.withdraw_query("q1")
    assert list(taken(matcher)) == ["q0", "q2"]


def test_a_poller_that_left_gets_nothing() -> None:
    matcher = a_matcher()
    matcher.wait("p1")
    matcher.wait("p2")
    matcher.leave("p1")
    assert matcher.offer(a_task(1), NOW) == "p2"
    matcher.leave("p2")
    assert matcher.offer(a_task(2), NOW) is None


def test_the_same_hint_waits_once() -> None:
    matcher = a_matcher()
    matcher.offer(a_task(1), NOW)
    matcher.offer(a_task(1), NOW)
    assert list(taken(matcher)) == ["w1"]
    matcher.offer(a_task(1), NOW)
    assert list(taken(matcher)) == ["w1"], "history may offer it again later"


def test_dismiss_takes_the_pollers_of_one_worker() -> None:
    matcher = a_matcher()
    matcher.wait("p1", "one")
    matcher.wait("p2", "two")
    matcher.wait("p3", "one")
    assert matcher.dismiss("one") == ["p1", "p3"]
    assert matcher.dismiss() == ["p2"]


def test_rate_limit_allows_a_burst_and_then_the_rate() -> None:
    matcher = a_matcher(rate=10)
    for number in range(20):
        matcher.offer(a_task(number, created=number), NOW)
    burst = list(taken(matcher))
    assert len(burst) == 11, "a second's worth, and the one that is due now"
    matcher.wait("p1")
    assert matcher.ready_at_ns == NOW + SECOND_NS // 10
    assert matcher.release(NOW) == []
    released = matcher.release(NOW + SECOND_NS // 10)
    assert [(waiter, task.key.workflow_id) for waiter, task in released] == [("p1", "w11")]


def test_a_stale_hint_costs_no_token() -> None:
    matcher = a_matcher(rate=1)
    for number in range(5):
        matcher.offer(a_task(number, created=number), NOW)
    for number in range(5):
        task = matcher.take(NOW)
        assert isinstance(task, Task)
        assert task.key.workflow_id == f"w{number}"
        matcher.refund(task)


def test_a_paused_queue_resumes() -> None:
    matcher = a_matcher(rate=0)
    matcher.wait("p1")
    assert matcher.offer(a_task(1), NOW) is None
    matcher.limit.change(10, NOW)
    assert matcher.ready_at_ns is not None
    assert matcher.release(matcher.ready_at_ns)[0][0] == "p1"


def test_overflow_is_remembered_until_nearly_drained() -> None:
    matcher = a_matcher(tasks_max=20)
    for number in range(21):
        matcher.offer(a_task(number, created=number), NOW)
    assert matcher.overflowed
    for _ in range(17):
        matcher.take(NOW)
        assert not matcher.needs_refill
    matcher.take(NOW)
    assert matcher.needs_refill


class MatcherMachine(RuleBasedStateMachine):
    """Whatever happens: no task is lost, none is given twice, order holds, and who left gets nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.matcher: Matcher[int, str] = Matcher(rate=5, tasks_max=8)
        self.count = 0
        self.pollers: set[int] = set()
        self.waiting: dict[str, Task] = {}
        self.given: list[Task] = []
        self.dropped = 0

    def _give(self, task: Task) -> None:
        assert self.waiting.pop(task.key.workflow_id) == task, "a task that was offered and not given yet"
        others = [other for other in self.waiting.values() if other.priority < task.priority]
        assert not others, "no task of a better priority waits"
        older = [
            other
            for other in self.waiting.values()
            if (other.priority, other.fairness_key) == (task.priority, task.fairness_key)
            and other.created_at_ns < task.created_at_ns
        ]
        assert not older, "no older task of the same key waits"
        self.given.append(task)

    def _woken(self, poller: int) -> None:
        assert poller in self.pollers, "only who waits is woken"
        self.pollers.remove(poller)

    @rule(priority=st.integers(1, 3), age=st.integers(0, 5), key=st.sampled_from("ab"), weight=st.sampled_from([1, 3]))
    def offer(self, priority: int, age: int, key: str, weight: float) -> None:
        self.count += 1
        task = a_task(self.count, priority=priority, created=-age, fairness=key, weight=weight)
        room = len(self.matcher.backlog) < 8
        poller = self.matcher.offer(task, self.now)
        if poller is not None:
            self._woken(poller)
            self.waiting[task.key.workflow_id] = task
            self._give(task)
        elif room:
            self.waiting[task.key.workflow_id] = task
        else:
            assert self.matcher.overflowed

    @rule()
    def poll(self) -> None:
        item = self.matcher.take(self.now)
        if item is None:
            self.count += 1
            self.pollers.add(self.count)
            self.matcher.wait(self.count)
        else:
            assert isinstance(item, Task)
            self._give(item)

    @precondition(lambda self: self.pollers)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        poller = data.draw(st.sampled_from(sorted(self.pollers)))
        self.pollers.remove(poller)
        self.matcher.leave(poller)

    @precondition(lambda self: self.given)
    @rule(data=st.data())
    def put_back(self, data: st.DataObject) -> None:
        task = self.given.pop(data.draw(st.integers(0, len(self.given) - 1)))
        self.waiting[task.key.workflow_id] = task
        self.matcher.put_back(task)
        self._release()

    @rule(tenths=st.integers(1, 20))
    def let_time_pass(self, tenths: int) -> None:
        self.now += tenths * SECOND_NS // 10
        self._release()

    def _release(self) -> None:
        for poller, task in self.matcher.release(self.now):
            self._woken(poller)
            self._give(task)

    @invariant()
    def nothing_is_lost(self) -> None:
        assert len(self.matcher.backlog) == len(self.waiting)

    @invariant()
    def nobody_waits_in_vain(self) -> None:
        if self.pollers and self.waiting:
            assert self.matcher.ready_at_ns is not None
            assert self.matcher.ready_at_ns > self.now

    def teardown(self) -> None:
        drained = {task.key.workflow_id: task for task in self.matcher.backlog.drain()}
        assert drained == self.waiting


MatcherMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestMatcher = MatcherMachine.TestCase
