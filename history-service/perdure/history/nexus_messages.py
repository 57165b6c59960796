"""Nexus requests that runs make, and callbacks to those who wait for a run's end.

A request is made until its outcome is recorded on the run that makes it; the same request may reach a worker twice, who
knows it by its request id. The callback of an operation is a letter to the run that started it.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from temporalio.api.common.v1 import Link, Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.nexus.v1 import CancelOperationRequest, Request, StartOperationRequest

from perdure.history.engine import Engine
from perdure.history.kinds.kind import Loaded
from perdure.history.kinds.table import KINDS
from perdure.history.kinds.workflow import LoadedExecution
from perdure.history.machines import nexus_events, nexus_operation, standalone_nexus
from perdure.history.machines.nexus_operation import CancelTooLate, News, TimedOut
from perdure.history.nexus_links import to_event, to_operation
from perdure.history.state.changes import CallbackDelivered
from perdure.history.state.execution import Execution
from perdure.history.state.nexus import CallbackState, CompletionCallback, NexusOperation
from perdure.kernel import mail
from perdure.kernel.call import Call
from perdure.kernel.clock import MILLISECOND_NS
from perdure.kernel.errors import (
    DataLoss,
    DeadlineExceeded,
    NamespaceNotFound,
    NotFound,
    ResourceExhausted,
    Unavailable,
)
from perdure.kernel.ids import ExecutionKey, ExecutionKind, NamespaceId, TaskKind, TaskQueueKey, WorkflowId, WorkflowKey
from perdure.kernel.namespace import DELETED, Namespace
from perdure.kernel.nexus_failures import handler_failure
from perdure.kernel.prototime import timestamp
from perdure.kernel.rpc import HistoryClient, MatchingClient, NexusAnswer, NexusTask

#: Where whoever has started an operation in this installation wants to be told how it ended.
CALLBACK_URL = "temporal://system"
#: By which header of a callback it is known which operation it is for, and its token of whoever handles it.
CALLBACK_TOKEN = "temporal-callback-token"
OPERATION_TOKEN = "nexus-operation-token"
OPERATION_TIMEOUT = "operation-timeout"

#: How what is news of an operation is recorded by what has the operation.
RECORD: Mapping[int, Callable[[Any, NexusOperation, News], None]] = {
    ExecutionKind.WORKFLOW: nexus_events.record,
    ExecutionKind.NEXUS_OPERATION: standalone_nexus.record,
}


def record(tx: Any, operation: NexusOperation, news: list[News]) -> None:
    """Record all news of an operation."""
    for each in news:
        RECORD[tx.state.key.kind](tx, operation, each)


class Caller(msgspec.Struct, frozen=True, array_like=True):
    """Who has started an operation: what a callback's token says. New fields go to the end and have a default."""

    namespace_id: str
    workflow_id: str
    run_id: str
    scheduled_event_id: int
    request_id: str
    kind: int = ExecutionKind.WORKFLOW


_caller = msgspec.msgpack.Decoder(Caller)


def token_of(caller: Caller) -> str:
    return json.dumps({"v": 1, "d": base64.urlsafe_b64encode(msgspec.msgpack.encode(caller)).decode()})


def caller_of(token: str) -> Caller:
    """Raises ValueError: it is no token of ours."""
    try:
        caller = _caller.decode(base64.urlsafe_b64decode(json.loads(token)["d"]))
    except (LookupError, TypeError, binascii.Error, msgspec.DecodeError, RecursionError) as error:
        raise ValueError("invalid callback token") from error
    if caller.kind not in RECORD:
        raise ValueError("invalid callback token")
    return caller


