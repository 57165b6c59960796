from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.frontend.limits.reserves import RESERVED, RESERVES
from perdure.frontend.routes import Priority
from perdure.kernel.buckets import TokenBucket
from perdure.kernel.clock import SECOND_NS


def taken(bucket: TokenBucket, now_ns: int, priority: int = Priority.SYSTEM) -> int:
    count = 0
    while bucket.take(now_ns, priority):
        count += 1
    return count


def test_it_starts_full_and_fills_at_its_rate() -> None:
    bucket = TokenBucket(rate=10, burst=20, now_ns=0, reserved=RESERVES)
    assert taken(bucket, 0) == 20
    assert taken(bucket, SECOND_NS // 2) == 5
    assert taken(bucket, 100 * SECOND_NS) == 20


def test_slow_drops_add_up() -> None:
    bucket = TokenBucket(rate=1, burst=1, now_ns=0, reserved=RESERVES)
    assert taken(bucket, 0) == 1
    assert [taken(bucket, tenth * SECOND_NS // 10) for tenth in range(1, 26)].count(1) == 2


def test_a_debt_is_paid_first() -> None:
    bucket = TokenBucket(rate=10, burst=10, now_ns=0, reserved=RESERVES)
    bucket.charge(0, 30)
    assert taken(bucket, 2 * SECOND_NS) == 0
    assert taken(bucket, 3 * SECOND_NS) == 10


def test_a_clock_that_is_set_back_takes_and_gives_nothing() -> None:
    bucket = TokenBucket(rate=10, burst=10, now_ns=100 * SECOND_NS, reserved=RESERVES)
    assert taken(bucket, 100 * SECOND_NS) == 10
    assert taken(bucket, 50 * SECOND_NS) == 0
    assert taken(bucket, 51 * SECOND_NS) == 10


def test_a_bucket_that_is_resized_is_as_full_as_before() -> None:
    bucket = TokenBucket(rate=10, burst=101, now_ns=0, reserved=RESERVES)
    bucket.resize(rate=100, burst=1001)
    assert taken(bucket, 0, Priority.WATCH) == round(1001 - RESERVED[Priority.WATCH] * 1000), "nobody has asked yet"
    bucket.resize(rate=1, burst=101)
    assert taken(bucket, 0, Priority.WATCH) == 0, "it was as empty as it may be for these"
    assert taken(bucket, 0) == round(RESERVED[Priority.WATCH] * 100)


def test_a_debt_is_not_resized() -> None:
    bucket = TokenBucket(rate=10, burst=10, now_ns=0, reserved=RESERVES)
    bucket.charge(0, 20)
    bucket.resize(rate=10, burst=100)
    assert taken(bucket, SECOND_NS) == 0
    assert taken(bucket, 2 * SECOND_NS) == 10


@pytest.mark.parametrize("priority", Priority)
def test_each_priority_leaves_its_part_to_those_before(priority: Priority) -> None:
    bucket = TokenBucket(rate=1, burst=101, now_ns=0, reserved=RESERVES)
    assert taken(bucket, 0, priority) == round(101 - RESERVED[priority] * 100)
    assert taken(bucket, 0) == round(RESERVED[priority] * 100)


@pytest.mark.parametrize("priority", Priority)
def test_the_smallest_bucket_serves_everybody(priority: Priority) -> None:
    bucket = TokenBucket(rate=0.5, burst=0.5, now_ns=0, reserved=RESERVES)
    assert taken(bucket, 0, priority) == 1
    assert taken(bucket, 2 * SECOND_NS, priority) == 1


def test_the_important_starve_the_others_and_not_the_other_way_round() -> None:
    bucket = TokenBucket(rate=100, burst=200, now_ns=0, reserved=RESERVES)
    served = dict.fromkeys((Priority.EVENT, Priority.BACKGROUND), 0)
    for tick in range(1, 10_000):
        for priority in (Priority.BACKGROUND, Priority.EVENT):
            served[priority] += bucket.take(tick * SECOND_NS // 1000, priority)
    assert served[Priority.EVENT] > 0.9 * 100 * 10
    assert served[Priority.BACKGROUND] < 0.1 * 100 * 10


@given(st.lists(st.tuples(st.integers(0, SECOND_NS), st.sampled_from(Priority)), max_size=200))
def test_it_never_gives_more_than_its_rate(steps: list[tuple[int, Priority]]) -> None:
    bucket = TokenBucket(rate=7, burst=3, now_ns=0, reserved=RESERVES)
    now_ns = given_away = 0
    for pause_ns, priority in steps:
        now_ns += pause_ns
        given_away += bucket.take(now_ns, priority)
        assert given_away <= 3 + 7 * now_ns / SECOND_NS + 1e-6
