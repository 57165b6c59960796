from __future__ import annotations

import pytest
from msgspec import structs
from temporalio.api.failure.v1 import Failure
from temporalio.api.nexus.v1 import HandlerError, Request, Response
from temporalio.api.workflowservice.v1 import (
    PollNexusTaskQueueRequest,
    PollNexusTaskQueueResponse,
    RespondNexusTaskCompletedRequest,
    RespondNexusTaskFailedRequest,
)

from perdure.kernel.call import Call
from perdure.kernel.errors import DeadlineExceeded, InvalidArgument, NotFound, ServiceError
from perdure.kernel.ids import NamespaceId, TaskKind, TaskQueueKey
from perdure.kernel.rpc import NexusTask
from tests.support.matching import NAMESPACE, World, scenario, started

QUEUE = TaskQueueKey(NAMESPACE.id, "queue", TaskKind.NEXUS)
TASK = NexusTask(QUEUE, Request(endpoint="pay"))


async def poll(world: World, timeout_s: float = 30) -> PollNexusTaskQueueResponse:
    request = PollNexusTaskQueueRequest(identity="me")
    request.task_queue.name = QUEUE.name
    response = await world.matching.handle("PollNexusTaskQueue", world.call(timeout_s), request)
    assert isinstance(response, PollNexusTaskQueueResponse)
    return response


def test_a_request_meets_a_worker_whoever_comes_first() -> None:
    async def main(world: World) -> None:
        for worker_first in (True, False):
            if worker_first:
                polling = await started(poll(world))
                asking = await started(world.matching.dispatch(world.call(10), TASK))
            else:
                asking = await started(world.matching.dispatch(world.call(10), TASK))
                polling = await started(poll(world))
            task = await polling
            assert task.request.endpoint == "pay"
            assert task.request.header["request-timeout"] == "10000ms"
            answer = RespondNexusTaskCompletedRequest(task_token=task.task_token, response=Response())
            answer.response.cancel_operation.SetInParent()
            await world.matching.handle("RespondNexusTaskCompleted", world.call(), answer)
            assert (await asking).response == answer.response
            with pytest.raises(NotFound):
                await world.matching.handle("RespondNexusTaskCompleted", world.call(), answer)

    scenario(main)


def test_failures_come_as_failures_of_this_api() -> None:
    async def main(world: World) -> None:
        failure = Failure(message="no")
        failure.nexus_handler_failure_info.type = "NOT_FOUND"
        for said in ({"failure": failure}, {"error": HandlerError(error_type="NOT_FOUND", failure={"message": "no"})}):
            asking = await started(world.matching.dispatch(world.call(10), TASK))
            token = (await poll(world)).task_token
            request = RespondNexusTaskFailedRequest(task_token=token, **said)  # type: ignore[arg-type]
            await world.matching.handle("RespondNexusTaskFailed", world.call(), request)
            assert (await asking).failure == failure

    scenario(main)


def test_nobody_keeps_a_request_that_nobody_takes() -> None:
    async def main(world: World) -> None:
        with pytest.raises(DeadlineExceeded):
            await world.matching.dispatch(world.call(10), TASK)
        assert world.seconds == 10
        assert not (await poll(world)).task_token

    scenario(main)


def test_an_answer_that_comes_late_is_refused() -> None:
    async def main(world: World) -> None:
        asking = await started(world.matching.dispatch(world.call(10), TASK))
        token = (await poll(world)).task_token
        with pytest.raises(DeadlineExceeded):
            await asking
        with pytest.raises(NotFound, match="already expired"):
            await world.matching.handle(
                "RespondNexusTaskCompleted", world.call(), RespondNexusTaskCompletedRequest(task_token=token)
            )

    scenario(main)


def test_another_namespace_cannot_answer() -> None:
    async def main(world: World) -> None:
        asking = await started(world.matching.dispatch(world.call(10), TASK))
        token = (await poll(world)).task_token
        elsewhere = Call(structs.replace(NAMESPACE, id=NamespaceId("elsewhere")))
        completed = RespondNexusTaskCompletedRequest(task_token=token, response=Response())
        failed = RespondNexusTaskFailedRequest(task_token=token, error=HandlerError(error_type="INTERNAL"))
        for rpc, answer in (("RespondNexusTaskCompleted", completed), ("RespondNexusTaskFailed", failed)):
            with pytest.raises(ServiceError) as refused:
                await world.matching.handle(rpc, elsewhere, answer)
            assert isinstance(refused.value, InvalidArgument | NotFound)
        assert not asking.done()
        completed.response.cancel_operation.SetInParent()
        await world.matching.handle("RespondNexusTaskCompleted", world.call(), completed)
        assert (await asking).response == completed.response

    scenario(main)