class NexusMessages:
    """What the runs of one engine say to handlers of operations, and to those who wait for them."""

    def __init__(self, engine: Engine, history: HistoryClient, matching: MatchingClient) -> None:
        self._engine = engine
        self._history = history
        self._matching = matching
        #: Requests under way: a run that was loaded anew does not know of them.
        self._asking: set[tuple[ExecutionKey, int]] = set()

    async def start(self, key: ExecutionKey, scheduled_event_id: int) -> None:
        """Ask a handler to start an operation, and record what came of it."""
        await self._once(key, scheduled_event_id, self._start)

    async def cancel(self, key: ExecutionKey, scheduled_event_id: int) -> None:
        """Ask a handler to cancel an operation, and record what came of it."""
        await self._once(key, scheduled_event_id, self._cancel)

    async def _once(
        self, key: ExecutionKey, scheduled_event_id: int, ask: Callable[[ExecutionKey, int], Awaitable[None]]
    ) -> None:
        if (key, scheduled_event_id) in self._asking:
            return
        self._asking.add((key, scheduled_event_id))
        try:
            await ask(key, scheduled_event_id)
        finally:
            self._asking.discard((key, scheduled_event_id))
        # The news of the start may have brought a wish to cancel while nobody else could ask.
        found = await self._find(key, scheduled_event_id)
        if found is not None and found[1].wants_cancel and ask == self._start:
            await self._once(key, scheduled_event_id, self._cancel)

    async def _start(self, key: ExecutionKey, scheduled_event_id: int) -> None:
        found = await self._find(key, scheduled_event_id)
        if found is None:
            return
        loaded, operation, namespace = found
        now_ns = loaded.now_ns
        if not operation.wants_start or operation.next_attempt_at > now_ns:
            return
        limit_ns, timeout_type = nexus_operation.start_limit(operation, now_ns)
        if limit_ns < nexus_operation.REQUEST_TIMEOUT_NS_MIN:
            pending = operation
            self._decide(namespace, loaded, pending, lambda tx: [TimedOut(timeout_type, attempted=True)])
            await loaded.committed()
            return
        request = _start_request(namespace, loaded, operation, now_ns)
        answer = await self._request(namespace, operation, request, loaded.wall_ns(now_ns + limit_ns))
        found = await self._find(key, scheduled_event_id)
        if found is not None and found[1].wants_start:
            loaded, pending, namespace = found
            self._decide(namespace, loaded, pending, lambda tx: nexus_operation.answer_start(tx, pending, answer))
            await loaded.committed()

    async def _cancel(self, key: ExecutionKey, scheduled_event_id: int) -> None:
        found = await self._find(key, scheduled_event_id)
        if found is None:
            return
        loaded, operation, namespace = found
        now_ns = loaded.now_ns
        if not operation.wants_cancel or nexus_operation.next_attempt_at(operation) > now_ns:
            return
        limit_ns, timeout_type = nexus_operation.cancel_limit(operation, now_ns)
        if limit_ns < nexus_operation.REQUEST_TIMEOUT_NS_MIN:
            pending = operation
            self._decide(namespace, loaded, pending, lambda tx: [CancelTooLate(timeout_type)])
            await loaded.committed()
            return
        request = _cancel_request(operation, now_ns)
        answer = await self._request(namespace, operation, request, loaded.wall_ns(now_ns + limit_ns))
        found = await self._find(key, scheduled_event_id)
        if found is not None and found[1].wants_cancel:
            loaded, pending, namespace = found
            self._decide(namespace, loaded, pending, lambda tx: nexus_operation.answer_cancel(tx, pending, answer))
            await loaded.committed()

    def _decide(
        self,
        namespace: Namespace,
        loaded: Loaded[Any],
        operation: NexusOperation,
        decision: Callable[[nexus_operation.Owner], list[News]],
    ) -> None:
        self._engine.decide(namespace, loaded, lambda tx: record(tx, operation, decision(tx)))

    async def _find(
        self, key: ExecutionKey, scheduled_event_id: int
    ) -> tuple[Loaded[Any], NexusOperation, Namespace] | None:
        """The run and its operation; None if one of them has ended. It is so until the next await."""
        namespace = await self._engine.namespace_of(key)
        loaded = await self._engine.shard_of(key.workflow).find(KINDS[key.kind], key)
        if loaded is None or not loaded.state.running:
            return None
        operation = loaded.state.operations.get(scheduled_event_id)
        return None if operation is None else (loaded, operation, namespace)

    async def _request(
        self, caller: Namespace, operation: NexusOperation, request: Request, deadline_ns: int
    ) -> NexusAnswer:
        """What the handler says, or why there is no handler that says anything."""
        scheduled, endpoints = operation.scheduled, self._engine.endpoints
        endpoint = await endpoints.by_id(scheduled.endpoint_id)
        if endpoint is None:
            # Removed, and perhaps made anew.
            endpoint = await endpoints.by_name(caller.account_id, scheduled.endpoint)
        if endpoint is None or not endpoint.may_be_called_by(caller):
            return NexusAnswer(failure=handler_failure("NOT_FOUND", "endpoint not registered"))
        request.endpoint = endpoint.name
        try:
            target = await self._engine.directory.by_id(endpoint.namespace_id)
            if target.state == DELETED:
                raise NamespaceNotFound(target.name)
            queue = TaskQueueKey(target.id, endpoint.task_queue, TaskKind.NEXUS)
            return await self._matching.dispatch(Call(target, deadline_ns), NexusTask(queue, request))
        except NamespaceNotFound:
            return NexusAnswer(failure=handler_failure("NOT_FOUND", "namespace not found"))
        except DeadlineExceeded:
            return NexusAnswer(failure=handler_failure("UPSTREAM_TIMEOUT", "upstream timeout"))
        except ResourceExhausted:
            return NexusAnswer(failure=handler_failure("RESOURCE_EXHAUSTED", "resource exhausted"))
        except Unavailable:
            return NexusAnswer(failure=handler_failure("UNAVAILABLE", "service unavailable"))

    async def deliver_callback(self, key: ExecutionKey, index: int) -> None:
        """Tell whoever has attached this callback how the run ended, once."""
        namespace = await self._engine.namespace_of(key)
        loaded = await self._engine.shard_of(key.workflow).find(LoadedExecution, key)
        if loaded is None or index >= len(loaded.state.callbacks):
            return
        callback = loaded.state.callbacks[index]
        if callback.state is not CallbackState.SCHEDULED:
            return
        failure = None
        try:
            to, letter = _letter(namespace, loaded.state, callback)
            if (await self._engine.directory.by_id(to.namespace_id)).account_id != namespace.account_id:
                # Whoever attached it made up the token, or found it: endpoints are never called from other accounts.
                raise NotFound("operation not found")
            await self._history.deliver(to, letter)
        except ValueError as error:
            failure = handler_failure("BAD_REQUEST", str(error))
        except (NotFound, NamespaceNotFound, DataLoss):
            # Nobody waits for it any more.
            failure = handler_failure("NOT_FOUND", "operation not found")
        loaded = await self._engine.shard_of(key.workflow).find(LoadedExecution, key)
        if loaded is None or loaded.state.callbacks[index].state is not CallbackState.SCHEDULED:
            return
        self._engine.decide(namespace, loaded, lambda tx: tx.change(CallbackDelivered(index, tx.now, failure)))
        await loaded.committed()


