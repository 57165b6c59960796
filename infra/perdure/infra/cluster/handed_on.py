"""PURE: which processes were handed tasks on lately, by one that had been offered them itself."""

from __future__ import annotations

from collections.abc import Collection

from perdure.kernel.clock import SECOND_NS
from perdure.kernel.ids import TaskQueueKey

#: After this long everybody has heard who was there when a task was handed on.
_HEARD_NS = 20 * SECOND_NS


class HandedOn:
    """History offers tasks again when it hears that whoever it thinks has them is gone. It may have known that of a
    process before this one did, which handed a task on to it all the same: then only this one can tell.
    """

    def __init__(self) -> None:
        #: By member and root of the queue: the last time, the longest ago first.
        self._at_ns: dict[tuple[str, TaskQueueKey], int] = {}

    def note(self, member_id: str, queue: TaskQueueKey, now_ns: int) -> None:
        """A task of the queue was handed on to that member."""
        self._forget(now_ns)
        key = member_id, queue.root
        self._at_ns.pop(key, None)
        self._at_ns[key] = now_ns

    def lost(self, members: Collection[str], now_ns: int) -> list[TaskQueueKey]:
        """The roots of the queues of which a task may have gone with whoever is not among these members any more."""
        self._forget(now_ns)
        gone = [key for key in self._at_ns if key[0] not in members]
        for key in gone:
            del self._at_ns[key]
        return list(dict.fromkeys(queue for _, queue in gone))

    def _forget(self, now_ns: int) -> None:
        while self._at_ns:
            key = next(iter(self._at_ns))
            if self._at_ns[key] >= now_ns - _HEARD_NS:
                return
            del self._at_ns[key]
