"""RespondWorkflowTaskCompleted, RespondWorkflowTaskFailed, and the start of a workflow task."""

from __future__ import annotations

from collections.abc import Mapping

from temporalio.api.enums.v1 import TaskQueueKind, WorkflowTaskFailedCause
from temporalio.api.query.v1 import WorkflowQueryResult
from temporalio.api.workflowservice.v1 import (
    PollWorkflowTaskQueueRequest,
    PollWorkflowTaskQueueResponse,
    RespondWorkflowTaskCompletedRequest,
    RespondWorkflowTaskCompletedResponse,
    RespondWorkflowTaskFailedRequest,
    RespondWorkflowTaskFailedResponse,
)

from perdure.history import commands, completion, metering, tasks
from perdure.history.effects import OfferWorkflowTask
from perdure.history.engine import Engine
from perdure.history.kinds.workflow import LoadedExecution, PendingQuery
from perdure.history.machines import update, versioning, workflow, workflow_task
from perdure.history.state.versioning import of_worker
from perdure.history.transition import Transition
from perdure.kernel import tokens
from perdure.kernel.call import Call
from perdure.kernel.deployments.records import VersionQueue
from perdure.kernel.errors import InvalidArgument, NotFound, NotOwner
from perdure.kernel.ids import NamespaceId, NamespaceName, TaskKind
from perdure.kernel.metering.actions import QUERY
from perdure.kernel.namespace import Namespace
from perdure.kernel.nexus import NexusEndpoint
from perdure.kernel.rpc import Task, TaskObsolete


async def respond_workflow_task_completed(
    engine: Engine, call: Call, request: RespondWorkflowTaskCompletedRequest
) -> RespondWorkflowTaskCompletedResponse:
    """Carry out a worker's commands, all or none."""
    token = tokens.decode_workflow_task(request.task_token, NamespaceId(call.namespace_id))
    commands.check_sequence(request.commands)
    namespaces = await _named_namespaces(engine, call.namespace, request)
    endpoints = await _named_endpoints(engine, call.namespace, request)
    loaded = await engine.get(call, token.workflow_id, token.run_id)
    try:
        done = engine.decide(
            call.namespace, loaded, lambda tx: completion.complete(tx, token, request, namespaces, endpoints)
        )
    except commands.CommandFailure as failure:
        await _fail(engine, call, token, request, failure)
        raise InvalidArgument(str(failure)) from failure
    answered = _take_answered(loaded, request.query_results)
    asked = sum(1 for pending, _ in answered if not metering.is_free(pending.query))
    counted = loaded.shard.count(loaded, {QUERY: asked}) if asked else None
    try:
        await loaded.committed()
        if counted is not None:
            await counted.wait()
    except BaseException:
        _ask_again(loaded, answered)
        raise
    for pending, answer in answered:
        if not pending.answer.done():
            pending.answer.set_result(answer)
    # What was not asked yet travels with the next task, or by itself if there is none.
    if loaded.state.workflow_task is None:
        loaded.release_queries()
    if done.heartbeat_timed_out:
        raise NotFound("workflow task heartbeat timeout")
    response = RespondWorkflowTaskCompletedResponse(reset_history_event_id=done.reset_history_event_id)
    for activity in done.activities:
        response.activity_tasks.append(tasks.activity_task(call.namespace, loaded.state, activity))
    if done.task is not None:
        shard = loaded.shard
        response.workflow_task.CopyFrom(
            await tasks.workflow_task(shard, loaded, done.task, done.messages, partial=True)
        )
    return response


async def _named_namespaces(
    engine: Engine, own: Namespace, request: RespondWorkflowTaskCompletedRequest
) -> Mapping[str, Namespace]:
    """The namespaces that commands name, resolved before the decision, which cannot wait. Those of tenants are not even
    looked for.
    """
    namespaces: dict[str, Namespace] = {}
    if own.account_id:
        return namespaces
    for command in request.commands:
        field = command.WhichOneof("attributes")
        name = getattr(getattr(command, field), "namespace", "") if field else ""
        if name and name not in namespaces:
            namespaces[name] = await engine.directory.by_name(NamespaceName(name))
    return namespaces


async def _named_endpoints(
    engine: Engine, own: Namespace, request: RespondWorkflowTaskCompletedRequest
) -> Mapping[str, NexusEndpoint]:
    """The Nexus endpoints that commands name, as far as there are such."""
    endpoints: dict[str, NexusEndpoint] = {}
    for command in request.commands:
        name = command.schedule_nexus_operation_command_attributes.endpoint
        if name and name not in endpoints:
            found = await engine.endpoints.by_name(own.account_id, name)
            if found is not None:
                endpoints[name] = found
    return endpoints


