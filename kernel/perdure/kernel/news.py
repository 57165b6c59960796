"""News between processes: "look now". Only ever a hint.

News may be lost, late, repeated or false. Whoever hears some looks at the truth, which is in the database, earlier than
it would have done anyway; nothing may depend on hearing it.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol


class Topic(StrEnum):
    """What changed."""

    MEMBERS = "members"
    SHARDS = "shards"
    NAMESPACES = "namespaces"
    ACCESS = "access"
    TASK_QUEUES = "task-queues"
    DEPLOYMENTS = "deployments"


class News(Protocol):
    """Neither method blocks or raises."""

    def tell(self, topic: Topic) -> None:
        """Tell all processes, this one included, sometime soon."""
        ...

    def listen(self, topic: Topic, heard: Callable[[], None]) -> None:
        """Have `heard` called on the event loop whenever there is such news."""
        ...


class NoNews:
    """For a process that is alone, or whose cluster has no way to carry news."""

    def tell(self, topic: Topic) -> None:
        """Nobody is there to be told."""

    def listen(self, topic: Topic, heard: Callable[[], None]) -> None:
        """There is nothing to hear."""


class LocalNews:
    """For a process that is alone: it hears what it tells."""

    def __init__(self) -> None:
        self._listeners: dict[Topic, list[Callable[[], None]]] = {}

    def tell(self, topic: Topic) -> None:
        for heard in self._listeners.get(topic, ()):
            heard()

    def listen(self, topic: Topic, heard: Callable[[], None]) -> None:
        self._listeners.setdefault(topic, []).append(heard)
