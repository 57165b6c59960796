"""PURE: tasks that wait for a poller, in the order in which they will go.

Lower priority numbers go first. Within a priority, fairness keys take turns in proportion to their weights. Within a
key the oldest task goes first.

Turns are start-time fair queueing. Every level has a virtual time, which is the pass of the key served last. A key that
gets its first task joins one stride (1 / weight) after the virtual time, and moves on by a stride each time it is
served, so a key of weight 2 comes up twice as often as a key of weight 1. A key whose last task has gone may be
forgotten without any loss: its pass cannot be ahead of the virtual time. So there are never more keys than tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from heapq import heappop, heappush, heapreplace
from typing import NamedTuple

from perdure.kernel.ids import ExecutionKey
from perdure.kernel.rpc import Task

_WEIGHT_MIN = 0.001
_WEIGHT_MAX = 1000.0

#: Which task of which execution, and whose hint it is; the same hint may be offered more than once.
_Identity = tuple[ExecutionKey, int, int, int]


def _identity(task: Task) -> _Identity:
    return task.key, task.scheduled_event_id, task.stamp, task.epoch


class LevelStats(NamedTuple):
    """How many tasks of one priority wait, and when the oldest of them was made."""

    tasks: int
    oldest_ns: int


class Backlog:
    """The waiting tasks of one queue. Each task waits at most once, however often it is offered."""

    def __init__(self) -> None:
        self._levels: dict[int, _Level] = {}
        self._waiting: set[_Identity] = set()
        self._arrivals = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, task: Task) -> bool:
        return _identity(task) in self._waiting

    def add(self, task: Task) -> None:
        """Let a task wait; nothing happens if it waits already."""
        identity = _identity(task)
        if identity in self._waiting:
            return
        self._waiting.add(identity)
        level = self._levels.get(task.priority)
        if level is None:
            level = self._levels[task.priority] = _Level()
        self._arrivals += 1
        level.add(task, self._arrivals)

    def pop(self) -> Task:
        """Take out the task whose turn it is.

        Raises:
            IndexError: none waits.
        """
        if not self._levels:
            raise IndexError("no task waits")
        priority = min(self._levels)
        level = self._levels[priority]
        task = level.pop()
        if not level.queues:
            del self._levels[priority]
        self._waiting.remove(_identity(task))
        return task

    def take_out(self, wanted: Callable[[Task], bool]) -> list[Task]:
        """Take out the tasks that are wanted, in order."""
        if not any(wanted(task) for level in self._levels.values() for task in level.tasks()):
            return []
        tasks, taken = self.drain(), []
        for task in tasks:
            if wanted(task):
                taken.append(task)
            else:
                self.add(task)
        return taken

    def drain(self) -> list[Task]:
        """Take out all tasks, in order."""
        return [self.pop() for _ in range(len(self))]

    def next_created_ns(self) -> int:
        """When the task whose turn it is was made; 0 if none waits."""
        return self._levels[min(self._levels)].head().created_at_ns if self._levels else 0

    def stats(self) -> Mapping[int, LevelStats]:
        """Counts and ages by priority; only priorities that have tasks."""
        return {priority: level.stats() for priority, level in self._levels.items()}


class _Level:
    """The tasks of one priority."""

    __slots__ = ("queues", "turns", "virtual_time")

    def __init__(self) -> None:
        self.virtual_time = 0.0
        #: Heap of (pass, arrival, fairness key): one entry per key that has tasks. Arrivals break ties.
        self.turns: list[tuple[float, int, str]] = []
        #: By fairness key, a heap of (created_at_ns, arrival, task).
        self.queues: dict[str, list[tuple[int, int, Task]]] = {}

    def add(self, task: Task, arrival: int) -> None:
        queue = self.queues.get(task.fairness_key)
        if queue is None:
            queue = self.queues[task.fairness_key] = []
            heappush(self.turns, (self.virtual_time + _stride(task), arrival, task.fairness_key))
        heappush(queue, (task.created_at_ns, arrival, task))

    def pop(self) -> Task:
        self.virtual_time, _, key = self.turns[0]
        queue = self.queues[key]
        task = heappop(queue)[2]
        if queue:
            _, arrival, head = queue[0]
            heapreplace(self.turns, (self.virtual_time + _stride(head), arrival, key))
        else:
            heappop(self.turns)
            del self.queues[key]
        return task

    def head(self) -> Task:
        return self.queues[self.turns[0][2]][0][2]

    def tasks(self) -> Iterator[Task]:
        return (task for queue in self.queues.values() for _, _, task in queue)

    def stats(self) -> LevelStats:
        return LevelStats(
            tasks=sum(len(queue) for queue in self.queues.values()),
            oldest_ns=min(queue[0][0] for queue in self.queues.values()),
        )


def _stride(task: Task) -> float:
    return 1.0 / min(max(task.fairness_weight, _WEIGHT_MIN), _WEIGHT_MAX)
