"""Retries are a fraction of calls, and never none."""

from __future__ import annotations

from perdure.infra.rpc.retry_budget import RETRIES_PER_S_MIN, SAVED_MAX, RetryBudget


def retries(budget: RetryBudget, now_s: float) -> int:
    count = 0
    while budget.may_retry(now_s):
        count += 1
    return count


def test_a_fresh_process_may_retry() -> None:
    assert retries(RetryBudget(), 0.0) == SAVED_MAX


def test_when_every_call_fails_calls_grow_by_a_fifth() -> None:
    budget = RetryBudget()
    retries(budget, 0.0)
    granted = 0
    for _ in range(1000):
        budget.called()
        granted += retries(budget, 0.0)
    assert 199 <= granted <= 200


def test_time_allows_for_some() -> None:
    budget = RetryBudget(100.0)
    retries(budget, 100.0)
    assert retries(budget, 100.0 + 3 / RETRIES_PER_S_MIN) == 3


def test_nothing_is_saved_beyond_the_bound() -> None:
    budget = RetryBudget()
    for _ in range(1000):
        budget.called()
    assert retries(budget, 1e6) == SAVED_MAX
