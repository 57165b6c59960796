"""PURE: pollers of one partition meet its tasks and queries.

The matcher knows no futures and no clock: waiters are opaque, the time is an argument, and methods return who is to be
woken with what. Between calls one invariant holds: a poller waits while something else waits only if the rate limit
forbids to hand it out before `ready_at_ns`.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

from perdure.kernel.rpc import Task
from perdure.matching.backlog import Backlog
from perdure.matching.fairness import KeyLimits, weight_of
from perdure.matching.rate_limit import RateLimit

Waiter = TypeVar("Waiter", bound=Hashable)
Query = TypeVar("Query", bound=Hashable)


class Matcher(Generic[Waiter, Query]):
    """Pollers are served in the order in which they came; queries go before tasks and are not rate-limited."""

    def __init__(self, rate: float, tasks_max: int, keys_max: int = 2_000) -> None:
        self.backlog = Backlog()
        self.limit = RateLimit(rate)
        #: Whether a task was turned away for want of room since this was last reset.
        self.overflowed = False
        self._tasks_max = tasks_max
        self._keys_max = keys_max
        self._keys_limited = False
        #: Each waiter with the worker that it belongs to.
        self._waiters: OrderedDict[Waiter, str] = OrderedDict()
        #: Other partitions that wait for a task. They come after pollers, and get no queries.
        self._partitions: OrderedDict[Waiter, None] = OrderedDict()
        self._queries: deque[Query] = deque()

    @property
    def waiting(self) -> int:
        """How many pollers wait."""
        return len(self._waiters)

    @property
    def queries(self) -> int:
        """How many queries wait."""
        return len(self._queries)

    @property
    def needs_refill(self) -> bool:
        """Whether tasks were turned away and nine tenths of the room are free again."""
        return self.overflowed and len(self.backlog) <= self._tasks_max // 10

    @property
    def ready_at_ns(self) -> int | None:
        """When the rate limits let the next task go to a poller that waits for it; None if there are not both."""
        return max(self.limit.ready_at_ns, self.backlog.ready_at_ns) if self._anybody and self.backlog else None

    @property
    def _anybody(self) -> bool:
        return bool(self._waiters or self._partitions)

    def _next(self) -> Waiter:
        return self._waiters.popitem(last=False)[0] if self._waiters else self._partitions.popitem(last=False)[0]

    def set_keys(self, rate: float | None, weights: Mapping[str, float], now_ns: int) -> None:
        """Let each fairness key go this fast, times its weight, from now on, and give some another weight.

        `release` must follow, then and after each `offer` while there is such a rate.
        """
        self.backlog.weights = weights
        limits = self.backlog.limits
        if rate is None:
            limits = None
        elif limits is None:
            limits = KeyLimits(rate, self._keys_max)
        else:
            limits.change(rate, now_ns)
        self.backlog.limits = limits
        self._keys_limited = limits is not None

    def offer(self, task: Task, now_ns: int) -> Waiter | None:
        """Hand the task to a poller, which is returned, or let it wait. Without room it is dropped: `overflowed`."""
        if self._anybody and not self._keys_limited and not self.backlog and self.limit.ready_at_ns <= now_ns:
            self.limit.consume(now_ns)
            return self._next()
        if len(self.backlog) < self._tasks_max:
            self.backlog.add(task)
        elif task not in self.backlog:
            self.overflowed = True
        return None

    def put_back(self, task: Task) -> None:
        """Undo `take`, or an `offer` that found a poller, as no worker got to see the task. `release` must follow."""
        self.refund(task)
        self.backlog.add(task)

    def refund(self, task: Task) -> None:
        """The task does not count against the rate limits: no worker got to see it."""
        self.limit.refund()
        if (limits := self.backlog.limits) is not None:
            limits.refund(task.fairness_key, weight_of(task, self.backlog.weights))

    def offer_query(self, query: Query) -> Waiter | None:
        """Hand the query to a poller, which is returned, or let it wait."""
        if self._waiters:
            return self._waiters.popitem(last=False)[0]
        self._queries.append(query)
        return None

    def put_back_query(self, query: Query) -> Waiter | None:
        """As `offer_query`, but ahead of the other queries."""
        if self._waiters:
            return self._waiters.popitem(last=False)[0]
        self._queries.appendleft(query)
        return None

    def withdraw_query(self, query: Query) -> None:
        """Forget a query; nothing happens if a poller has it already."""
        if query in self._queries:
            self._queries.remove(query)

    def dismiss_queries(self) -> list[Query]:
        """Forget all waiting queries and return them."""
        leaving = list(self._queries)
        self._queries.clear()
        return leaving

    def take(self, now_ns: int) -> Task | Query | None:
        """What a poller that comes now gets at once, if anything."""
        if self._queries:
            return self._queries.popleft()
        return self.take_task(now_ns)

    def take_task(self, now_ns: int) -> Task | None:
        """What another partition that comes now gets at once, if anything."""
        if self.limit.ready_at_ns <= now_ns and (task := self.backlog.pop(now_ns)) is not None:
            self._consume(task, now_ns)
            return task
        return None

    def wait(self, waiter: Waiter, worker: str = "") -> None:
        """Let a poller wait for which `take` found nothing."""
        self._waiters[waiter] = worker

    def wait_for_task(self, waiter: Waiter) -> None:
        """Let another partition wait for which `take_task` found nothing."""
        self._partitions[waiter] = None

    def leave(self, waiter: Waiter) -> None:
        """Forget whoever waits; nothing happens if it was woken already."""
        self._waiters.pop(waiter, None)
        self._partitions.pop(waiter, None)

    def dismiss(self, worker: str | None = None) -> list[Waiter]:
        """Forget the pollers of one worker, or all who wait, and return them."""
        leaving = [waiter for waiter, owner in self._waiters.items() if worker is None or owner == worker]
        for waiter in leaving:
            del self._waiters[waiter]
        if worker is None:
            leaving += self.dismiss_partitions()
        return leaving

    def dismiss_partitions(self) -> list[Waiter]:
        """Forget the other partitions that wait, and return them."""
        leaving = list(self._partitions)
        self._partitions.clear()
        return leaving

    def release(self, now_ns: int) -> list[tuple[Waiter, Task]]:
        """Hand out what the rate limits allow by now."""
        matches = []
        while self._anybody and (task := self.take_task(now_ns)) is not None:
            matches.append((self._next(), task))
        return matches

    def _consume(self, task: Task, now_ns: int) -> None:
        self.limit.consume(now_ns)
        if (limits := self.backlog.limits) is not None:
            limits.consume(task.fairness_key, weight_of(task, self.backlog.weights), now_ns)
