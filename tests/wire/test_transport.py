"""What the gRPC front adds to the pipeline: statuses, health, reflection, deadlines, and a graceful end."""

from __future__ import annotations

import asyncio

import pytest
from google.rpc.status_pb2 import Status
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub
from temporalio.api.enums.v1 import ResourceExhaustedCause
from temporalio.api.errordetails.v1 import MultiOperationExecutionFailure, ResourceExhaustedFailure

from perdure.frontend.metrics import REQUESTS
from perdure.frontend.routes import OPERATOR_SERVICE, SERVICES, WORKFLOW_SERVICE, Role
from perdure.kernel import errors
from perdure.kernel.clock import SECOND_NS
from tests.support.gateway import GatewayBench, running
from tests.support.rpc import build

DESCRIBE = {"namespace": "default", "execution": {"workflowId": "w"}}
HISTORY = {"namespace": "default", "execution": {"workflowId": "w"}, "waitNewEvent": True}
POLL = {"namespace": "default", "taskQueue": {"name": "q"}}

_HEALTH_SERVICES = ("", WORKFLOW_SERVICE.full_name, OPERATOR_SERVICE.full_name)


@pytest.mark.parametrize(
    ("error", "code", "detail"),
    [
        (errors.NotFound("gone"), "NOT_FOUND", "NotFoundFailure"),
        (errors.InvalidArgument("bad"), "INVALID_ARGUMENT", None),
        (errors.WorkflowExecutionAlreadyStarted("again", "r", "run"), "ALREADY_EXISTS", None),
        (errors.QueryFailed("no such query"), "INVALID_ARGUMENT", "QueryFailedFailure"),
        (errors.WorkflowNotReady("wait"), "FAILED_PRECONDITION", "WorkflowNotReadyFailure"),
        (errors.Unavailable("later"), "UNAVAILABLE", None),
        (errors.DataLoss("damaged"), "DATA_LOSS", None),
        (errors.Aborted("raced"), "ABORTED", None),
    ],
)
async def test_service_errors_reach_the_client(error: errors.ServiceError, code: str, detail: str | None) -> None:
    bench = GatewayBench()
    bench.history.answer = lambda rpc, call, request: error
    async with running(bench) as client:
        answer = await client.call("DescribeWorkflowExecution", DESCRIBE)
    assert (answer.code, answer.message) == (code, error.message)
    assert answer.status is not None
    assert (answer.status.code, answer.status.message) == (error.code.value, error.message)
    if detail:
        assert answer.details == (f"temporal.api.errordetails.v1.{detail}",)


async def test_typed_detail_survives() -> None:
    bench = GatewayBench()
    cause = ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_BUSY_WORKFLOW
    bench.history.answer = lambda rpc, call, request: errors.ResourceExhausted("busy", cause)
    async with running(bench) as client:
        answer = await client.call("DescribeWorkflowExecution", DESCRIBE)
    assert answer.status is not None
    failure = ResourceExhaustedFailure()
    assert answer.status.details[0].Unpack(failure)
    assert failure.cause == cause


async def test_multi_operation_answers_with_the_code_of_the_instance() -> None:
    bench = GatewayBench()
    status = MultiOperationExecutionFailure.OperationStatus(code=5, message="no")
    failed = errors.MultiOperationFailed("both", [status], errors.Code.NOT_FOUND)
    bench.history.answer = lambda rpc, call, request: failed
    async with running(bench) as client:
        answer = await client.call("DescribeWorkflowExecution", DESCRIBE)
    assert answer.code == "NOT_FOUND"
    assert [operation.message for operation in answer.operation_statuses()] == ["no"]


async def test_defects_are_masked() -> None:
    bench = GatewayBench()
    bench.history.answer = lambda rpc, call, request: RuntimeError("secret")
    async with running(bench) as client:
        answer = await client.call("DescribeWorkflowExecution", DESCRIBE)
    assert (answer.code, answer.message) == ("INTERNAL", "internal error")
    assert b"secret" not in (answer.status or Status()).SerializeToString()


async def test_bytes_that_are_no_message_are_the_callers_mistake() -> None:
    async with running(GatewayBench()) as client:
        answer = await client.call("StartWorkflowExecution", b"\xff\xff\xff")
    assert answer.code == "INVALID_ARGUMENT"


async def test_rpcs_that_do_not_exist_yet_say_so() -> None:
    later = [rpc for _, routes in SERVICES for rpc, route in routes.items() if route.role is Role.NOT_YET]
    async with running(GatewayBench()) as client:
        assert {(await client.call(rpc)).code for rpc in later} == {"UNIMPLEMENTED"}


async def test_no_empty_request_is_an_internal_error() -> None:
    async with running(GatewayBench()) as client:
        for _, routes in SERVICES:
            for rpc in routes:
                answer = await client.call(rpc)
                assert answer.code not in ("INTERNAL", "UNKNOWN"), rpc


async def test_metadata_that_says_several_things_says_none_of_them() -> None:
    bench = GatewayBench()
    async with running(bench) as client:
        describe = client.channel.unary_unary(f"/{WORKFLOW_SERVICE.full_name}/DescribeWorkflowExecution")
        said = [("who", "one"), ("who", "another"), ("same", "thing"), ("same", "thing")]
        await describe(build("DescribeWorkflowExecution", DESCRIBE).SerializeToString(), metadata=said, timeout=10)
    [(_, call, _)] = bench.history.served
    assert (call.metadata["who"], call.metadata["same"]) == ("one,another", "thing")


