"""Configurations of task queues, as their users have set them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from perdure.kernel.ids import NamespaceId
from perdure.kernel.persistence.executions import StoreError


class ConfiguredQueue(NamedTuple):
    """Whose configuration it is. `kind` is a number of `temporal.api.enums.v1.TaskQueueType`."""

    namespace_id: NamespaceId
    name: str
    kind: int


class ConfigurationRecord(NamedTuple):
    """A configuration as it is stored: a `temporal.api.taskqueue.v1.TaskQueueConfig`, and how often it was set."""

    queue: ConfiguredQueue
    version: int
    config: bytes


class DamagedConfiguration(StoreError):
    """A configuration does not match its checksum."""

    def __init__(self, name: str) -> None:
        super().__init__(f"damaged configuration of task queue {name}")


class ConfigurationConflict(StoreError):
    """The record has changed since it was read."""


class TaskQueueStore(Protocol):
    """Small and rarely written; whoever owns task queues holds what he has read. A namespace's records go with it."""

    async def read(self, queue: ConfiguredQueue) -> ConfigurationRecord | None: ...

    async def write(self, record: ConfigurationRecord) -> None:
        """Replace the record whose stored `version` is one less; version 1 is the first.

        Raises:
            ConfigurationConflict: somebody else was faster.
        """
        ...

    async def changed_since(self, revision: int) -> tuple[int, Sequence[ConfigurationRecord]]:
        """Every record that was written after the given revision, in that order, and the revision as of now.

        Revisions grow with every write and are the store's own; 0 is before all. Damaged records are left out.
        """
        ...
