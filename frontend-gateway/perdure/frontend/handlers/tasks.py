"""Answers of workers whose payload is too large: the execution gets a failure that says so, instead of the payload.

Refusing the call would leave the task to time out and to fail the same way in each attempt.
"""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.message import Message
from temporalio.api.failure.v1 import Failure
from temporalio.api.workflowservice.v1 import (
    RecordActivityTaskHeartbeatByIdRequest,
    RecordActivityTaskHeartbeatByIdResponse,
    RecordActivityTaskHeartbeatRequest,
    RecordActivityTaskHeartbeatResponse,
    RespondActivityTaskCanceledByIdRequest,
    RespondActivityTaskCanceledByIdResponse,
    RespondActivityTaskCanceledRequest,
    RespondActivityTaskCanceledResponse,
    RespondActivityTaskCompletedByIdRequest,
    RespondActivityTaskCompletedByIdResponse,
    RespondActivityTaskCompletedRequest,
    RespondActivityTaskCompletedResponse,
    RespondActivityTaskFailedByIdRequest,
    RespondActivityTaskFailedByIdResponse,
    RespondActivityTaskFailedRequest,
    RespondActivityTaskFailedResponse,
    RespondWorkflowTaskFailedRequest,
)

from perdure.frontend.pipeline import NamespacedHandler
from perdure.kernel.call import Call
from perdure.kernel.limits import Limits
from perdure.kernel.rpc import HistoryClient

RESULT_TOO_LARGE = "Complete result exceeds size limit."
DETAILS_TOO_LARGE = "Cancel details exceed size limit."
HEARTBEAT_TOO_LARGE = "Heartbeat details exceed size limit."
FAILURE_TOO_LARGE = "Failure exceeds size limit."
#: How much of the message and stack trace of a failure that is too large is kept.
FAILURE_TEXT_LENGTH_MAX = 4_000

_ByTokenRequest = (
    RecordActivityTaskHeartbeatRequest | RespondActivityTaskCompletedRequest | RespondActivityTaskCanceledRequest
)
_ByIdRequest = (
    RecordActivityTaskHeartbeatByIdRequest
    | RespondActivityTaskCompletedByIdRequest
    | RespondActivityTaskCanceledByIdRequest
)


class WorkerAnswers:
    """Stands before history for those RPCs that carry a worker's payload."""

    def __init__(self, history: HistoryClient, limits: Limits) -> None:
        self._history = history
        self._blob_size_max = limits.blob_size_max
        self.handlers: Mapping[str, NamespacedHandler] = {
            "RecordActivityTaskHeartbeat": self._heartbeat,
            "RecordActivityTaskHeartbeatById": self._heartbeat,
            "RespondActivityTaskCompleted": self._completed,
            "RespondActivityTaskCompletedById": self._completed,
            "RespondActivityTaskCanceled": self._canceled,
            "RespondActivityTaskCanceledById": self._canceled,
            "RespondActivityTaskFailed": self._failed,
            "RespondActivityTaskFailedById": self._failed,
            "RespondWorkflowTaskFailed": self._workflow_task_failed,
        }

    async def _heartbeat(
        self, rpc: str, call: Call, request: RecordActivityTaskHeartbeatRequest | RecordActivityTaskHeartbeatByIdRequest
    ) -> Message:
        if request.details.ByteSize() <= self._blob_size_max:
            return await self._history.handle(rpc, call, request)
        await self._fail_instead(call, request, HEARTBEAT_TOO_LARGE)
        if isinstance(request, RecordActivityTaskHeartbeatRequest):
            return RecordActivityTaskHeartbeatResponse(cancel_requested=True)
        return RecordActivityTaskHeartbeatByIdResponse(cancel_requested=True)

    async def _completed(
        self,
        rpc: str,
        call: Call,
        request: RespondActivityTaskCompletedRequest | RespondActivityTaskCompletedByIdRequest,
    ) -> Message:
        if request.result.ByteSize() <= self._blob_size_max:
            return await self._history.handle(rpc, call, request)
        await self._fail_instead(call, request, RESULT_TOO_LARGE)
        if isinstance(request, RespondActivityTaskCompletedRequest):
            return RespondActivityTaskCompletedResponse()
        return RespondActivityTaskCompletedByIdResponse()

    async def _canceled(
        self, rpc: str, call: Call, request: RespondActivityTaskCanceledRequest | RespondActivityTaskCanceledByIdRequest
    ) -> Message:
        if request.details.ByteSize() <= self._blob_size_max:
            return await self._history.handle(rpc, call, request)
        await self._fail_instead(call, request, DETAILS_TOO_LARGE)
        if isinstance(request, RespondActivityTaskCanceledRequest):
            return RespondActivityTaskCanceledResponse()
        return RespondActivityTaskCanceledByIdResponse()

    async def _failed(
        self, rpc: str, call: Call, request: RespondActivityTaskFailedRequest | RespondActivityTaskFailedByIdRequest
    ) -> Message:
        said = []
        if request.last_heartbeat_details.ByteSize() > self._blob_size_max:
            request.ClearField("last_heartbeat_details")
            said.append(_server_failure(HEARTBEAT_TOO_LARGE))
        if request.failure.ByteSize() > self._blob_size_max:
            request.failure.CopyFrom(_shortened(request.failure))
            said.append(request.failure)
        response = await self._history.handle(rpc, call, request)
        if said:
            assert isinstance(response, RespondActivityTaskFailedResponse | RespondActivityTaskFailedByIdResponse)
            response.failures.extend(said)
        return response

    async def _workflow_task_failed(self, rpc: str, call: Call, request: RespondWorkflowTaskFailedRequest) -> Message:
        if request.failure.ByteSize() > self._blob_size_max:
            request.failure.CopyFrom(_shortened(request.failure))
        return await self._history.handle(rpc, call, request)

    async def _fail_instead(self, call: Call, request: _ByTokenRequest | _ByIdRequest, why: str) -> None:
        failure = _server_failure(why)
        if isinstance(request, _ByTokenRequest):
            by_token = RespondActivityTaskFailedRequest(
                task_token=request.task_token, namespace=request.namespace, identity=request.identity, failure=failure
            )
            await self._history.handle("RespondActivityTaskFailed", call, by_token)
            return
        by_id = RespondActivityTaskFailedByIdRequest(
            namespace=request.namespace,
            workflow_id=request.workflow_id,
            run_id=request.run_id,
            activity_id=request.activity_id,
            identity=request.identity,
            failure=failure,
        )
        await self._history.handle("RespondActivityTaskFailedById", call, by_id)


def _server_failure(message: str) -> Failure:
    failure = Failure(message=message)
    failure.server_failure_info.non_retryable = True
    return failure


def _shortened(failure: Failure) -> Failure:
    """A server failure whose cause is what can be kept of the worker's."""
    short = _server_failure(FAILURE_TOO_LARGE)
    short.cause.message = failure.message[:FAILURE_TEXT_LENGTH_MAX]
    short.cause.stack_trace = failure.stack_trace[:FAILURE_TEXT_LENGTH_MAX]
    short.cause.source = failure.source
    if failure.HasField("application_failure_info"):
        info = failure.application_failure_info
        short.cause.application_failure_info.type = info.type[:FAILURE_TEXT_LENGTH_MAX]
        short.cause.application_failure_info.non_retryable = info.non_retryable
    return short
