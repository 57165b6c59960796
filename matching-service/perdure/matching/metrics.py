"""What matching counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from perdure.kernel.ids import TaskQueueKey
from perdure.kernel.metrics import STICKY, Family, Histogram, Kind, NameOf, Sample, Series

_BY_QUEUE = ("namespace", "task_queue", "task_type")
OFFERED = Family("tasks_offered", Kind.COUNTER, "Tasks that arrived, repeated offers included.", _BY_QUEUE)
SYNC_MATCHED = Family(
    "tasks_sync_matched",
    Kind.COUNTER,
    "Tasks that met a waiting poll when they arrived.",
    _BY_QUEUE,
    "poll_success_sync, syncmatch_latency",
)
NO_POLLER = Family(
    "no_poller_tasks",
    Kind.COUNTER,
    "Tasks that arrived where no worker had polled lately.",
    _BY_QUEUE,
    "no_poller_tasks",
)
POLL_SUCCESS = Family("poll_success", Kind.COUNTER, "Polls that got a task or a query.", _BY_QUEUE, "poll_success")
POLL_TIMEOUTS = Family("poll_timeouts", Kind.COUNTER, "Polls that ended empty.", _BY_QUEUE, "poll_timeouts")
SCHEDULE_TO_START = Family(
    "task_schedule_to_start_latency_seconds",
    Kind.HISTOGRAM,
    "From when a task was made until a worker had it.",
    _BY_QUEUE,
    "task_schedule_to_start_latency, task_dispatch_latency, asyncmatch_latency",
)
BACKLOG = Family(
    "approximate_backlog_count", Kind.GAUGE, "Tasks that wait for a worker.", _BY_QUEUE, "approximate_backlog_count"
)
BACKLOG_AGE = Family(
    "approximate_backlog_age_seconds",
    Kind.GAUGE,
    "How long the task has waited whose turn is next.",
    _BY_QUEUE,
    "approximate_backlog_age_seconds",
)
PENDING_POLLS = Family("pending_polls", Kind.GAUGE, "Polls that wait for a task.", _BY_QUEUE, "pending_polls")
FORWARDED = Family(
    "tasks_forwarded", Kind.COUNTER, "Tasks handed on to another partition.", (), "forwarded, forwarded_per_tl"
)
FETCHED = Family(
    "tasks_fetched", Kind.COUNTER, "Tasks got from the root for another partition.", (), "remote_to_local_matches"
)
REFILLS = Family("refills", Kind.COUNTER, "Times that history was asked for tasks which had found no room.")
QUEUES = Family(
    "loaded_task_queues", Kind.GAUGE, "Partitions of task queues in memory.", (), "loaded_task_queue_partition_count"
)
WORKERS = Family(
    "known_workers", Kind.GAUGE, "Workers that have sent a heartbeat lately.", (), "worker_registry_worker_count"
)

FAMILIES = (
    OFFERED,
    SYNC_MATCHED,
    NO_POLLER,
    POLL_SUCCESS,
    POLL_TIMEOUTS,
    SCHEDULE_TO_START,
    BACKLOG,
    BACKLOG_AGE,
    PENDING_POLLS,
    FORWARDED,
    FETCHED,
    REFILLS,
    QUEUES,
    WORKERS,
)


@dataclass(slots=True)
class QueueMetrics:
    """Of one task queue, its partitions taken together."""

    offered: int = 0
    sync_matched: int = 0
    no_poller: int = 0
    polls_served: int = 0
    polls_empty: int = 0
    schedule_to_start: Histogram = field(default_factory=Histogram)


@dataclass(slots=True)
class MatchingMetrics:
    """Of the task queues of one process, since it started."""

    forwarded: int = 0
    fetched: int = 0
    refills: int = 0
    by_queue: Series[QueueMetrics] = field(default_factory=lambda: Series(3, QueueMetrics))

    def of(self, queue: TaskQueueKey, *, sticky: bool) -> QueueMetrics:
        return self.by_queue.of(*labels_of(queue, sticky=sticky))

    def samples(self, name_of: NameOf) -> Iterable[Sample]:
        yield Sample(FORWARDED, (), self.forwarded)
        yield Sample(FETCHED, (), self.fetched)
        yield Sample(REFILLS, (), self.refills)
        for (namespace_id, *rest), counts in self.by_queue.items():
            labels = (name_of(namespace_id), *rest)
            yield Sample(OFFERED, labels, counts.offered)
            yield Sample(SYNC_MATCHED, labels, counts.sync_matched)
            yield Sample(NO_POLLER, labels, counts.no_poller)
            yield Sample(POLL_SUCCESS, labels, counts.polls_served)
            yield Sample(POLL_TIMEOUTS, labels, counts.polls_empty)
            yield Sample(SCHEDULE_TO_START, labels, counts.schedule_to_start)


def labels_of(queue: TaskQueueKey, *, sticky: bool) -> tuple[str, str, str]:
    """The namespace is by its id."""
    return queue.namespace_id, STICKY if sticky else queue.name, queue.kind.name.lower()