async def _fail(
    engine: Engine,
    call: Call,
    token: tokens.WorkflowTaskToken,
    request: RespondWorkflowTaskCompletedRequest,
    failure: commands.CommandFailure,
) -> None:
    loaded = await engine.get(call, token.workflow_id, token.run_id)
    engine.decide(
        call.namespace,
        loaded,
        lambda tx: completion.fail(tx, token, failure, request.identity, request.binary_checksum),
    )
    await loaded.committed()


def _take_answered(
    loaded: LoadedExecution, results: Mapping[str, WorkflowQueryResult]
) -> list[tuple[PendingQuery, WorkflowQueryResult]]:
    """The queries that the worker has answered, which wait no more. They are told once the completion is durable."""
    return [
        (loaded.queries.pop(query_id), results[query_id]) for query_id in list(loaded.queries) if query_id in results
    ]


def _ask_again(loaded: LoadedExecution, answered: list[tuple[PendingQuery, WorkflowQueryResult]]) -> None:
    """The worker has gone away, or the run is lost, before the completion was durable: nobody else will answer."""
    for pending, _ in answered:
        if pending.answer.done():
            continue
        if loaded.shard.closed:
            pending.answer.set_exception(NotOwner("the execution"))
        else:
            pending.answer.set_result(None)
    if loaded.state.workflow_task is None:
        loaded.release_queries()


async def respond_workflow_task_failed(
    engine: Engine, call: Call, request: RespondWorkflowTaskFailedRequest
) -> RespondWorkflowTaskFailedResponse:
    """The worker could not process the task: another attempt follows."""
    token = tokens.decode_workflow_task(request.task_token, NamespaceId(call.namespace_id))

    def fail(tx: Transition) -> None:
        if not tx.state.running:
            raise workflow.already_completed()
        task = workflow_task.of_token(tx.state, token)
        if request.cause == WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_GRPC_MESSAGE_TOO_LARGE:
            name = WorkflowTaskFailedCause.Name(request.cause).removeprefix("WORKFLOW_TASK_FAILED_CAUSE_")
            reason = commands.camel_case(name)
            workflow.terminate(tx, reason, None, workflow.SERVER_IDENTITY)
            return
        workflow_task.fail(
            tx,
            task,
            request.cause,
            request.failure if request.HasField("failure") else None,
            request.identity,
            request.binary_checksum,
        )
        workflow_task.schedule(tx)

    loaded, _ = await engine.update(call, token.workflow_id, token.run_id, fail)
    for pending in loaded.queries.values():
        pending.sent = False
    return RespondWorkflowTaskFailedResponse()


async def start_workflow_task(
    engine: Engine, call: Call, task: Task, request: PollWorkflowTaskQueueRequest
) -> PollWorkflowTaskQueueResponse:
    """A worker takes a workflow task: record it, and hand out what the worker needs.

    Raises:
        TaskObsolete: the task is not to be had any more.
    """
    try:
        loaded = await engine.get(call, task.key.workflow_id, task.key.run_id)
    except NotFound:
        raise TaskObsolete from None
    # The start is not written by itself, so no commit finds out.
    engine.check_newest(loaded.shard, task.epoch)
    worker = of_worker(request.deployment_options)
    if versioning.wants_other_worker(loaded.state, worker):
        engine.decide(call.namespace, loaded, lambda tx: tx.effect(OfferWorkflowTask()))
        raise TaskObsolete
    routing = engine.deployments.routing(loaded.key.namespace_id, _queue_of(loaded))
    target = routing.target(loaded.key.workflow_id)

    def start(tx: Transition) -> completion.Completion:
        started = workflow_task.start(
            tx,
            request.identity,
            tx.entropy.uuid(),
            task.scheduled_event_id,
            task.stamp,
            version_changed=versioning.target_changed(tx.state, target),
        )
        versioning.task_started(tx, started, worker, target, routing.revision)
        return completion.Completion(task=started, messages=update.send(tx, started))

    started = engine.decide(call.namespace, loaded, start, put_off=True)
    assert started.task is not None
    # What the worker is going to see has to be there to stay.
    await loaded.committed()
    partial = request.task_queue.kind == TaskQueueKind.TASK_QUEUE_KIND_STICKY
    shard = loaded.shard
    return await tasks.workflow_task(shard, loaded, started.task, started.messages, partial=partial)


def _queue_of(loaded: LoadedExecution) -> VersionQueue:
    return VersionQueue(loaded.state.task_queue, TaskKind.WORKFLOW)