async def test_handlers_see_namespace_deadline_and_metadata() -> None:
    bench = GatewayBench()
    async with running(bench) as client:
        before_ns = bench.runtime.clock.now_ns()
        await client.call("DescribeWorkflowExecution", DESCRIBE, timeout_s=30)
    (rpc, call, _), *_ = bench.history.served
    assert (rpc, call.namespace.name) == ("DescribeWorkflowExecution", "default")
    assert call.deadline_ns is not None
    assert abs(call.deadline_ns - before_ns - 30 * SECOND_NS) < 2 * SECOND_NS
    assert "user-agent" in call.metadata


async def test_polls_set_out_before_the_client_gives_up() -> None:
    bench = GatewayBench()
    async with running(bench) as client:
        before_ns = bench.runtime.clock.now_ns()
        assert (await client.call("PollWorkflowTaskQueue", POLL, timeout_s=10)).code == "OK"
        short = await client.call("PollWorkflowTaskQueue", POLL, timeout_s=1)
        without = await client.call("PollActivityTaskQueue", POLL, timeout_s=None)
    (_, call, _), *rest = bench.matching.served
    assert not rest
    assert call.deadline_ns is not None
    assert 8 * SECOND_NS < call.deadline_ns - before_ns < 10 * SECOND_NS
    assert (short.code, short.message) == ("FAILED_PRECONDITION", "Context timeout is too short.")
    assert (without.code, without.message) == ("INVALID_ARGUMENT", "Context timeout is not set.")


async def test_health_turns_when_draining() -> None:
    bench = GatewayBench()
    async with running(bench) as client:
        stub = HealthStub(client.channel)
        for service in _HEALTH_SERVICES:
            response = await stub.Check(HealthCheckRequest(service=service))
            assert response.status == HealthCheckResponse.SERVING
        await bench.gateway.drain()
        response = await stub.Check(HealthCheckRequest(service=_HEALTH_SERVICES[1]))
        assert response.status == HealthCheckResponse.NOT_SERVING


async def test_reflection_lists_the_services() -> None:
    async with running(GatewayBench()) as client:
        calls = ServerReflectionStub(client.channel).ServerReflectionInfo(
            iter([ServerReflectionRequest(list_services="")])
        )
        (response,) = [response async for response in calls]
    listed = {service.name for service in response.list_services_response.service}
    assert set(_HEALTH_SERVICES[1:]) <= listed


class Held:
    """Holds every call of history until it is let go."""

    def __init__(self, bench: GatewayBench) -> None:
        self.arrived = asyncio.Event()
        self.release = asyncio.Event()
        bench.history.before = self._wait

    async def _wait(self) -> None:
        self.arrived.set()
        await self.release.wait()


async def test_draining_breaks_off_calls_that_only_wait() -> None:
    bench = GatewayBench()
    held = Held(bench)
    async with running(bench) as client:
        waiting = asyncio.create_task(client.call("GetWorkflowExecutionHistory", HISTORY, timeout_s=20))
        await held.arrived.wait()
        await bench.gateway.drain()
        answer = await waiting
        again = await client.call("GetWorkflowExecutionHistory", HISTORY, timeout_s=20)
    assert (answer.code, again.code) == ("UNAVAILABLE", "UNAVAILABLE")


async def test_stopping_lets_calls_in_flight_finish() -> None:
    bench = GatewayBench()
    held = Held(bench)
    async with running(bench) as client:
        in_flight = asyncio.create_task(client.call("DescribeWorkflowExecution", DESCRIBE))
        await held.arrived.wait()
        await bench.gateway.drain()
        stopping = asyncio.create_task(bench.gateway.stop(5))
        held.release.set()
        assert (await in_flight).code == "OK"
        await stopping


async def test_a_burst_that_meets_a_stop_is_served_or_told_to_come_back() -> None:
    """A call that is CANCELLED instead is one that workers do not repeat."""
    bench = GatewayBench()
    async with running(bench) as client:
        await client.call("GetSystemInfo")
        burst = [asyncio.create_task(client.call("DescribeWorkflowExecution", DESCRIBE)) for _ in range(300)]
        await burst[0]
        await bench.gateway.drain()
        await bench.gateway.stop(5)
        answers = {answer.code for answer in await asyncio.gather(*burst)}
    assert answers <= {"OK", "UNAVAILABLE"}


async def test_a_cancelled_call_is_no_failure() -> None:
    bench = GatewayBench()
    held = Held(bench)
    async with running(bench) as client:
        call = asyncio.create_task(client.call("DescribeWorkflowExecution", DESCRIBE))
        await held.arrived.wait()
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        assert (await client.call("GetSystemInfo")).code == "OK"
    assert bench.gateway.metrics.of("DescribeWorkflowExecution", "default").failures.total() == 0


async def test_a_port_in_use_is_an_error_of_its_own() -> None:
    first, second = GatewayBench(), GatewayBench()
    port = (await first.gateway.start("127.0.0.1:0")).public
    try:
        with pytest.raises(OSError, match=f"127.0.0.1:{port}"):
            await second.gateway.start(f"127.0.0.1:{port}")
    finally:
        await first.gateway.close()
        await second.gateway.close()


async def test_calls_are_counted_by_namespaces_that_exist() -> None:
    bench = GatewayBench()
    async with running(bench) as client:
        for namespace in ("default", "made-up", "default"):
            await client.call("DescribeWorkflowExecution", {**DESCRIBE, "namespace": namespace})
        await client.call("GetSystemInfo")
    samples = {sample.labels: sample.value for sample in bench.gateway.metrics.samples() if sample.family is REQUESTS}
    assert samples["DescribeWorkflowExecution", "default"] == 2
    assert samples["DescribeWorkflowExecution", ""] == 1
    assert samples["GetSystemInfo", ""] == 1
    assert bench.gateway.metrics.of("DescribeWorkflowExecution").failures == {"NOT_FOUND": 1}
