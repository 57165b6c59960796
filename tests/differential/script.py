"""The vocabulary of scenarios: calls of a scripted client and a scripted worker, recorded with their answers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import grpc
import temporalio.api.errordetails.v1  # noqa: F401  registers the details of errors
import temporalio.api.operatorservice.v1 as operatorservice
import temporalio.api.workflowservice.v1 as workflowservice
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from temporalio.api.command.v1 import Command
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.api.operatorservice.v1.service_pb2_grpc import OperatorServiceStub
from temporalio.api.workflowservice.v1 import (
    GetWorkflowExecutionHistoryResponse,
    PollActivityTaskQueueResponse,
    PollWorkflowTaskQueueResponse,
)
from temporalio.api.workflowservice.v1.service_pb2_grpc import WorkflowServiceStub

from tests.differential.normalise import Normaliser

IDENTITY = "differential"
_WAIT_S = 15.0


class UnexpectedError(Exception):
    """The oracle refused a call that the scenario meant to succeed: the scenario is wrong."""


class Script:
    """One run of one scenario on one server.

    Names given to the methods are made unique to the run, so that runs do not meet; `name` says what they become. Every
    call answers with the response, or with an empty one if it was refused: the record says which.
    """

    def __init__(self, address: str, nonce: str, *, oracle: bool) -> None:
        self.record: list[str] = []
        #: Whose answers are in the record.
        self.rpcs: set[str] = set()
        self._nonce = f"{nonce}-"
        self._oracle = oracle
        self._normaliser = Normaliser(self._nonce)
        # If the target has several gateways, each call goes to another than the one before.
        self._channel = grpc.insecure_channel(address, options=[("grpc.lb_policy_name", "round_robin")])
        self._stub = WorkflowServiceStub(self._channel)
        self._operator = OperatorServiceStub(self._channel)

    def close(self) -> None:
        self._channel.close()

    # Any call ---------------------------------------------------------------------------------------------------------

    def name(self, name: str) -> str:
        """What a workflow id or a task queue is really called in this run."""
        return f"{self._nonce}{name}" if name else ""

    def call(
        self, rpc: str, /, *, refused: bool = False, silent: bool = False, timeout: float = 10, **fields: Any
    ) -> Any:
        """Make a call and record its answer.

        `refused` says that an error is meant to come. Namespace and identity are filled in unless given.
        """
        return self.later(rpc, refused=refused, silent=silent, timeout=timeout, **fields)()

    def later(
        self, rpc: str, /, *, refused: bool = False, silent: bool = False, timeout: float = 10, **fields: Any
    ) -> Callable[[], Any]:
        """Begin a call; what is returned waits for the answer and records it."""
        stub = self._stub if hasattr(self._stub, rpc) else self._operator
        messages = workflowservice if stub is self._stub else operatorservice
        request = getattr(messages, f"{rpc}Request")(**fields)
        for field, value in (("namespace", "default"), ("identity", IDENTITY)):
            if field not in fields and field in request.DESCRIPTOR.fields_by_name:
                setattr(request, field, value)
        answer = getattr(stub, rpc).future(request, timeout=timeout)

        def finish() -> Any:
            try:
                response = answer.result()
            except grpc.RpcError as error:
                if self._oracle and not refused:
                    raise UnexpectedError(f"{rpc}: {error.code()} {error.details()}") from error
                self.rpcs.add(rpc)
                self._record_value(f"{rpc} refused", self._error(error))
                return getattr(messages, f"{rpc}Response")()
            if not silent:
                self.rpcs.add(rpc)
                self._record_value(rpc, self._normaliser.message(response))
            return response

        return finish

    # Workflows --------------------------------------------------------------------------------------------------------

    def start(self, name: str, *, queue: str = "main", **fields: Any) -> Any:
        fields.setdefault("request_id", f"start-{name}")
        fields.setdefault("workflow_type", {"name": "Scripted"})
        fields.setdefault("task_queue", {"name": self.name(queue)})
        return self.call("StartWorkflowExecution", workflow_id=self.name(name), **fields)

    def signal(self, name: str, signal: str = "go", *, run_id: str = "", **fields: Any) -> Any:
        return self.call(
            "SignalWorkflowExecution", workflow_execution=self.execution(name, run_id), signal_name=signal, **fields
        )

    def cancel(self, name: str, *, run_id: str = "", **fields: Any) -> Any:
        return self.call("RequestCancelWorkflowExecution", workflow_execution=self.execution(name, run_id), **fields)

    def terminate(self, name: str, *, run_id: str = "", **fields: Any) -> Any:
        return self.call("TerminateWorkflowExecution", workflow_execution=self.execution(name, run_id), **fields)

    def describe(self, name: str, *, run_id: str = "", **fields: Any) -> Any:
        return self.call("DescribeWorkflowExecution", execution=self.execution(name, run_id), **fields)

    def history(self, name: str, *, run_id: str = "", **fields: Any) -> GetWorkflowExecutionHistoryResponse:
        response = self.call("GetWorkflowExecutionHistory", execution=self.execution(name, run_id), **fields)
        assert isinstance(response, GetWorkflowExecutionHistoryResponse)
        return response

    def query(self, name: str, query: str = "state", **fields: Any) -> Callable[[], Any]:
        return self.later("QueryWorkflow", execution=self.execution(name), query={"query_type": query}, **fields)

    def update(self, name: str, update_id: str, *, stage: str = "COMPLETED", **fields: Any) -> Callable[[], Any]:
        return self.later(
            "UpdateWorkflowExecution",
            workflow_execution=self.execution(name),
            wait_policy={"lifecycle_stage": f"UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_{stage}"},
            request={
                "meta": {"update_id": update_id, "identity": IDENTITY},
                "input": {"name": "change", "args": payloads("1")},
            },
            **fields,
        )

    def execution(self, name: str, run_id: str = "") -> dict[str, str]:
        return {"workflow_id": self.name(name), "run_id": run_id}

    # Workflow tasks ---------------------------------------------------------------------------------------------------

    def poll(self, queue: str = "main", *, sticky: bool = False, **fields: Any) -> PollWorkflowTaskQueueResponse:
        task_queue = {"name": self.name(queue), "kind": "TASK_QUEUE_KIND_NORMAL"}
        if sticky:
            task_queue = {
                "name": self.name(f"{queue}-sticky"),
                "kind": "TASK_QUEUE_KIND_STICKY",
                "normal_name": self.name(queue),
            }
        response = self.call("PollWorkflowTaskQueue", task_queue=task_queue, **fields)
        assert isinstance(response, PollWorkflowTaskQueueResponse)
        return response

    def complete(self, task: PollWorkflowTaskQueueResponse, *commands: Command, **fields: Any) -> Any:
        return self.call("RespondWorkflowTaskCompleted", task_token=task.task_token, commands=list(commands), **fields)

    def step(self, *commands: Command, queue: str = "main", **fields: Any) -> Any:
        """Poll a workflow task and complete it with these commands."""
        return self.complete(self.poll(queue), *commands, **fields)

    def fail_task(self, task: PollWorkflowTaskQueueResponse, **fields: Any) -> Any:
        fields.setdefault("cause", "WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE")
        fields.setdefault("failure", failure("task failed"))
        return self.call("RespondWorkflowTaskFailed", task_token=task.task_token, **fields)

    # Activities -------------------------------------------------------------------------------------------------------

    def poll_activity(self, queue: str = "main", **fields: Any) -> PollActivityTaskQueueResponse:
        response = self.call("PollActivityTaskQueue", task_queue={"name": self.name(queue)}, **fields)
        assert isinstance(response, PollActivityTaskQueueResponse)
        return response

    def complete_activity(self, task: PollActivityTaskQueueResponse, **fields: Any) -> Any:
        fields.setdefault("result", payloads("done"))
        return self.call("RespondActivityTaskCompleted", task_token=task.task_token, **fields)

    def fail_activity(self, task: PollActivityTaskQueueResponse, **fields: Any) -> Any:
        fields.setdefault("failure", failure("activity failed"))
        return self.call("RespondActivityTaskFailed", task_token=task.task_token, **fields)

    def cancel_activity(self, task: PollActivityTaskQueueResponse, **fields: Any) -> Any:
        return self.call("RespondActivityTaskCanceled", task_token=task.task_token, **fields)

    def heartbeat(self, task: PollActivityTaskQueueResponse, **fields: Any) -> Any:
        return self.call("RecordActivityTaskHeartbeat", task_token=task.task_token, **fields)

    # Waiting, which is not recorded -----------------------------------------------------------------------------------

    def await_event(self, name: str, event: str, *, count: int = 1, run_id: str = "") -> None:
        """Wait until the history has this many events of the type, such as `TIMER_FIRED`."""
        wanted = f"EVENT_TYPE_{event}"

        def there() -> bool:
            response = self.call("GetWorkflowExecutionHistory", execution=self.execution(name, run_id), silent=True)
            types = [event_name(each.event_type) for each in response.history.events]
            return types.count(wanted) >= count

        self.await_until(there)

    def await_child(self, parent: str, child: str) -> None:
        """Wait until a child has its first task, which the real server makes after the event in the parent."""
        self.await_event(parent, "CHILD_WORKFLOW_EXECUTION_STARTED")
        self.await_event(child, "WORKFLOW_TASK_SCHEDULED")

    def await_until(self, condition: Callable[[], bool], *, at_most_s: float = _WAIT_S) -> None:
        """Wait until something holds, or for long enough that what follows will show that it does not."""
        deadline = time.monotonic() + at_most_s
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.05)

    def await_gone(self, name: str) -> None:
        """Wait until a workflow that was deleted is not known any more."""
        request = workflowservice.DescribeWorkflowExecutionRequest(
            namespace="default",
            execution=self.execution(name),  # type: ignore[arg-type]
        )

        def gone() -> bool:
            return isinstance(self._stub.DescribeWorkflowExecution.future(request).exception(), grpc.RpcError)

        # The real server takes its time over workflows that have ended.
        self.await_until(gone, at_most_s=40)

    def await_update(self, name: str, update_id: str) -> None:
        """Wait until the workflow knows of an update that was begun."""
        request = workflowservice.PollWorkflowExecutionUpdateRequest(
            namespace="default",
            update_ref={"workflow_execution": self.execution(name), "update_id": update_id},  # type: ignore[arg-type]
            wait_policy={},  # type: ignore[arg-type]
        )

        def known() -> bool:
            return self._stub.PollWorkflowExecutionUpdate.future(request, timeout=10).exception() is None

        self.await_until(known)

    def settle(self, name: str) -> None:
        """Let a call about a workflow that was begun, and that leaves no trace while it waits, arrive there."""
        self.settle_behind(lambda: self.describe(name, silent=True))

    def settle_behind(self, look: Callable[[], Any]) -> None:
        """Let a call that was begun arrive: these take the same way behind it and do not overtake it all."""
        for _ in range(20):
            look()

    def note(self, text: str, message: Message | None = None) -> None:
        """Record something that is not the answer of one call."""
        self.record.append(self._normaliser.text(text))
        if message is not None:
            self.record.extend(json.dumps(self._normaliser.message(message), indent=1).splitlines())

    def part(self, rpc: str, text: str, message: Message | None = None) -> None:
        """Record what an answer says of this scenario, of one that says more."""
        self.rpcs.add(rpc)
        self.note(text, message)

    @contextmanager
    def expecting(self, note: str) -> Iterator[None]:
        """Put a heading over what is recorded inside."""
        self.note(f"# {note}")
        yield

    # ------------------------------------------------------------------------------------------------------------------

    def _record_value(self, heading: str, value: dict[str, Any]) -> None:
        self.record.append(f"> {heading}")
        self.record.extend(json.dumps(value, indent=1).splitlines())

    def _error(self, error: grpc.RpcError) -> dict[str, Any]:
        # Whether the server or the client notices first is chance, so a deadline has no message.
        code = error.code().name
        metadata: dict[str, Any] = dict(error.trailing_metadata() or ())  # type: ignore[arg-type]
        status = Status.FromString(metadata.get("grpc-status-details-bin", b""))
        details = [self._detail(each) for each in status.details]
        return {
            "code": code,
            "message": self._normaliser.text(error.details() or "") if code != "DEADLINE_EXCEEDED" else "",
            "details": details,
        }

    def _detail(self, packed: AnyMessage) -> dict[str, Any]:
        full_name = packed.type_url.rpartition("/")[2]
        descriptor = descriptor_pool.Default().FindMessageTypeByName(full_name)
        detail = message_factory.GetMessageClass(descriptor)()
        packed.Unpack(detail)
        return {full_name: self._normaliser.message(detail)}


def event_name(number: int) -> str:
    return str(EventType.Name(cast(EventType.ValueType, number)))


def payloads(*values: str) -> Payloads:
    """JSON strings, as SDKs encode them."""
    return Payloads(
        payloads=[Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(value).encode()) for value in values]
    )


def payload(value: str) -> Payload:
    """One of them."""
    return payloads(value).payloads[0]


def failure(message: str, *, type: str = "Oops", non_retryable: bool = False, **info: Any) -> dict[str, Any]:
    """An application failure."""
    application = {"type": type, "non_retryable": non_retryable, **info}
    return {"message": message, "source": "Script", "application_failure_info": application}