def _start_request(namespace: Namespace, loaded: Loaded[Any], operation: NexusOperation, now_ns: int) -> Request:
    scheduled = operation.scheduled
    key, kind, workflow_id = operation.scheduled_event_id, loaded.kind, loaded.key.workflow_id
    if kind is ExecutionKind.WORKFLOW:
        run_id = loaded.state.recorded_by(key)
        link = to_event(namespace.name, workflow_id, run_id, key, EventType.EVENT_TYPE_NEXUS_OPERATION_SCHEDULED)
    else:
        run_id = loaded.key.run_id
        link = to_operation(namespace.name, workflow_id, run_id)
    caller = Caller(namespace.id, workflow_id, run_id, key, scheduled.request_id, kind)
    start = StartOperationRequest(
        service=scheduled.service,
        operation=scheduled.operation,
        request_id=scheduled.request_id,
        callback=CALLBACK_URL,
        callback_header={CALLBACK_TOKEN: token_of(caller)},
        payload=scheduled.input if scheduled.HasField("input") else None,
        links=[link],
    )
    request = Request(header=scheduled.nexus_header, scheduled_time=timestamp(now_ns), start_operation=start)
    request.capabilities.temporal_failure_responses = True
    time_ns = nexus_operation.time_for_operation(operation, now_ns)
    if time_ns and OPERATION_TIMEOUT not in request.header:
        request.header[OPERATION_TIMEOUT] = f"{time_ns // MILLISECOND_NS}ms"
    return request


