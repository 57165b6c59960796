"""Nexus requests that wait for a worker's answer. Nobody keeps them but whoever waits: there is no backlog."""

from __future__ import annotations

import asyncio

from perdure.kernel.errors import NotFound, ServiceError
from perdure.kernel.rpc import NexusAnswer, NexusTask
from perdure.kernel.tokens import NexusToken
from perdure.matching.queries import PendingQuery


class PendingNexusTask(PendingQuery):
    """One request. `deadline_ns` is when whoever made it stops waiting."""

    __slots__ = ("deadline_ns",)

    task: NexusTask
    answer: asyncio.Future[NexusAnswer]

    def __init__(self, task: NexusTask, task_id: str, deadline_ns: int) -> None:
        super().__init__(task, task_id, asyncio.get_running_loop().create_future())
        self.deadline_ns = deadline_ns


class PendingNexusTasks:
    """The requests under way, by the id that their task tokens carry."""

    def __init__(self) -> None:
        self._pending: dict[str, PendingNexusTask] = {}

    def open(self, task: NexusTask, task_id: str, deadline_ns: int) -> PendingNexusTask:
        pending = self._pending[task_id] = PendingNexusTask(task, task_id, deadline_ns)
        return pending

    def close(self, pending: PendingNexusTask) -> None:
        """Nobody waits for it any more; a late answer is refused."""
        self._pending.pop(pending.id, None)

    def complete(self, token: NexusToken, answer: NexusAnswer) -> None:
        """Deliver the answer of a worker in the token's namespace.

        Raises:
            NotFound: nobody waits for it (any more).
        """
        pending = self._pending.get(token.task_id)
        # A token says what whoever shows it likes, also about which request it is of.
        if pending is None or pending.answer.done() or pending.task.queue.namespace_id != token.namespace_id:
            raise NotFound("Nexus task not found or already expired")
        pending.answer.set_result(answer)
        self.close(pending)

    def fail_all(self, error: ServiceError) -> None:
        """Nobody will answer any more."""
        for pending in self._pending.values():
            pending.fail(error)
        self._pending.clear()
