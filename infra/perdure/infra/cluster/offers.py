"""Tasks on their way to the owners of their queues."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Protocol

from perdure.kernel.errors import ServiceError
from perdure.kernel.ids import TaskQueueKey
from perdure.kernel.membership import Member
from perdure.kernel.rpc import Task

#: Tasks on their way to one process. What is beyond is dropped, and asked for again when there is room.
_WAITING_MAX = 20_000
#: Tasks in one message.
_PER_CALL_MAX = 500
_RETRY_S = 0.1


class Acceptor(Protocol):
    """Matching in another process."""

    async def accept(self, tasks: Sequence[Task]) -> list[Task]:
        """Take tasks in, and return those that have to go elsewhere."""
        ...


class Offers:
    """Sends tasks, many at a time, until they are taken in or whoever should have them is gone.

    `at` is how a member is reached, `is_there` says whether it still is one, `again` takes tasks that belong elsewhere,
    `look` is called when something has changed, and `refill` has tasks of a queue offered again that were dropped.
    """

    def __init__(
        self,
        at: Callable[[Member], Acceptor],
        is_there: Callable[[Member], bool],
        again: Callable[[Task], None],
        look: Callable[[], None],
        refill: Callable[[TaskQueueKey], None],
    ) -> None:
        self._at = at
        self._is_there = is_there
        self._again = again
        self._look = look
        self._refill = refill
        self._waiting: defaultdict[str, list[Task]] = defaultdict(list)
        self._sending: dict[str, asyncio.Task[None]] = {}
        #: Queues of which tasks were dropped.
        self._dropped: defaultdict[str, set[TaskQueueKey]] = defaultdict(set)

    def put(self, member: Member, task: Task) -> None:
        waiting = self._waiting[member.id]
        if len(waiting) >= _WAITING_MAX:
            self._dropped[member.id].add(task.queue.root)
            return
        waiting.append(task)
        if member.id not in self._sending:
            self._sending[member.id] = asyncio.get_running_loop().create_task(self._send_all(member))

    async def stop(self) -> None:
        sending = list(self._sending.values())
        for task in sending:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)

    async def _send_all(self, member: Member) -> None:
        try:
            # Whatever comes together in one turn of the loop travels together.
            await asyncio.sleep(0)
            while tasks := self._waiting.pop(member.id, None):
                for start in range(0, len(tasks), _PER_CALL_MAX):
                    await self._send(member, tasks[start : start + _PER_CALL_MAX])
            for queue in self._dropped.pop(member.id, ()):
                self._refill(queue)
        finally:
            del self._sending[member.id]

    async def _send(self, member: Member, tasks: Sequence[Task]) -> None:
        while self._is_there(member):
            try:
                foreign = await self._at(member).accept(tasks)
            except ServiceError:
                foreign = None
            if foreign == []:
                return
            # Somebody's view is old, ours or that of the other side: neither gets newer by asking at once.
            self._look()
            await asyncio.sleep(_RETRY_S)
            if foreign:
                tasks = foreign
                break
        # If the member is gone, history has offered its tasks anew, but perhaps before we were handed these.
        for task in tasks:
            self._again(task)
