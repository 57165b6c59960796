"""The task queues of one process."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from heapq import nlargest

from temporalio.api.enums.v1 import ResourceExhaustedCause, ResourceExhaustedScope

from perdure.kernel.clock import SECOND_NS
from perdure.kernel.deployments.directory import Deployments
from perdure.kernel.errors import NotOwner, ResourceExhausted, ServiceError, Unavailable
from perdure.kernel.ids import NamespaceId, TaskQueueKey
from perdure.kernel.limits import Limits
from perdure.kernel.metrics import NameOf, Sample
from perdure.kernel.persistence.task_queues import ConfiguredQueue
from perdure.kernel.rpc import HistoryClient, QueryTask, Task
from perdure.kernel.runtime import Runtime
from perdure.matching import versions
from perdure.matching.configurations import Configurations
from perdure.matching.metrics import (
    BACKLOG,
    BACKLOG_AGE,
    PENDING_POLLS,
    QUEUES,
    MatchingMetrics,
    labels_of,
)
from perdure.matching.nexus import PendingNexusTasks
from perdure.matching.partition import RECENT_POLL_NS, Partition
from perdure.matching.queries import PendingQueries

#: How long the polls of a worker that has announced its end are turned away.
_SHUTDOWN_REMEMBERED_NS = 70 * SECOND_NS
_SHUTDOWNS_REMEMBERED_MAX = 10_000
#: Queues that are looked at between two looks at anything else, when queues have moved.
_LEFT_PER_TURN = 100
#: How long a partition waits for a task of the root before it looks whether it still needs one.
_FETCH_NS = 10 * SECOND_NS
#: For so long a process may be dead before everybody knows.
_UNHEARD_NS = 20 * SECOND_NS


class TaskQueues:
    """Partitions by their key, made when first used and dropped when nobody would notice."""

    def __init__(
        self,
        runtime: Runtime,
        limits: Limits,
        history: HistoryClient,
        configurations: Configurations,
        deployments: Deployments,
        host_name: str,
    ) -> None:
        self.runtime = runtime
        self.limits = limits
        self.history = history
        self.configurations = configurations
        configurations.heard = self._configure
        self.deployments = deployments
        self.host_name = host_name
        self.metrics = MatchingMetrics()
        self.pending_queries = PendingQueries()
        self.pending_nexus = PendingNexusTasks()
        #: Where a task goes that leaves its queue, for the normal one or since it is another process's by now.
        self.offer_elsewhere: Callable[[Task], None] = self.offer
        #: Where a task goes that leaves its partition for the root.
        self.hand_on: Callable[[Task], None] = self.offer
        #: Gets a task from the root of a queue, waiting for one until the given instant.
        self.fetch: Callable[[TaskQueueKey, int], Awaitable[Task | None]] = self.take_for_partition
        #: Partitions for which a task is being fetched.
        self._fetching: dict[TaskQueueKey, asyncio.Task[None]] = {}
        self.closed = False
        self._partitions: dict[TaskQueueKey, Partition] = {}
        #: Workers (by namespace and instance key) that have announced their end, and when.
        self._shut_down: dict[tuple[NamespaceId, str], int] = {}
        deployments.listen(self._reroute)

    def find(self, queue: TaskQueueKey) -> Partition | None:
        return self._partitions.get(queue)

    def for_poll(self, queue: TaskQueueKey, sticky: bool) -> Partition:
        """The partition to poll on.

        Raises:
            ResourceExhausted: the queue is new and there are too many in memory.
        """
        partition = self._partitions.get(queue)
        if partition is None:
            if len(self._partitions) >= self.limits.task_queues_max:
                raise ResourceExhausted(
                    f"Too many task queues: limit matching.maxTaskQueues is {self.limits.task_queues_max}.",
                    ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_SYSTEM_OVERLOADED,
                    ResourceExhaustedScope.RESOURCE_EXHAUSTED_SCOPE_SYSTEM,
                )
            partition = self._open(queue, sticky)
        return partition

    def for_query(self, task: QueryTask) -> Partition:
        """The partition of a normal queue to ask on."""
        return self._to_ask_on(task.queue, versions.of_task(self.deployments, task))

    def for_request(self, queue: TaskQueueKey, request_id: str) -> Partition:
        """The partition to send a Nexus request to, of which a ramping version has its share."""
        return self._to_ask_on(queue, versions.routed(self.deployments, queue, request_id))

    def _to_ask_on(self, queue: TaskQueueKey, version: str) -> Partition:
        queue = queue._replace(version=version)
        return self._partitions.get(queue) or self._open(queue, sticky=False)

    def versions_of(self, queue: TaskQueueKey) -> list[Partition]:
        """The same part of a queue for every version that there is here."""
        return [each for key, each in self._partitions.items() if key._replace(version="") == queue]

    def offer(self, task: Task) -> None:
        """Put the task into its queue, or from a sticky queue that no worker polls into the normal one."""
        if self.closed:
            return
        if task.normal_queue and task.normal_queue != task.queue.name:
            sticky = self._partitions.get(task.queue)
            stays = sticky is not None and sticky.polled_within(RECENT_POLL_NS)
            if sticky is not None and stays and not versions.has_left(self.deployments, task):
                sticky.offer(task)
            else:
                self.offer_elsewhere(_on_normal_queue(task))
            return
        queue = task.queue._replace(version=versions.of_task(self.deployments, task))
        task = task._replace(queue=queue)
        partition = self._partitions.get(queue)
        if partition is None:
            partition = self._open(queue, sticky=False)
        partition.offer(task)
        self._leave_to_root(partition)

    # Partitions ---------------------------------------------------------------------------------------------------

    async def take_for_partition(self, root: TaskQueueKey, until_ns: int) -> Task | None:
        """A task of a root for another partition of its queue."""
        partition = self._partitions.get(root) or self._open(root, sticky=False)
        return await partition.take_for_partition(until_ns)

    def feed(self, partition: Partition) -> None:
        """Get tasks from the root, one at a time, for as long as pollers wait for them here."""
        queue = partition.queue
        if not queue.partition or queue in self._fetching:
            return

        self._fetching[queue] = asyncio.get_running_loop().create_task(self._fetch_all(partition))

    async def _fetch_all(self, partition: Partition) -> None:
        queue = partition.queue
        try:
            while partition.starving and self._partitions.get(queue) is partition:
                until_ns = self.runtime.clock.now_ns() + _FETCH_NS
                try:
                    task = await self.fetch(queue.root, until_ns)
                except ServiceError:
                    # The root is moving, or busy. Whoever polls next tries again.
                    partition.fetch_failed_ns = self.runtime.clock.now_ns()
                    return
                self._make_up_for_failure(partition)
                if task is not None:
                    self.metrics.fetched += 1
                    self.offer(task._replace(queue=queue))
        finally:
            # Here and not a turn later: whoever begins to wait then would rely on it.
            del self._fetching[queue]

    def leave_stranded_to_root(self) -> None:
        """Let the tasks of partitions that no worker polls any more meet one at the root."""
        long_ago_ns = self.runtime.clock.now_ns() - _FETCH_NS
        for partition in list(self._partitions.values()):
            self._leave_to_root(partition)
            if partition.fetch_failed_ns < long_ago_ns:
                # No worker has made it ask again.
                self._make_up_for_failure(partition)

    def _make_up_for_failure(self, partition: Partition) -> None:
        """A task may have been on the answer of the root that did not come."""
        if partition.fetch_failed_ns:
            partition.fetch_failed_ns = 0
            self._refill(partition.queue.root)

    def _leave_to_root(self, partition: Partition) -> None:
        for task in partition.leave_to_root():
            self.metrics.forwarded += 1
            self.hand_on(task._replace(queue=partition.queue.root))

    def _reroute(self, namespace_id: NamespaceId) -> None:
        """Deployments have changed: tasks that wait go where they belong now."""
        for queue, partition in list(self._partitions.items()):
            if queue.namespace_id != namespace_id or partition.sticky:
                continue
            for task in partition.take_out(lambda task: versions.of_task(self.deployments, task) != task.queue.version):
                self.offer(task)

    # --------------------------------------------------------------------------------------------------------------

    def discard(self, queue: TaskQueueKey) -> None:
        """Drop a sticky queue whose worker is gone; its tasks go to the normal queues of their workflows."""
        partition = self._partitions.get(queue)
        if partition is None or not partition.sticky:
            return
        del self._partitions[queue]
        for task in partition.drain():
            if task.normal_queue:
                self.offer_elsewhere(_on_normal_queue(task))

    async def leave(self, is_ours: Callable[[TaskQueueKey], bool]) -> None:
        """Let go of the queues that are another process's now, and send their tasks there.

        History does so as well, but may have been told earlier than we, and tasks came here from other queues since.
        """
        for number, (queue, partition) in enumerate(list(self._partitions.items()), 1):
            if is_ours(queue):
                self._forget_the_dead(partition)
            elif self._partitions.pop(queue, None) is not None:
                self._make_up_for_failure(partition)
                for task in partition.drain(NotOwner(f"task queue {queue.name}")):
                    self.offer_elsewhere(task)
            if number % _LEFT_PER_TURN == 0:
                await asyncio.sleep(0)

    def _forget_the_dead(self, root: Partition) -> None:
        """Members have come or gone: whoever waits for a task of this root may be dead, or have died with one."""
        root.dismiss_partitions()
        if root.handed_on_ns > self.runtime.clock.now_ns() - _UNHEARD_NS:
            self._refill(root.queue)

    def evict_idle(self) -> None:
        """Drop the partitions that nobody has used lately, and forget workers that are long gone."""
        for queue, partition in list(self._partitions.items()):
            if partition.idle:
                del self._partitions[queue]
                partition.drain()
        long_ago_ns = self.runtime.clock.now_ns() - _SHUTDOWN_REMEMBERED_NS
        for worker in [worker for worker, at_ns in self._shut_down.items() if at_ns < long_ago_ns]:
            del self._shut_down[worker]

    def close(self) -> None:
        """End all waiting polls and queries, and drop all tasks: history has its own record of them."""
        self.closed = True
        for fetching in self._fetching.values():
            fetching.cancel()
        for partition in self._partitions.values():
            partition.drain()
        self._partitions.clear()
        self.pending_queries.fail_all(Unavailable("The server is shutting down."))
        self.pending_nexus.fail_all(Unavailable("The server is shutting down."))

    def samples(self, name_of: NameOf) -> Iterable[Sample]:
        """What there is to count here and now."""
        yield from self.metrics.samples(name_of)
        yield Sample(QUEUES, (), len(self._partitions))
        tasks: Counter[tuple[str, ...]] = Counter()
        polls: Counter[tuple[str, ...]] = Counter()
        ages_ns: dict[tuple[str, ...], int] = {}
        for queue, partition in self._partitions.items():
            labels = self.metrics.by_queue.counted_as(labels_of(queue, sticky=partition.sticky))
            tasks[labels] += partition.backlog_count
            polls[labels] += partition.polls_waiting
            ages_ns[labels] = max(ages_ns.get(labels, 0), partition.backlog_age_ns)
        for (namespace_id, *rest), age_ns in ages_ns.items():
            labels = (name_of(namespace_id), *rest)
            yield Sample(BACKLOG, labels, tasks[namespace_id, *rest])
            yield Sample(BACKLOG_AGE, labels, age_ns / SECOND_NS)
            yield Sample(PENDING_POLLS, labels, polls[namespace_id, *rest])

    def largest(self, count: int) -> list[Partition]:
        """The partitions where the most tasks wait, of those where any do."""
        waiting = (partition for partition in self._partitions.values() if partition.backlog_count)
        return nlargest(count, waiting, key=lambda partition: partition.backlog_count)

    # Workers that go --------------------------------------------------------------------------------------------------

    def shut_down(self, namespace_id: NamespaceId, worker: str) -> None:
        """Turn this worker's polls away from now on: one may still be on its way."""
        if len(self._shut_down) < _SHUTDOWNS_REMEMBERED_MAX:
            self._shut_down[namespace_id, worker] = self.runtime.clock.now_ns()

    def is_shut_down(self, namespace_id: NamespaceId, worker: str) -> bool:
        """Whether this worker has announced its end lately."""
        return bool(worker) and (namespace_id, worker) in self._shut_down

    # ------------------------------------------------------------------------------------------------------------------

    def unused(self, queue: TaskQueueKey, sticky: bool = False) -> Partition:
        """What a queue looks like that nobody has used yet. It is not kept."""
        partition = Partition(queue, sticky, self.runtime.clock, self.limits, self._refill)
        if not sticky:
            partition.configure(self.configurations.terms_of(configured(queue)))
        return partition

    def _open(self, queue: TaskQueueKey, sticky: bool) -> Partition:
        partition = self._partitions[queue] = self.unused(queue, sticky)
        partition.metrics = self.metrics.of(queue, sticky=sticky)
        return partition

    def _configure(self, queue: ConfiguredQueue) -> None:
        terms = self.configurations.terms_of(queue)
        for partition in self._partitions.values():
            if not partition.sticky and configured(partition.queue) == queue:
                partition.configure(terms)

    def _refill(self, queue: TaskQueueKey) -> None:
        self.metrics.refills += 1
        self.history.redispatch(queue.whole)


def configured(queue: TaskQueueKey) -> ConfiguredQueue:
    """Under which name the configuration of a queue is found; its partitions share it."""
    return ConfiguredQueue(queue.namespace_id, queue.name, queue.kind)


def _on_normal_queue(task: Task) -> Task:
    return task._replace(queue=task.queue._replace(name=task.normal_queue), normal_queue="")
