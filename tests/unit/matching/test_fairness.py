"""What a fairness key gets of a queue, under many seeds."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from perdure.kernel.clock import SECOND_NS
from perdure.kernel.ids import ExecutionKey, NamespaceId, RunId, TaskKind, TaskQueueKey, WorkflowId
from perdure.kernel.rpc import Task
from perdure.matching.backlog import Backlog
from perdure.matching.fairness import KeyLimits
from perdure.matching.matcher import Matcher

QUEUE = TaskQueueKey(NamespaceId("ns"), "queue", TaskKind.ACTIVITY)
NOW = 1_700_000_000 * SECOND_NS
FAST = 1_000_000
SEEDS = range(20)


def a_task(number: int, fairness: str = "", weight: float = 1.0, priority: int = 3, created: int | None = None) -> Task:
    key = ExecutionKey(NamespaceId("ns"), WorkflowId(f"w{number}"), RunId("r"))
    return Task(QUEUE, key, 5, 1, NOW + (number if created is None else created), priority, fairness, weight)


def popped(backlog: Backlog, count: int) -> list[Task]:
    tasks = [backlog.pop() for _ in range(count)]
    assert None not in tasks
    return tasks  # type: ignore[return-value]


def taken(matcher: Matcher[str, str], now_ns: int) -> list[str]:
    names = []
    while (task := matcher.take_task(now_ns)) is not None:
        names.append(task.fairness_key)
    return names


@pytest.mark.parametrize("seed", SEEDS)
def test_weights_give_shares(seed: int) -> None:
    chance = random.Random(seed)
    weights = {f"key{number}": chance.choice([0.5, 1, 2, 3, 8]) for number in range(chance.randint(2, 6))}
    overrides = {key: chance.choice([0.5, 1, 4]) for key in weights if chance.random() < 0.3}
    backlog = Backlog()
    backlog.weights = overrides
    tasks = [a_task(n, key, weight) for n, (key, weight) in enumerate(list(weights.items()) * 1000)]
    chance.shuffle(tasks)
    for task in tasks:
        backlog.add(task)
    served = 600
    counts = Counter(task.fairness_key for task in popped(backlog, served))
    effective = weights | overrides
    for key, weight in effective.items():
        due = served * weight / sum(effective.values())
        assert abs(counts[key] - due) <= len(effective) + 1, "its share, but for a turn of each"


@pytest.mark.parametrize("seed", SEEDS)
def test_order_within_a_key_is_kept(seed: int) -> None:
    chance = random.Random(seed)
    backlog = Backlog()
    tasks = [a_task(n, chance.choice("abc"), chance.choice([0.1, 1, 5])) for n in range(300)]
    for task in tasks:
        backlog.add(task)
    order: dict[str, int] = {}
    for task in popped(backlog, 300):
        assert order.get(task.fairness_key, 0) <= task.created_at_ns
        order[task.fairness_key] = task.created_at_ns
    assert not backlog


def test_a_key_with_a_million_tasks_does_not_delay_a_fresh_one() -> None:
    backlog = Backlog()
    for number in range(100_000):
        backlog.add(a_task(number, "many"))
    popped(backlog, 1000)
    backlog.add(a_task(100_000, "fresh"))
    assert "fresh" in [task.fairness_key for task in popped(backlog, 2)]


def test_a_task_that_is_offered_with_another_priority_moves() -> None:
    backlog = Backlog()
    backlog.add(a_task(1, priority=3))
    backlog.add(a_task(2, priority=3))
    backlog.add(a_task(2, priority=1))
    assert len(backlog) == 2
    assert {priority: stats.tasks for priority, stats in backlog.stats().items()} == {1: 1, 3: 1}
    assert [task.key.workflow_id for task in popped(backlog, 2)] == ["w2", "w1"]
    assert backlog.pop() is None
    assert not backlog.stats()


@pytest.mark.parametrize("seed", SEEDS)
def test_tasks_may_move_as_often_as_they_like(seed: int) -> None:
    chance = random.Random(seed)
    backlog = Backlog()
    places: dict[int, Task] = {}
    for _ in range(5000):
        number = chance.randrange(50)
        task = a_task(number, chance.choice("ab"), chance.choice([1, 2]), chance.choice([2, 3]))
        places[number] = task
        backlog.add(task)
        if chance.random() < 0.1 and (gone := backlog.pop()) is not None:
            assert places.pop(int(gone.key.workflow_id[1:])) == gone, "in its last place"
        assert len(backlog) == len(places)
        entries = sum(len(queue) for level in backlog._levels.values() for queue in level.queues.values())
        assert entries <= 2 * (len(places) + 65), "what was replaced is swept out"
    assert sorted(backlog.drain()) == sorted(places.values())


def test_a_key_that_has_used_up_its_rate_holds_up_nobody() -> None:
    matcher: Matcher[str, str] = Matcher(FAST, 1000)
    matcher.set_keys(10, {"double": 2.0}, NOW)
    for number in range(300):
        matcher.offer(a_task(number, ("single", "double", "half")[number % 3], 0.5 if number % 3 == 2 else 1.0), NOW)
    first = Counter(taken(matcher, NOW))
    assert first == {"single": 11, "double": 21, "half": 6}, "a second's worth, and the one that is due"
    assert Counter(taken(matcher, NOW + 2 * SECOND_NS)) == first
    matcher.offer(a_task(1000, "new"), NOW + 2 * SECOND_NS)
    assert taken(matcher, NOW + 2 * SECOND_NS) == ["new"]
    matcher.wait("poller")
    assert matcher.ready_at_ns == NOW + 2 * SECOND_NS + SECOND_NS // 20, "the next is of the key of double rate"
    matcher.set_keys(None, {}, NOW + 2 * SECOND_NS)
    assert len(matcher.release(NOW + 2 * SECOND_NS)) == 1
    assert len(taken(matcher, NOW + 2 * SECOND_NS)) == 300 - 38 - 38 - 1


def test_a_rate_of_zero_pauses_all_keys_until_it_is_changed() -> None:
    matcher: Matcher[str, str] = Matcher(FAST, 1000)
    matcher.set_keys(0, {}, NOW)
    matcher.wait("poller")
    assert matcher.offer(a_task(1, "a"), NOW) is None
    assert matcher.release(NOW) == []
    assert matcher.ready_at_ns is not None
    assert matcher.ready_at_ns > NOW + 10**9 * SECOND_NS
    matcher.set_keys(1, {}, NOW)
    assert [waiter for waiter, _ in matcher.release(NOW)] == ["poller"]


def test_lower_priorities_go_while_keys_of_higher_ones_wait() -> None:
    matcher: Matcher[str, str] = Matcher(FAST, 1000)
    matcher.set_keys(1, {}, NOW)
    for number in range(5):
        matcher.offer(a_task(number, "urgent", priority=1), NOW)
    matcher.offer(a_task(9, "later", priority=5), NOW)
    assert taken(matcher, NOW) == ["urgent", "urgent", "later"]


def test_what_no_worker_saw_does_not_count() -> None:
    matcher: Matcher[str, str] = Matcher(FAST, 1000)
    matcher.set_keys(1, {}, NOW)
    for number in range(50):
        matcher.offer(a_task(number, "a"), NOW)
    for _ in range(20):
        task = matcher.take_task(NOW)
        assert task is not None
        matcher.refund(task)
    assert len(taken(matcher, NOW)) == 2


def test_a_key_that_stood_aside_does_not_make_up_for_it() -> None:
    matcher: Matcher[str, str] = Matcher(FAST, 10_000)
    matcher.set_keys(1, {"fast": 1000.0}, NOW)
    for number in range(1000):
        matcher.offer(a_task(number, "fast"), NOW)
        matcher.offer(a_task(number + 1000, "slow"), NOW)
    for _ in range(500):
        matcher.take_task(NOW)
    matcher.set_keys(None, {}, NOW)
    keys = Counter(matcher.take_task(NOW).fairness_key for _ in range(100))  # type: ignore[union-attr]
    assert abs(keys["slow"] - keys["fast"]) <= 2


def test_few_keys_are_remembered() -> None:
    limits = KeyLimits(0.001, keys_max=10)
    for number in range(1000):
        limits.consume(f"k{number}", 1.0, NOW)
    assert len(limits._ready_at_ns) == 10
    assert limits.ready_at_ns("k999") > NOW
    assert limits.ready_at_ns("k1") == 0
