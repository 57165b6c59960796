"""PURE: tasks that wait for a poller, in the order in which they will go.

Lower priority numbers go first. Within a priority, fairness keys take turns in proportion to their weights. Within a
key the oldest task goes first.

Turns are start-time fair queueing. Every level has a virtual time, which is the pass of the key served last. A key that
gets its first task joins one stride (1 / weight) after the virtual time, and moves on by a stride each time it is
served, so a key of weight 2 comes up twice as often as a key of weight 1. A key whose last task has gone may be
forgotten without any loss: its pass cannot be ahead of the virtual time. So there are never more keys than tasks.

Where keys have a rate, one that has used it up stands aside until it may go on, and holds up nobody. It keeps its turn,
but the turns that it has missed are not made up for: it goes on from the virtual time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from heapq import heapify, heappop, heappush, heapreplace
from typing import NamedTuple

from perdure.kernel.ids import ExecutionKey
from perdure.kernel.rpc import Task
from perdure.matching.fairness import KeyLimits, weight_of

#: Which task of which execution, and whose hint it is; the same hint may be offered more than once.
_Identity = tuple[ExecutionKey, int, int, int]
#: (created_at_ns, arrival, task)
_Entry = tuple[int, int, Task]

#: A level has at most so many entries that were replaced, or as many as it has tasks.
_REPLACED_MAX = 64


def _identity(task: Task) -> _Identity:
    return task.key, task.scheduled_event_id, task.stamp, task.epoch


def _place(task: Task) -> tuple[object, ...]:
    """What may be another one when a task is offered again: its turn, and whose workers it is for."""
    return task.priority, task.fairness_key, task.fairness_weight, task.version, task.behavior


class LevelStats(NamedTuple):
    """How many tasks of one priority wait, and when the oldest of them was made."""

    tasks: int
    oldest_ns: int


class Backlog:
    """The waiting tasks of one queue. Each task waits at most once, however often it is offered.

    A task that is offered again with another priority, key or weight, or for other workers, moves to its new place.
    """

    def __init__(self) -> None:
        #: Weights of keys that win over those of their tasks.
        self.weights: Mapping[str, float] = {}
        self._limits: KeyLimits | None = None
        self._levels: dict[int, _Level] = {}
        #: Each task that waits. What else is in a level was replaced.
        self._waiting: dict[_Identity, Task] = {}
        self._arrivals = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, task: Task) -> bool:
        return _identity(task) in self._waiting

    @property
    def limits(self) -> KeyLimits | None:
        """How fast each key may go; None if as fast as it likes."""
        return self._limits

    @limits.setter
    def limits(self, limits: KeyLimits | None) -> None:
        self._limits = limits
        for level in self._levels.values():
            level.call_back(None)

    def add(self, task: Task) -> None:
        """Let a task wait; if it waits already it is only moved to its place."""
        identity = _identity(task)
        known = self._waiting.get(identity)
        if known is not None:
            if _place(known) == _place(task):
                return
            self._forget(known)
        self._waiting[identity] = task
        level = self._levels.get(task.priority)
        if level is None:
            level = self._levels[task.priority] = _Level()
        self._arrivals += 1
        level.add(task, self._arrivals, self.weights)

    def pop(self, now_ns: int = 0) -> Task | None:
        """Take out the task whose turn it is, of those whose keys may go on; None if there is none."""
        if not self._levels:
            return None
        level = self._levels[min(self._levels)] if self._limits is None else self._next_level(now_ns)
        if level is None:
            return None
        if level.replaced:
            self._clean(level)
        task = level.pop(self.weights)
        if not level.tasks:
            del self._levels[task.priority]
        del self._waiting[_identity(task)]
        return task

    def take_out(self, wanted: Callable[[Task], bool]) -> list[Task]:
        """Take out the tasks that are wanted, in the order in which they came."""
        taken = [task for task in self._waiting.values() if wanted(task)]
        for task in taken:
            self._forget(task)
        return taken

    def drain(self) -> list[Task]:
        """Take out all tasks, in order, whatever their keys may."""
        limits, self.limits = self.limits, None
        tasks = []
        while (task := self.pop()) is not None:
            tasks.append(task)
        self.limits = limits
        return tasks

    @property
    def ready_at_ns(self) -> int:
        """From when on `pop` has a task, as far as the last one has found out; 0 if it may have one now."""
        if self._limits is None:
            return 0
        return min((level.ready_at_ns for level in self._levels.values()), default=0)

    def next_created_ns(self) -> int:
        """When the task whose turn it is was made; 0 if none waits."""
        return self._levels[min(self._levels)].head().created_at_ns if self._levels else 0

    def stats(self) -> Mapping[int, LevelStats]:
        """Counts and ages by priority; only priorities that have tasks."""
        return {priority: level.stats() for priority, level in self._levels.items()}

    def _next_level(self, now_ns: int) -> _Level | None:
        assert self._limits is not None
        for priority in sorted(self._levels):
            level = self._levels[priority]
            level.call_back(now_ns)
            while level.turns:
                self._clean(level)
                if not level.turns or (ready_at_ns := self._limits.ready_at_ns(level.turns[0][2])) <= now_ns:
                    break
                level.set_aside(ready_at_ns)
            if level.turns:
                return level
        return None

    def _is_there(self, entry: _Entry) -> bool:
        return self._waiting.get(_identity(entry[2])) is entry[2]

    def _clean(self, level: _Level) -> None:
        """Make the first entry of the key whose turn it is one that was not replaced."""
        while level.replaced and level.turns:
            key = level.turns[0][2]
            queue = level.queues[key]
            while queue and not self._is_there(queue[0]):
                heappop(queue)
                level.replaced -= 1
            if queue:
                return
            heappop(level.turns)
            del level.queues[key]

    def _forget(self, task: Task) -> None:
        """The task is about to wait elsewhere: what is left of it in its level is passed over, or swept out."""
        del self._waiting[_identity(task)]
        level = self._levels[task.priority]
        level.tasks -= 1
        level.replaced += 1
        if not level.tasks:
            del self._levels[task.priority]
        elif level.replaced > max(level.tasks, _REPLACED_MAX):
            level.keep(self._is_there)


class _Level:
    """The tasks of one priority."""

    __slots__ = ("aside", "queues", "replaced", "tasks", "turns", "virtual_time")

    def __init__(self) -> None:
        self.virtual_time = 0.0
        #: How many wait here, and how many entries there are besides, of tasks that were replaced.
        self.tasks = 0
        self.replaced = 0
        #: Heap of (pass, arrival, fairness key): one entry per key that has tasks. Arrivals break ties.
        self.turns: list[tuple[float, int, str]] = []
        #: Heap of (when the key may go on, its turn), of keys that are not among the turns meanwhile.
        self.aside: list[tuple[int, tuple[float, int, str]]] = []
        #: By fairness key, a heap.
        self.queues: dict[str, list[_Entry]] = {}

    def add(self, task: Task, arrival: int, weights: Mapping[str, float]) -> None:
        self.tasks += 1
        queue = self.queues.get(task.fairness_key)
        if queue is None:
            queue = self.queues[task.fairness_key] = []
            heappush(self.turns, (self.virtual_time + 1.0 / weight_of(task, weights), arrival, task.fairness_key))
        heappush(queue, (task.created_at_ns, arrival, task))

    def pop(self, weights: Mapping[str, float]) -> Task:
        turn, _, key = self.turns[0]
        if turn > self.virtual_time:
            self.virtual_time = turn
        queue = self.queues[key]
        task = heappop(queue)[2]
        if queue:
            _, arrival, head = queue[0]
            # Only the turn of a key that stood aside may be over: it goes on from the virtual time.
            heapreplace(self.turns, (self.virtual_time + 1.0 / weight_of(head, weights), arrival, key))
        else:
            heappop(self.turns)
            del self.queues[key]
        self.tasks -= 1
        return task

    def set_aside(self, ready_at_ns: int) -> None:
        """The key whose turn it is waits until then."""
        heappush(self.aside, (ready_at_ns, heappop(self.turns)))

    def call_back(self, now_ns: int | None) -> None:
        """Let the keys have their turns that may go on by now; None for all."""
        while self.aside and (now_ns is None or self.aside[0][0] <= now_ns):
            heappush(self.turns, heappop(self.aside)[1])

    def keep(self, is_there: Callable[[_Entry], bool]) -> None:
        """Sweep out what was replaced."""
        self.call_back(None)
        for key, queue in list(self.queues.items()):
            queue[:] = filter(is_there, queue)
            if queue:
                heapify(queue)
            else:
                del self.queues[key]
        self.turns = [turn for turn in self.turns if turn[2] in self.queues]
        heapify(self.turns)
        self.replaced = 0

    @property
    def ready_at_ns(self) -> int:
        return 0 if self.turns else self.aside[0][0]

    def head(self) -> Task:
        _, _, key = self.turns[0] if self.turns else self.aside[0][1]
        return self.queues[key][0][2]

    def stats(self) -> LevelStats:
        return LevelStats(tasks=self.tasks, oldest_ns=min(queue[0][0] for queue in self.queues.values()))
