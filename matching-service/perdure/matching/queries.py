"""Queries that wait for a worker's answer, outside of any workflow task."""

from __future__ import annotations

import asyncio
from typing import Any

from temporalio.api.enums.v1 import QueryResultType
from temporalio.api.workflowservice.v1 import QueryWorkflowResponse, RespondQueryTaskCompletedRequest

from perdure.kernel.errors import DeadlineExceeded, InvalidArgument, NotFound, QueryFailed, ServiceError
from perdure.kernel.rpc import QueryTask, TaskObsolete
from perdure.kernel.tokens import QueryToken


class PendingQuery:
    """One attempt to have a query answered by a worker of one queue. Nexus requests wait in the same way."""

    __slots__ = ("answer", "id", "taken", "task")

    def __init__(self, task: Any, query_id: str, answer: asyncio.Future[Any]) -> None:
        self.task = task
        self.id = query_id
        self.answer = answer
        #: Whether a worker has been given it.
        self.taken = False

    def fail(self, error: ServiceError | TaskObsolete) -> None:
        """Let whoever asked have this error; nothing happens if they have something already."""
        if not self.answer.done():
            self.answer.set_exception(error)

    def expire(self) -> None:
        self.fail(DeadlineExceeded("Deadline Exceeded"))


class PendingQueries:
    """The attempts under way, by the id that their task tokens carry."""

    def __init__(self) -> None:
        self._pending: dict[str, PendingQuery] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def open(self, task: QueryTask, query_id: str) -> PendingQuery:
        answer = asyncio.get_running_loop().create_future()
        query = self._pending[query_id] = PendingQuery(task, query_id, answer)
        return query

    def close(self, query: PendingQuery) -> None:
        """Nobody waits for this attempt any more; a late answer is refused."""
        self._pending.pop(query.id, None)

    def complete(self, token: QueryToken, request: RespondQueryTaskCompletedRequest, result_size_max: int) -> None:
        """Deliver the answer of a worker in the token's namespace.

        Raises:
            NotFound: nobody waits for it (any more).
            InvalidArgument: the answer is neither a result nor a failure.
        """
        query = self._pending.get(token.query_id)
        # A token says what whoever shows it likes, also about which query it is of.
        if query is None or query.answer.done() or query.task.key.namespace_id != token.namespace_id:
            raise NotFound("query task not found, or already expired")
        if request.query_result.ByteSize() > result_size_max:
            query.fail(QueryFailed("Blob data size exceeds limit."))
        elif request.completed_type == QueryResultType.QUERY_RESULT_TYPE_ANSWERED:
            query.answer.set_result(QueryWorkflowResponse(query_result=request.query_result))
        elif request.completed_type == QueryResultType.QUERY_RESULT_TYPE_FAILED:
            failure = request.failure if request.HasField("failure") else None
            query.fail(QueryFailed(request.error_message, failure))
        else:
            raise InvalidArgument("CompletedType must be QUERY_RESULT_TYPE_ANSWERED or QUERY_RESULT_TYPE_FAILED.")
        self.close(query)

    def fail_all(self, error: ServiceError) -> None:
        """Nobody will answer any more."""
        for query in self._pending.values():
            query.fail(error)
        self._pending.clear()
