"""What executions send each other, wherever their shards are: starts, signals, requests to end, and outcomes.

A letter is delivered to the owner of its addressee's shard, at least once: addressees know repetitions by an id or
origin inside. Evolution rule: new fields go to the end and have a default, since processes of two versions may talk.
"""

from __future__ import annotations

import msgspec
from temporalio.api.common.v1 import Link, Payload, Payloads, WorkflowExecution
from temporalio.api.deployment.v1 import WorkerDeploymentVersion
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import (
    RequestCancelWorkflowExecutionRequest,
    SignalWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
    TerminateWorkflowExecutionRequest,
)


class Parent(msgspec.Struct, frozen=True, array_like=True):
    """Who started a child."""

    namespace: str
    namespace_id: str
    execution: WorkflowExecution
    initiated_event_id: int
    root: WorkflowExecution
    #: Which version of their workers the child is to begin with, and how it is bound to that; 0 if it inherits none.
    version: WorkerDeploymentVersion | None = None
    behavior: int = 0
    revision: int = 0
    #: How far its clock was ahead when it decided to start the child (ns).
    ahead_ns: int = 0


class ScheduledBy(msgspec.Struct, frozen=True):
    """The action of a schedule that started a chain of runs. Stored."""

    schedule_id: str
    run_id: str
    action_id: int


class StartChild(msgspec.Struct, frozen=True, array_like=True, tag="start child"):
    """Start a workflow as a child. The reply is its run id."""

    request: StartWorkflowExecutionRequest
    parent: Parent


class Signal(msgspec.Struct, frozen=True, array_like=True, tag="signal"):
    """`child_of`: only if the addressee is a child of this parent."""

    request: SignalWorkflowExecutionRequest
    sender: WorkflowExecution
    child_of: WorkflowExecution | None = None


class RequestCancel(msgspec.Struct, frozen=True, array_like=True, tag="request cancel"):
    """The requester and its event are given if a workflow asks."""

    request: RequestCancelWorkflowExecutionRequest
    requester: WorkflowExecution | None = None
    initiated_event_id: int = 0
    child_of: WorkflowExecution | None = None


class Terminate(msgspec.Struct, frozen=True, array_like=True, tag="terminate"):
    request: TerminateWorkflowExecutionRequest
    child_of: WorkflowExecution | None = None


class ChildClosed(msgspec.Struct, frozen=True, array_like=True, tag="child closed"):
    """To the parent's run `run_id`: how the child that its event started has ended."""

    run_id: str
    initiated_event_id: int
    child: WorkflowExecution
    close_event: HistoryEvent


class StartScheduled(msgspec.Struct, frozen=True, array_like=True, tag="start scheduled"):
    """Start a workflow for a schedule's action. The reply is the first run of its chain, which may have ended."""

    request: StartWorkflowExecutionRequest
    origin: ScheduledBy


class FindScheduled(msgspec.Struct, frozen=True, array_like=True, tag="find scheduled"):
    """The reply is the run id of the workflow's current run if this action started its chain, else empty."""

    origin: ScheduledBy


class ActionClosed(msgspec.Struct, frozen=True, array_like=True, tag="action closed"):
    """To the schedule's run `run_id`: how the chain of runs that its action started has ended."""

    run_id: str
    action_id: int
    workflow_id: str
    first_run_id: str
    status: int
    result: Payloads | None = None
    failure: Failure | None = None


class OperationClosed(msgspec.Struct, frozen=True, array_like=True, tag="operation closed"):
    """To the caller's run `run_id`: how the Nexus operation has ended that its event scheduled, with this request id.

    `started_at` and `links` are for a caller who does not know yet that it has started.
    """

    run_id: str
    scheduled_event_id: int
    request_id: str
    operation_token: str
    started_at: int
    links: list[Link]
    result: Payload | None = None
    failure: Failure | None = None
    canceled: bool = False


Letter = (
    StartChild
    | Signal
    | RequestCancel
    | Terminate
    | ChildClosed
    | StartScheduled
    | FindScheduled
    | ActionClosed
    | OperationClosed
)
