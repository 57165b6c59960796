"""What history counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from temporalio.api.enums.v1 import WorkflowExecutionStatus

from perdure.kernel.clock import SECOND_NS
from perdure.kernel.ids import ExecutionKind
from perdure.kernel.metrics import DURATION_BOUNDS_S, SIZE_BOUNDS, Family, Histogram, Kind, NameOf, Sample, Series
from perdure.kernel.persistence.visibility import VisibilityRecord

_COMMITS_BY = ("database",)
COMMITS = Family("commits", Kind.COUNTER, "Transactions written; each carries many writes.", _COMMITS_BY)
COMMIT_FAILURES = Family(
    "commit_failures",
    Kind.COUNTER,
    "Transactions that failed.",
    _COMMITS_BY,
    "persistence_errors, persistence_error_with_type",
)
COMMIT_LATENCY = Family(
    "commit_latency_seconds", Kind.HISTOGRAM, "How long a transaction took.", _COMMITS_BY, "persistence_latency"
)
COMMIT_BATCH = Family("commit_batch_size", Kind.HISTOGRAM, "Writes in a transaction.", _COMMITS_BY)
COMMIT_QUEUE = Family("commit_queue", Kind.GAUGE, "Writes that wait for their transaction.", _COMMITS_BY)
COMMIT_LAG = Family(
    "commit_lag_seconds", Kind.GAUGE, "How long the transaction has lasted that is under way.", _COMMITS_BY
)

TRANSITIONS = Family("state_transitions", Kind.COUNTER, "Changes of executions.", (), "state_transition_count")
SNAPSHOTS = Family("snapshots", Kind.COUNTER, "Snapshots of executions written.")
CACHE_HITS = Family(
    "cache_hits", Kind.COUNTER, "Executions that were in memory when they were wanted.", (), "cache_requests"
)
CACHE_MISSES = Family("cache_misses", Kind.COUNTER, "Executions that were read from the store.", (), "cache_miss")
CACHE_SIZE = Family("cache_executions", Kind.GAUGE, "Executions in memory.", (), "cache_usage")
RETENTION_DELETES = Family(
    "workflow_cleanup_delete",
    Kind.COUNTER,
    "Executions deleted as their retention ended.",
    (),
    "workflow_cleanup_delete",
)
ARCHIVED = Family("archived", Kind.COUNTER, "Workflows brought to the archive, and deleted then.")
ARCHIVE_FAILURES = Family(
    "archive_failures",
    Kind.COUNTER,
    "Attempts to bring a workflow to the archive that failed; it is kept.",
    (),
    "history_archiver_archive_transient_error, history_archiver_archive_non_retryable_error",
)
ARCHIVE_WAITING = Family(
    "archive_waiting", Kind.GAUGE, "Workflows whose retention has ended and that are kept until they are archived."
)
TIMER_LAG = Family("task_latency_seconds", Kind.HISTOGRAM, "How late timers were looked at.", (), "task_latency_queue")
REDISPATCHES = Family("redispatches", Kind.COUNTER, "Times that the tasks of a queue were offered again.")

SHARDS_OWNED = Family("shards_owned", Kind.GAUGE, "Shards that this process owns.", (), "numshards_gauge")
SHARDS_TAKEN = Family(
    "shards_taken", Kind.COUNTER, "Shards taken.", (), "sharditem_created_count, acquire_shards_count"
)
SHARDS_GIVEN_BACK = Family("shards_given_back", Kind.COUNTER, "Shards given back.", (), "sharditem_removed_count")
SHARDS_LOST = Family(
    "shards_lost",
    Kind.COUNTER,
    "Shards let go of at once.",
    (),
    "shard_closed_count, service_errors_shard_ownership_lost",
)
ACQUISITION = Family(
    "shard_acquisition_latency_seconds",
    Kind.HISTOGRAM,
    "How long it took to take shards.",
    (),
    "sharditem_acquisition_latency, acquire_shards_latency",
)
RECOVERY = Family(
    "shard_recovery_latency_seconds", Kind.HISTOGRAM, "How long it took to take up what a number of shards owed."
)

_BY_TYPE = ("namespace", "workflow_type", "task_queue")
WORKFLOWS_STARTED = Family("workflow_started", Kind.COUNTER, "Workflow runs begun.", _BY_TYPE)
WORKFLOWS_CLOSED = Family(
    "workflow_closed",
    Kind.COUNTER,
    "Workflow runs closed, by how: completed, failed, canceled, terminated, continued_as_new, timed_out.",
    (*_BY_TYPE, "outcome"),
    "workflow_success, workflow_failed, workflow_cancel, workflow_terminate, workflow_continued_as_new, "
    "workflow_timeout",
)
WORKFLOW_LATENCY = Family(
    "workflow_schedule_to_close_latency_seconds",
    Kind.HISTOGRAM,
    "From start to close of a workflow run.",
    _BY_TYPE,
    "workflow_schedule_to_close_latency",
)
_BY_ACTIVITY = ("namespace", "activity_type", "task_queue")
ACTIVITIES_CLOSED = Family(
    "activity_closed",
    Kind.COUNTER,
    "Activities closed, by how: completed, failed, timedout, canceled.",
    (*_BY_ACTIVITY, "outcome"),
    "activity_success, activity_fail, activity_timeout, activity_cancel",
)
ACTIVITY_LATENCY = Family(
    "activity_schedule_to_close_latency_seconds",
    Kind.HISTOGRAM,
    "From the schedule to the end of an activity, all attempts included.",
    _BY_ACTIVITY,
    "activity_schedule_to_close_latency, activity_end_to_end_latency",
)

FAMILIES = (
    COMMITS,
    COMMIT_FAILURES,
    COMMIT_LATENCY,
    COMMIT_BATCH,
    COMMIT_QUEUE,
    COMMIT_LAG,
    TRANSITIONS,
    SNAPSHOTS,
    CACHE_HITS,
    CACHE_MISSES,
    CACHE_SIZE,
    RETENTION_DELETES,
    ARCHIVED,
    ARCHIVE_FAILURES,
    ARCHIVE_WAITING,
    TIMER_LAG,
    REDISPATCHES,
    SHARDS_OWNED,
    SHARDS_TAKEN,
    SHARDS_GIVEN_BACK,
    SHARDS_LOST,
    ACQUISITION,
    RECOVERY,
    WORKFLOWS_STARTED,
    WORKFLOWS_CLOSED,
    WORKFLOW_LATENCY,
    ACTIVITIES_CLOSED,
    ACTIVITY_LATENCY,
)

_OUTCOMES: dict[int, str] = {
    number: name.removeprefix("WORKFLOW_EXECUTION_STATUS_").lower() for name, number in WorkflowExecutionStatus.items()
}


@dataclass(slots=True)
class CommitMetrics:
    """Transactions to one database."""

    failures: int = 0
    latency: Histogram = field(default_factory=Histogram)
    batch: Histogram = field(default_factory=lambda: Histogram(SIZE_BOUNDS))


@dataclass(slots=True)
class Lives:
    """Executions of one type: how many began, how many ended how, and how long they took."""

    begun: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    latency: Histogram = field(default_factory=lambda: Histogram(DURATION_BOUNDS_S))


@dataclass(slots=True)
class HistoryMetrics:
    """Of the shards of one process, since it started."""

    transitions: int = 0
    snapshots: int = 0
    cache_hits: int = 0
    cache_misses: int = 0
    retention_deletes: int = 0
    archived: int = 0
    archive_failures: int = 0
    redispatches: int = 0
    shards_taken: int = 0
    shards_given_back: int = 0
    shards_lost: int = 0
    timer_lag: Histogram = field(default_factory=Histogram)
    acquisition: Histogram = field(default_factory=Histogram)
    recovery: Histogram = field(default_factory=Histogram)
    #: By namespace id, type and task queue.
    workflows: Series[Lives] = field(default_factory=lambda: Series(3, Lives))
    activities: Series[Lives] = field(default_factory=lambda: Series(3, Lives))

    def shown(self, record: VisibilityRecord, *, begun: bool) -> None:
        """Lists show something else of a run, which is so when it begins and when it ends."""
        if record.kind is not ExecutionKind.WORKFLOW:
            return
        lives = self.workflows.of(record.namespace_id, record.workflow_type, record.task_queue)
        if begun:
            lives.begun += 1
        if record.close_time_ns is not None:
            lives.ended[_OUTCOMES[record.status]] += 1
            lives.latency.observe((record.close_time_ns - record.start_time_ns) / SECOND_NS)

    def activity_closed(self, namespace_id: str, activity_type: str, queue: str, outcome: str, took_ns: int) -> None:
        lives = self.activities.of(namespace_id, activity_type, queue)
        lives.ended[outcome] += 1
        lives.latency.observe(took_ns / SECOND_NS)

    def samples(self, name_of: NameOf) -> Iterable[Sample]:
        for family, value in (
            (TRANSITIONS, self.transitions),
            (SNAPSHOTS, self.snapshots),
            (CACHE_HITS, self.cache_hits),
            (CACHE_MISSES, self.cache_misses),
            (RETENTION_DELETES, self.retention_deletes),
            (ARCHIVED, self.archived),
            (ARCHIVE_FAILURES, self.archive_failures),
            (REDISPATCHES, self.redispatches),
            (SHARDS_TAKEN, self.shards_taken),
            (SHARDS_GIVEN_BACK, self.shards_given_back),
            (SHARDS_LOST, self.shards_lost),
            (TIMER_LAG, self.timer_lag),
            (ACQUISITION, self.acquisition),
            (RECOVERY, self.recovery),
        ):
            yield Sample(family, (), value)
        for (namespace_id, *rest), lives in self.workflows.items():
            labels = (name_of(namespace_id), *rest)
            yield Sample(WORKFLOWS_STARTED, labels, lives.begun)
            yield from _endings(WORKFLOWS_CLOSED, WORKFLOW_LATENCY, labels, lives)
        for (namespace_id, *rest), lives in self.activities.items():
            yield from _endings(ACTIVITIES_CLOSED, ACTIVITY_LATENCY, (name_of(namespace_id), *rest), lives)


def _endings(closed: Family, latency: Family, labels: tuple[str, ...], lives: Lives) -> Iterable[Sample]:
    for outcome, count in lives.ended.items():
        yield Sample(closed, (*labels, outcome), count)
    yield Sample(latency, labels, lives.latency)


def commit_samples(database: str, metrics: CommitMetrics, queued: int, lag_s: float) -> Iterable[Sample]:
    labels = (database,)
    yield Sample(COMMITS, labels, metrics.latency.count)
    yield Sample(COMMIT_FAILURES, labels, metrics.failures)
    yield Sample(COMMIT_LATENCY, labels, metrics.latency)
    yield Sample(COMMIT_BATCH, labels, metrics.batch)
    yield Sample(COMMIT_QUEUE, labels, queued)
    yield Sample(COMMIT_LAG, labels, lag_s)
