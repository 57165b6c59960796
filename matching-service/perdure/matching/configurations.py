"""The configurations of all task queues, as a process knows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from temporalio.api.enums.v1 import ResourceExhaustedCause
from temporalio.api.taskqueue.v1 import TaskQueueConfig
from temporalio.api.workflowservice.v1 import UpdateTaskQueueConfigRequest

from perdure.kernel.clock import Clock
from perdure.kernel.errors import ResourceExhausted, Unavailable
from perdure.kernel.ids import NamespaceId
from perdure.kernel.limits import Limits
from perdure.kernel.persistence.task_queues import (
    ConfigurationConflict,
    ConfigurationRecord,
    ConfiguredQueue,
    TaskQueueStore,
)
from perdure.matching.configuration import NO_TERMS, Terms, terms_of, updated

#: How often somebody else may be faster before a change is given up.
_ATTEMPTS = 10


class Configurations:
    """Holds every configuration in memory, so that a partition that opens has its terms at once.

    It is at most as old as the last `catch_up`. `changed` is called after each write of our own, so that others catch
    up; what this process writes it knows at once.
    """

    def __init__(
        self, store: TaskQueueStore, clock: Clock, limits: Limits, changed: Callable[[], None] = lambda: None
    ) -> None:
        self._store = store
        self._clock = clock
        self._limits = limits
        self._changed = changed
        self._revision = 0
        self._records: dict[ConfiguredQueue, ConfigurationRecord] = {}
        self._terms: dict[ConfiguredQueue, Terms] = {}
        self._count: Counter[NamespaceId] = Counter()
        #: Told of each configuration that is new here.
        self.heard: Callable[[ConfiguredQueue], None] = lambda queue: None

    async def catch_up(self) -> None:
        """Learn what was written since the last time.

        Raises:
            StoreError: the store cannot be read.
        """
        self._revision, records = await self._store.changed_since(self._revision)
        for record in records:
            self._learn(record)

    def terms_of(self, queue: ConfiguredQueue) -> Terms:
        return self._terms.get(queue, NO_TERMS)

    def config_of(self, queue: ConfiguredQueue) -> TaskQueueConfig | None:
        """None if it was never configured."""
        record = self._records.get(queue)
        return TaskQueueConfig.FromString(record.config) if record else None

    async def update(self, queue: ConfiguredQueue, request: UpdateTaskQueueConfigRequest) -> TaskQueueConfig:
        """Change a configuration, and return what it is then.

        Raises:
            InvalidArgument, ResourceExhausted: there would be too many overrides, or configured queues.
            Unavailable: others keep changing it.
            StoreError: the store cannot be used.
        """
        for _ in range(_ATTEMPTS):
            before = await self._store.read(queue)
            if before is None and self._count[queue.namespace_id] >= self._limits.task_queues_configured_max:
                raise ResourceExhausted(
                    "Too many task queues of this namespace are configured: "
                    f"limit matching.maxConfiguredTaskQueues is {self._limits.task_queues_configured_max}.",
                    ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_CONCURRENT_LIMIT,
                )
            config = TaskQueueConfig.FromString(before.config) if before else TaskQueueConfig()
            config = updated(config, request, self._clock.now_ns(), self._limits)
            record = ConfigurationRecord(queue, before.version + 1 if before else 1, config.SerializeToString())
            try:
                await self._store.write(record)
            except ConfigurationConflict:
                continue
            self._learn(record)
            self._changed()
            return config
        raise Unavailable("The configuration of this task queue is being changed by others, try again.")

    def _learn(self, record: ConfigurationRecord) -> None:
        known = self._records.get(record.queue)
        if known is not None and known.version >= record.version:
            return
        if known is None:
            self._count[record.queue.namespace_id] += 1
        self._records[record.queue] = record
        self._terms[record.queue] = terms_of(TaskQueueConfig.FromString(record.config))
        self.heard(record.queue)
