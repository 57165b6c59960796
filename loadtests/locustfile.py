"""Users of a cluster for Locust. Its web page or CSV shows where the cluster bends.

    python -m loadtests.worker localhost:7233 --processes 2     # whoever does the work
    locust -f loadtests/locustfile.py --host localhost:7233 GrpcCaller
    locust -f loadtests/locustfile.py --host http://localhost:8233 HttpCaller

What users do, and how often, is in the mix file: `mix.toml` beside this one, or the one that MIX names.
"""

from __future__ import annotations

import json
import os
import random
import time
import tomllib
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.experimental.gevent
import httpx
from google.protobuf.message import Message
from locust import User, constant, events
from locust.exception import StopUser
from temporalio.api.common.v1 import Payload, Payloads, WorkflowExecution
from temporalio.api.enums.v1 import (
    HistoryEventFilterType,
    UpdateWorkflowExecutionLifecycleStage,
)
from temporalio.api.workflowservice.v1 import (
    GetWorkflowExecutionHistoryRequest,
    ListWorkflowExecutionsRequest,
    QueryWorkflowRequest,
    SignalWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
    TerminateWorkflowExecutionRequest,
    UpdateWorkflowExecutionRequest,
)
from temporalio.api.workflowservice.v1.service_pb2_grpc import WorkflowServiceStub

from loadtests.http_service import HttpService

# Locust runs its users in greenlets: a call that blocks must let the others go on.
grpc.experimental.gevent.init_gevent()

MIX = tomllib.loads(Path(os.environ.get("MIX", Path(__file__).with_name("mix.toml"))).read_text())
NAMESPACE, TASK_QUEUE = MIX["namespace"]["name"], MIX["namespace"]["task_queue"]
RESULT_S_MAX = 30.0


def payloads(value: object) -> Payloads:
    return Payloads(payloads=[Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(value).encode())])


class Caller(User):
    """One client with a connection of its own, and one workflow that it talks to for as long as it lives."""

    abstract = True
    wait_time = constant(0)
    #: As reports name it.
    transport: str

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.host:
            raise StopUser
        self._service = self.connect(self.host)
        self._companion = WorkflowExecution(workflow_id=f"load-{uuid.uuid4()}")
        weights = MIX["weights"]
        self._names, self._weights = list(weights), list(weights.values())

    def on_start(self) -> None:
        self._start("Companion", self._companion.workflow_id)

    def on_stop(self) -> None:
        self._call(
            "terminate",
            self._service.TerminateWorkflowExecution,
            TerminateWorkflowExecutionRequest(namespace=NAMESPACE, workflow_execution=self._companion),
        )
        self.disconnect()

    def connect(self, host: str) -> Any:
        """WorkflowService, with a method for each RPC."""
        raise NotImplementedError

    def disconnect(self) -> None:
        raise NotImplementedError

    # Locust calls every method that is in `tasks`, in turn.

    def act(self) -> None:
        """Do one thing of the mix, then pause."""
        (name,) = random.choices(self._names, self._weights)
        getattr(self, f"do_{name}")()
        time.sleep(random.uniform(MIX["pause_s"]["least"], MIX["pause_s"]["most"]))

    def do_run(self) -> None:
        execution = WorkflowExecution(workflow_id=f"load-{uuid.uuid4()}")
        began = time.perf_counter()
        if self._start("OneActivity", execution.workflow_id, payloads("x")) is None:
            return
        request = GetWorkflowExecutionHistoryRequest(
            namespace=NAMESPACE,
            execution=execution,
            wait_new_event=True,
            history_event_filter_type=HistoryEventFilterType.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT,
        )
        error: Exception | None = None
        try:
            response = self._service.GetWorkflowExecutionHistory(request, timeout=RESULT_S_MAX)
            if not response.history.events:
                error = TimeoutError(f"no result within {RESULT_S_MAX:.0f} s")
        except (grpc.RpcError, httpx.HTTPError) as failed:
            error = failed
        self._note("workflow of one activity", began, error)

    def do_signal(self) -> None:
        request = SignalWorkflowExecutionRequest(
            namespace=NAMESPACE,
            workflow_execution=self._companion,
            signal_name="hear",
            input=payloads("hello"),
            request_id=str(uuid.uuid4()),
        )
        self._call("signal", self._service.SignalWorkflowExecution, request)

    def do_query(self) -> None:
        request = QueryWorkflowRequest(namespace=NAMESPACE, execution=self._companion)
        request.query.query_type = "heard"
        self._call("query", self._service.QueryWorkflow, request)

    def do_update(self) -> None:
        request = UpdateWorkflowExecutionRequest(namespace=NAMESPACE, workflow_execution=self._companion)
        request.wait_policy.lifecycle_stage = (
            UpdateWorkflowExecutionLifecycleStage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED
        )
        request.request.meta.update_id = str(uuid.uuid4())
        request.request.input.name = "note"
        request.request.input.args.CopyFrom(payloads("hello"))
        self._call("update", self._service.UpdateWorkflowExecution, request)

    def do_list(self) -> None:
        request = ListWorkflowExecutionsRequest(
            namespace=NAMESPACE, page_size=20, query="WorkflowType = 'Companion' AND ExecutionStatus = 'Running'"
        )
        self._call("list", self._service.ListWorkflowExecutions, request)

    def _start(self, workflow_type: str, workflow_id: str, arguments: Payloads | None = None) -> Message | None:
        request = StartWorkflowExecutionRequest(
            namespace=NAMESPACE, workflow_id=workflow_id, request_id=str(uuid.uuid4()), input=arguments
        )
        request.workflow_type.name = workflow_type
        request.task_queue.name = TASK_QUEUE
        return self._call("start", self._service.StartWorkflowExecution, request)

    def _call(self, name: str, call: Callable[..., Message], request: Message) -> Message | None:
        """Call and note how it went; None if it failed."""
        began = time.perf_counter()
        try:
            response = call(request, timeout=RESULT_S_MAX)
        except (grpc.RpcError, httpx.HTTPError) as error:
            self._note(name, began, error)
            return None
        self._note(name, began, None)
        return response

    def _note(self, name: str, began: float, error: Exception | None) -> None:
        if isinstance(error, grpc.Call):
            # By what went wrong: messages have ids in them.
            error = RuntimeError(error.code().name)
        elif isinstance(error, httpx.HTTPStatusError):
            error = RuntimeError(f"HTTP {error.response.status_code}")
        events.request.fire(  # type: ignore[no-untyped-call]
            request_type=self.transport,
            name=name,
            response_time=(time.perf_counter() - began) * 1000,
            response_length=0,
            exception=error,
        )

    tasks = [act]  # noqa: RUF012  Locust looks for it here


class GrpcCaller(Caller):
    transport = "grpc"

    def connect(self, host: str) -> Any:
        self._channel = grpc.insecure_channel(host)
        return WorkflowServiceStub(self._channel)

    def disconnect(self) -> None:
        self._channel.close()


class HttpCaller(Caller):
    transport = "http"

    def connect(self, host: str) -> Any:
        return HttpService(host)

    def disconnect(self) -> None:
        self._service.close()
