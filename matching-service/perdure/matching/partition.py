"""One partition's life: waiting polls as futures, timers, history of pollers, and statistics.

A fresh queue has one partition and so has every sticky queue. All methods run on one event loop; time passes by its
`call_later`, so a loop with virtual time can run a partition.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from temporalio.api.enums.v1 import RateLimitSource, ResourceExhaustedCause
from temporalio.api.taskqueue.v1 import TaskQueueStats
from temporalio.api.workflowservice.v1 import PollActivityTaskQueueRequest

from perdure.kernel.clock import SECOND_NS, Clock
from perdure.kernel.errors import DeadlineExceeded, ResourceExhausted, ServiceError
from perdure.kernel.ids import TaskQueueKey
from perdure.kernel.limits import Limits
from perdure.kernel.rpc import Task
from perdure.matching.configuration import NO_TERMS, Terms
from perdure.matching.matcher import Matcher
from perdure.matching.metrics import QueueMetrics
from perdure.matching.pollers import RETENTION_NS, PollerHistory, PollRequest
from perdure.matching.queries import PendingQuery
from perdure.matching.rates import RecentRate

Item = Task | PendingQuery
_Waiter = asyncio.Future[Item | None]

#: A worker that polled within this time is taken to be alive.
RECENT_POLL_NS = 10 * SECOND_NS
#: What tasks without a priority are counted under.
DEFAULT_PRIORITY = 3


class Partition:
    """The tasks and pollers of one task queue, or of a part of it.

    `refill` is called, with the queue's key, when tasks that were turned away for want of room can be offered again.
    The partitions of a queue share its rate evenly.
    """

    def __init__(
        self,
        queue: TaskQueueKey,
        sticky: bool,
        clock: Clock,
        limits: Limits,
        refill: Callable[[TaskQueueKey], None],
    ) -> None:
        #: Replaced by those that are counted for its queue, when it is one that is kept.
        self.metrics = QueueMetrics()
        self.queue = queue
        self.sticky = sticky
        #: When the root failed to answer whether it has a task, if nothing was done about it yet; 0 if it did not.
        self.fetch_failed_ns = 0
        #: When a task was last handed to another partition, which may have died with it; 0 if none was.
        self.handed_on_ns = 0
        self._share = 1 if sticky else limits.task_queue_partitions
        self.pollers = PollerHistory()
        self._clock = clock
        self._limits = limits
        self._refill = refill
        self._matcher: Matcher[_Waiter, PendingQuery] = Matcher(
            limits.dispatch_rate_max / self._share, limits.tasks_in_memory_max, limits.fairness_keys_limited_max
        )
        self._terms = NO_TERMS
        #: What the latest poll asked for, in tasks per second of the whole queue; None if it asked for nothing.
        self._worker_rate: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for_ns = 0
        self._last_poll_ns = 0
        self._last_used_ns = clock.now_ns()
        #: By priority: how fast tasks come and go.
        self._rates: dict[int, tuple[RecentRate, RecentRate]] = {}

    # Tasks and queries ------------------------------------------------------------------------------------------------

    def offer(self, task: Task) -> None:
        """Hand the task to a waiting poll, or let it wait."""
        now_ns = self._last_used_ns = self._clock.now_ns()
        self._rates_of(task.priority, now_ns)[0].count(now_ns)
        waiter = self._matcher.offer(task, now_ns)
        self.metrics.offered += 1
        if waiter is not None:
            self.metrics.sync_matched += 1
            self._wake(waiter, task)
        else:
            if self._last_poll_ns <= now_ns - RECENT_POLL_NS and not self._matcher.waiting:
                self.metrics.no_poller += 1
            if self._terms.key_rate is None:
                self._arm()
            else:
                # Those before it may have to wait for their keys' turns.
                self._release()

    def put_back(self, item: Item) -> None:
        """Undo `take`: no worker got to see the item."""
        if isinstance(item, PendingQuery):
            item.taken = False
            if not item.answer.done():
                self._wake(self._matcher.put_back_query(item), item)
        else:
            self._matcher.put_back(item)
            self._release()

    def refund(self, item: Item) -> None:
        """What was taken was a stale hint: it does not count against the rate limits."""
        if not isinstance(item, PendingQuery):
            self._matcher.refund(item)
        self._release()

    def ask(self, query: PendingQuery) -> None:
        """Hand the query to a waiting poll, or let it wait ahead of all tasks.

        Raises:
            ResourceExhausted: too many queries wait.
        """
        if self._matcher.queries >= self._limits.queries_waiting_max:
            raise ResourceExhausted(
                f"Too many queries wait for workers of task queue {self.queue.name}: "
                f"limit matching.maxWaitingQueries is {self._limits.queries_waiting_max}.",
                ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_CONCURRENT_LIMIT,
            )
        self._last_used_ns = self._clock.now_ns()
        self._wake(self._matcher.offer_query(query), query)

    def withdraw(self, query: PendingQuery) -> None:
        """Forget a query; nothing happens if a poll has it already."""
        self._matcher.withdraw_query(query)

    def take_out(self, wanted: Callable[[Task], bool]) -> list[Task]:
        """The waiting tasks that are wanted elsewhere. Those that there was no room for are offered again."""
        taken = self._matcher.backlog.take_out(wanted)
        if self._matcher.overflowed:
            self._matcher.overflowed = False
            asyncio.get_running_loop().call_soon(self._refill, self.queue.root)
        return taken

    # Polls ------------------------------------------------------------------------------------------------------------

    def begin_poll(self, request: PollRequest) -> None:
        """Take note of a poll and of the rate limit that it asks for; the latest poll's limit holds, unless one is
        configured.

        Raises:
            ResourceExhausted: too many polls wait already.
        """
        if self._matcher.waiting >= self._limits.pollers_max:
            raise ResourceExhausted(
                f"Too many polls wait on task queue {self.queue.name}: "
                f"limit matching.maxPollersPerTaskQueue is {self._limits.pollers_max}.",
                ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_CONCURRENT_LIMIT,
            )
        now_ns = self._touch(request)
        self._worker_rate = None
        if isinstance(request, PollActivityTaskQueueRequest) and request.HasField("task_queue_metadata"):
            metadata = request.task_queue_metadata
            if metadata.HasField("max_tasks_per_second"):
                self._worker_rate = max(metadata.max_tasks_per_second.value, 0.0)
        self._limit(now_ns)

    def configure(self, terms: Terms) -> None:
        """Go by these terms from now on."""
        if terms != self._terms:
            self._terms = terms
            now_ns = self._clock.now_ns()
            self._limit(now_ns)
            key_rate = None if terms.key_rate is None else terms.key_rate / self._share
            self._matcher.set_keys(key_rate, terms.weights, now_ns)
            self._release()

    def _limit(self, now_ns: int) -> None:
        """What users set goes before what workers ask for, and nothing above what the server allows."""
        wanted = self._wanted_rate
        rate = float(self._limits.dispatch_rate_max) if wanted is None else min(wanted, self._limits.dispatch_rate_max)
        rate /= self._share
        if rate != self._matcher.limit.rate:
            self._matcher.limit.change(rate, now_ns)
            self._disarm()
            self._release()

    @property
    def _wanted_rate(self) -> float | None:
        return self._worker_rate if self._terms.rate is None else self._terms.rate

    def end_poll(self, request: PollRequest, item: Item | None = None) -> None:
        """Take note that a poll ends by itself (not because its worker went away), and with what."""
        now_ns = self._touch(request)
        if item is None:
            self.metrics.polls_empty += 1
            return
        self.metrics.polls_served += 1
        if not isinstance(item, PendingQuery):
            self.metrics.schedule_to_start.observe((now_ns - item.created_at_ns) / SECOND_NS)

    async def take(self, until_ns: int, worker: str = "") -> Item | None:
        """The next task or query for a poll of this worker; None if there is none until the given instant.

        A poll that is cancelled has taken nothing.
        """
        now_ns = self._clock.now_ns()
        item = self._matcher.take(now_ns)
        if item is None and now_ns < until_ns:
            item = await self._wait(until_ns - now_ns, worker)
        if isinstance(item, PendingQuery):
            item.taken = True
        elif item is not None:
            self._rates_of(item.priority, now_ns)[1].count(self._clock.now_ns())
            self._ask_for_more()
        return item

    def _ask_for_more(self) -> None:
        """Have tasks offered again that were turned away, once there is room."""
        if self._matcher.needs_refill:
            self._matcher.overflowed = False
            asyncio.get_running_loop().call_soon(self._refill, self.queue.root)

    async def take_for_partition(self, until_ns: int) -> Task | None:
        """The next task, for another partition of the queue; None if there is none until the given instant."""
        now_ns = self._last_used_ns = self._clock.now_ns()
        item: Item | None = self._matcher.take_task(now_ns)
        if item is None and now_ns < until_ns:
            item = await self._wait(until_ns - now_ns, None)
        assert not isinstance(item, PendingQuery), "queries go to pollers"
        if item is not None:
            self.handed_on_ns = self._clock.now_ns()
            self._ask_for_more()
        return item

    def dismiss_partitions(self) -> None:
        """Have the other partitions that wait for a task ask again. Those that are gone do not."""
        for waiter in self._matcher.dismiss_partitions():
            self._wake(waiter, None)

    def leave_to_root(self) -> list[Task]:
        """The waiting tasks, if no worker has polled this partition lately: the root may know one."""
        if not self.queue.partition or self.polled_within(RECENT_POLL_NS):
            return []
        return self._matcher.backlog.drain()

    def dismiss(self, worker: str | None = None) -> None:
        """End the waiting polls of one worker, or all of them: they come back empty."""
        for waiter in self._matcher.dismiss(worker):
            self._wake(waiter, None)

    def drain(self, error: ServiceError | None = None) -> list[Task]:
        """Close for good: polls end empty, queries expire or get this error, and waiting tasks are returned."""
        self.dismiss()
        self._disarm()
        for query in self._matcher.dismiss_queries():
            query.fail(error or DeadlineExceeded("Deadline Exceeded"))
        return self._matcher.backlog.drain()

    # State ------------------------------------------------------------------------------------------------------------

    def polled_within(self, window_ns: int) -> bool:
        """Whether a worker polls now or did so within this time."""
        return self._matcher.waiting > 0 or self._last_poll_ns > self._clock.now_ns() - window_ns

    @property
    def idle(self) -> bool:
        """Whether nobody would notice if this partition were dropped.

        Tasks left on a sticky queue are no obstacle: history has long offered them elsewhere.
        """
        matcher = self._matcher
        if matcher.waiting or matcher.queries or matcher.overflowed or (matcher.backlog and not self.sticky):
            return False
        if self.fetch_failed_ns:
            return False
        return self._last_used_ns <= self._clock.now_ns() - RETENTION_NS

    @property
    def rate(self) -> float:
        """Tasks per second that the whole queue may hand out."""
        return self._matcher.limit.rate * self._share

    @property
    def rate_source(self) -> RateLimitSource.ValueType:
        """Who says so."""
        wanted = self._wanted_rate
        if wanted is None or wanted >= self._limits.dispatch_rate_max:
            return RateLimitSource.RATE_LIMIT_SOURCE_SYSTEM
        if self._terms.rate is not None:
            return RateLimitSource.RATE_LIMIT_SOURCE_API
        return RateLimitSource.RATE_LIMIT_SOURCE_WORKER

    @property
    def polls_waiting(self) -> int:
        return self._matcher.waiting

    @property
    def starving(self) -> bool:
        """Whether pollers wait and there is nothing for them."""
        return self._matcher.waiting > 0 and not self._matcher.backlog

    @property
    def backlog_count(self) -> int:
        return len(self._matcher.backlog)

    @property
    def backlog_age_ns(self) -> int:
        """How long the task whose turn is next has waited; 0 if none waits."""
        created_ns = self._matcher.backlog.next_created_ns()
        return max(self._clock.now_ns() - created_ns, 0) if created_ns else 0

    @property
    def rate_limited(self) -> bool:
        """Whether tasks and pollers wait at this moment only because of the rate limit."""
        return self._matcher.ready_at_ns is not None

    def stats(self) -> Mapping[int, TaskQueueStats]:
        """Backlog and rates by priority; the default priority is always there."""
        now_ns = self._clock.now_ns()
        waiting = self._matcher.backlog.stats()
        by_priority = {}
        for priority in {DEFAULT_PRIORITY, *waiting, *self._rates}:
            stats = by_priority[priority] = TaskQueueStats(rate_limiting_active=self.rate_limited)
            level = waiting.get(priority)
            stats.approximate_backlog_count = level.tasks if level else 0
            stats.approximate_backlog_age.FromNanoseconds(max(now_ns - level.oldest_ns, 0) if level else 0)
            if priority in self._rates:
                added, dispatched = self._rates[priority]
                stats.tasks_add_rate = added.per_second(now_ns)
                stats.tasks_dispatch_rate = dispatched.per_second(now_ns)
        return by_priority

    # ------------------------------------------------------------------------------------------------------------------

    async def _wait(self, timeout_ns: int, worker: str | None) -> Item | None:
        """Of a poll of this worker, or of another partition."""
        loop = asyncio.get_running_loop()
        waiter: _Waiter = loop.create_future()
        if worker is None:
            self._matcher.wait_for_task(waiter)
        else:
            self._matcher.wait(waiter, worker)
        self._arm()
        timer = loop.call_later(timeout_ns / SECOND_NS, self._expire, waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            self._matcher.leave(waiter)
            # The match may have been made in the same turn of the loop in which the caller went away.
            if waiter.done() and not waiter.cancelled() and (item := waiter.result()) is not None:
                self.put_back(item)
            raise
        finally:
            timer.cancel()

    def _expire(self, waiter: _Waiter) -> None:
        self._matcher.leave(waiter)
        self._wake(waiter, None)

    def _wake(self, waiter: _Waiter | None, item: Item | None) -> None:
        if waiter is None:
            return
        if waiter.done():
            # Cancelled, and its coroutine has not run yet to leave the matcher.
            if item is not None:
                self.put_back(item)
            return
        waiter.set_result(item)

    def _release(self) -> None:
        """Hand out what the rate limit allows."""
        for waiter, task in self._matcher.release(self._clock.now_ns()):
            self._wake(waiter, task)
        self._arm()

    def _arm(self) -> None:
        """See to it that tasks which only the rate limit holds back go when it allows."""
        ready_at_ns = self._matcher.ready_at_ns
        if ready_at_ns is None:
            return
        if self._timer is not None and ready_at_ns < self._armed_for_ns:
            self._disarm()
        if self._timer is None:
            self._armed_for_ns = ready_at_ns
            delay_ns = min(max(ready_at_ns - self._clock.now_ns(), 0), self._limits.poll_ns)
            self._timer = asyncio.get_running_loop().call_later(delay_ns / SECOND_NS, self._on_timer)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timer(self) -> None:
        self._timer = None
        self._release()

    def _touch(self, request: PollRequest) -> int:
        now_ns = self._last_poll_ns = self._last_used_ns = self._clock.now_ns()
        self.pollers.touch(request, now_ns)
        return now_ns

    def _rates_of(self, priority: int, now_ns: int) -> tuple[RecentRate, RecentRate]:
        rates = self._rates.get(priority)
        if rates is None:
            rates = self._rates[priority] = (RecentRate(now_ns), RecentRate(now_ns))
        return rates
