"""How roles reach each other. In one process these are function calls; between processes, gRPC.

History and matching implement their part of WorkflowService behind the gateway under its own request messages
(`handle`); only what the public API lacks has a method of its own here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from google.protobuf.message import Message
from temporalio.api.failure.v1 import Failure
from temporalio.api.nexus.v1 import Request as NexusRequest
from temporalio.api.nexus.v1 import Response as NexusResponse
from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.workflowservice.v1 import (
    PollActivityTaskQueueRequest,
    PollActivityTaskQueueResponse,
    PollWorkflowTaskQueueRequest,
    PollWorkflowTaskQueueResponse,
    QueryWorkflowResponse,
)

from perdure.kernel.call import Call
from perdure.kernel.ids import ExecutionKey, TaskKind, TaskQueueKey, WorkflowKey
from perdure.kernel.mail import Letter


class Task(NamedTuple):
    """A hint to matching that an execution has a task to hand out; checked against history's state when it starts.

    `scheduled_event_id` and `stamp` say which task of the execution (the stamp changes with each attempt).
    `queue` is where to offer it. `priority` is 1 (first) to 5, default 3; `created_at_ns` is for age and rate.
    """

    queue: TaskQueueKey
    key: ExecutionKey
    scheduled_event_id: int
    stamp: int
    created_at_ns: int
    priority: int = 3
    fairness_key: str = ""
    fairness_weight: float = 1.0
    #: Where to go instead when `queue` is sticky and no worker has polled it lately.
    normal_queue: str = ""
    #: That of the shard's owner who offers it. An owner of before, who may not know yet, is not to start it: his start
    #: would be lost, and the task with it.
    epoch: int = 0
    #: Of its execution: which version of its workers it belongs to, as text, and how it is bound to that.
    version: str = ""
    behavior: int = 0


class TaskObsolete(Exception):
    """The task was a stale hint: drop it and look for another."""


class StickyWorkerUnavailable(Exception):
    """The worker of a sticky queue is gone, or did not answer in time: ask on the normal queue."""


@dataclass(frozen=True, slots=True)
class QueryTask:
    """A query on its way to a worker outside of any workflow task.

    `sticky_timeout_ns` is set when `queue` is sticky: how long its worker may take. `query_id` is history's name for
    the query, however often it is on its way.
    """

    queue: TaskQueueKey
    key: ExecutionKey
    query: WorkflowQuery
    sticky_timeout_ns: int = 0
    query_id: str = ""
    #: As in `Task`.
    version: str = ""
    behavior: int = 0


@dataclass(frozen=True, slots=True)
class NexusTask:
    """A Nexus request on its way to a worker of `queue`. Nothing keeps it but whoever waits for the answer."""

    queue: TaskQueueKey
    request: NexusRequest


@dataclass(frozen=True, slots=True)
class NexusAnswer:
    """What a worker says to a Nexus request: a response, or the failure of its handler."""

    response: NexusResponse | None = None
    failure: Failure | None = None


class HistoryClient(Protocol):
    """What the gateway and matching ask of the owner of an execution."""

    async def handle(self, rpc: str, call: Call, request: Message) -> Message:
        """Serve one public RPC that belongs to history.

        Raises:
            ServiceError: as the RPC documents.
        """
        ...

    async def start_workflow_task(
        self, call: Call, task: Task, request: PollWorkflowTaskQueueRequest
    ) -> PollWorkflowTaskQueueResponse:
        """Record that this poller starts the workflow task, and build what it needs.

        Raises:
            TaskObsolete: the task is gone, done, or started by somebody else.
        """
        ...

    async def start_activity_task(
        self, call: Call, task: Task, request: PollActivityTaskQueueRequest, request_id: str = ""
    ) -> PollActivityTaskQueueResponse:
        """Record durably that this poller starts the activity task, and build what it needs.

        With a `request_id`, asking again is the same start: an attempt may be the only one that there is.

        Raises:
            TaskObsolete: as above.
        """
        ...

    async def query_task(
        self, call: Call, task: QueryTask, request: PollWorkflowTaskQueueRequest
    ) -> PollWorkflowTaskQueueResponse:
        """Build the workflow task that carries only this query (token is filled in by matching).

        Raises:
            TaskObsolete: the query is not to go by itself any more; whoever asked gets this error.
            ServiceError: the query cannot be served; whoever asked gets this error.
        """
        ...

    async def deliver(self, to: WorkflowKey, letter: Letter) -> str:
        """Hand a letter to an execution, durably; see `perdure.kernel.mail` for what is replied.

        Raises:
            ServiceError: the addressee cannot or does not want to have it.
        """
        ...

    def redispatch(self, queue: TaskQueueKey) -> None:
        """Offer again, oldest first, every task of this queue that has not started, from durable records.

        Matching asks for it once a queue that had more tasks than it may hold in memory has nearly run dry. Never
        blocks: the offers follow later. Tasks that matching still holds may be among them; it recognises those.
        """
        ...


class MatchingClient(Protocol):
    """What history and the gateway ask of the owner of a task queue."""

    def offer(self, task: Task) -> None:
        """Hand over a task. Never blocks and never fails: history keeps its own record until the task starts."""
        ...

    async def query(self, call: Call, task: QueryTask) -> QueryWorkflowResponse:
        """Hand a query to a worker of its queue and wait for the answer, at most until the call's deadline.

        Raises:
            QueryFailed: the worker answered with a failure.
            StickyWorkerUnavailable: the queue is sticky, and the deadline has not passed.
            TaskObsolete: as `HistoryClient.query_task` said.
            FailedPrecondition: no worker polls the queue.
            DeadlineExceeded: none answered in time.
        """
        ...

    async def dispatch(self, call: Call, task: NexusTask) -> NexusAnswer:
        """Hand a Nexus request to a worker of its queue and wait for the answer, until the call's deadline, which is
        set.

        Raises:
            DeadlineExceeded: none answered in time.
            ResourceExhausted: too many requests wait.
            Unavailable: the queue is moving; a worker may have the request all the same.
        """
        ...

    async def handle(self, rpc: str, call: Call, request: Message) -> Message:
        """Serve one public RPC that belongs to matching: polls, query answers, task queue descriptions."""
        ...


__all__ = [
    "HistoryClient",
    "MatchingClient",
    "NexusAnswer",
    "NexusTask",
    "QueryTask",
    "StickyWorkerUnavailable",
    "Task",
    "TaskKind",
    "TaskObsolete",
]