def _cancel_request(operation: NexusOperation, now_ns: int) -> Request:
    scheduled = operation.scheduled
    cancel = CancelOperationRequest(
        service=scheduled.service,
        operation=scheduled.operation,
        operation_id=operation.token,
        operation_token=operation.token,
    )
    request = Request(header=scheduled.nexus_header, scheduled_time=timestamp(now_ns), cancel_operation=cancel)
    request.capabilities.temporal_failure_responses = True
    return request


def _letter(
    namespace: Namespace, state: Execution, callback: CompletionCallback
) -> tuple[WorkflowKey, mail.OperationClosed]:
    """Raises ValueError: the callback has no token of ours."""
    header = callback.callback.nexus.header
    caller = caller_of(header.get(CALLBACK_TOKEN, ""))
    assert state.close_event is not None
    failure, canceled = _failure(state.close_event)
    letter = mail.OperationClosed(
        run_id=caller.run_id,
        scheduled_event_id=caller.scheduled_event_id,
        request_id=caller.request_id,
        operation_token=header.get(OPERATION_TOKEN, ""),
        started_at=state.started_at,
        links=[_link(namespace, state, callback)],
        result=None if failure is not None else _result(state.close_event),
        failure=failure,
        canceled=canceled,
    )
    to = WorkflowKey(NamespaceId(caller.namespace_id), WorkflowId(caller.workflow_id), ExecutionKind(caller.kind))
    return to, letter


def _link(namespace: Namespace, state: Execution, callback: CompletionCallback) -> Link:
    """To the event by which the callback came to the run."""
    link = Link.WorkflowEvent(namespace=namespace.name, workflow_id=state.workflow_id, run_id=state.run_id)
    if callback.request_id:
        link.request_id_ref.request_id = callback.request_id
        link.request_id_ref.event_type = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED
    else:
        link.event_ref.event_id = 1
        link.event_ref.event_type = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
    return Link(workflow_event=link)


def _result(close_event: HistoryEvent) -> Payload | None:
    """An operation has one result, and so has a workflow of any SDK."""
    payloads = close_event.workflow_execution_completed_event_attributes.result.payloads
    return payloads[0] if payloads else None


def _failure(close_event: HistoryEvent) -> tuple[Failure | None, bool]:
    """Why the workflow has no result, and whether that is because it was canceled."""
    kind = close_event.event_type
    if kind == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
        return None, False
    if kind == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
        return close_event.workflow_execution_failed_event_attributes.failure, False
    if kind == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED:
        canceled = Failure(message="operation canceled")
        canceled.canceled_failure_info.details.CopyFrom(
            close_event.workflow_execution_canceled_event_attributes.details
        )
        return canceled, True
    if kind == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT:
        timed_out = Failure(message="operation exceeded internal timeout")
        timed_out.timeout_failure_info.SetInParent()
        return timed_out, False
    terminated = Failure(message="operation terminated")
    terminated.terminated_failure_info.SetInParent()
    return terminated, False
