"""Endpoints that are not for everybody: who may not call one gets nothing through it, now or later."""

from __future__ import annotations

import msgspec
import pytest
from temporalio.api.nexus.v1 import Response

from perdure.kernel.call import Call
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.ids import NamespaceId
from perdure.kernel.nexus import NexusEndpoint
from perdure.kernel.rpc import NexusAnswer, NexusTask
from tests.differential import commands as c
from tests.support.history import NAMESPACE, HistoryBench, with_history

OURS = NexusEndpoint("id", "pay", NAMESPACE.id, "payments")
THEIRS = msgspec.structs.replace(OURS, id="theirs", account_id="globex")
NOT_FOR_US = msgspec.structs.replace(OURS, callers=(NamespaceId("another"),))


class Endpoints:
    """All there are, of all accounts."""

    def __init__(self, *endpoints: NexusEndpoint) -> None:
        self.all = list(endpoints)

    async def by_name(self, account_id: str, name: str) -> NexusEndpoint | None:
        return next((each for each in self.all if (each.account_id, each.name) == (account_id, name)), None)

    async def by_id(self, endpoint_id: str) -> NexusEndpoint | None:
        return next((each for each in self.all if each.id == endpoint_id), None)


class Fleeting(Endpoints):
    """The endpoint is ours until it was looked up once."""

    def __init__(self, becomes: NexusEndpoint | None) -> None:
        super().__init__(OURS)
        self._then = [] if becomes is None else [becomes]

    async def by_name(self, account_id: str, name: str) -> NexusEndpoint | None:
        found = await super().by_name(account_id, name)
        self.all = self._then
        return found


def dispatched(bench: HistoryBench) -> list[NexusTask]:
    """What handlers are asked from now on; they answer at once."""
    asked: list[NexusTask] = []

    async def dispatch(call: Call, task: NexusTask) -> NexusAnswer:
        asked.append(task)
        response = Response()
        response.start_operation.sync_success.payload.data = b"out"
        return NexusAnswer(response=response)

    bench.offers.dispatch = dispatch  # type: ignore[attr-defined]
    return asked


@pytest.mark.parametrize("endpoint", [THEIRS, NOT_FOR_US])
def test_an_endpoint_of_others_cannot_be_called(endpoint: NexusEndpoint) -> None:
    async def main(bench: HistoryBench) -> None:
        bench.service.engine.endpoints = Endpoints(endpoint)
        asked = dispatched(bench)
        key = await bench.start("caller")
        with pytest.raises(InvalidArgument, match="pay"):
            await bench.turn(c.schedule_nexus("pay"))
        assert not (await bench.loaded(key)).state.operations
        assert not asked

    with_history(main)


@pytest.mark.parametrize("becomes", [None, THEIRS, NOT_FOR_US])
def test_an_endpoint_that_is_taken_away_is_not_called_any_more(becomes: NexusEndpoint | None) -> None:
    async def main(bench: HistoryBench) -> None:
        bench.service.engine.endpoints = Fleeting(becomes)
        asked = dispatched(bench)
        key = await bench.start("caller")
        await bench.turn(c.schedule_nexus("pay"))
        failed = await bench.await_event(key, "NEXUS_OPERATION_FAILED")
        cause = failed.nexus_operation_failed_event_attributes.failure.cause
        assert cause.nexus_handler_failure_info.type == "NOT_FOUND"
        assert not asked

    with_history(main)


def test_an_endpoint_of_ours_can_be_called() -> None:
    async def main(bench: HistoryBench) -> None:
        bench.service.engine.endpoints = Endpoints(THEIRS, OURS)
        asked = dispatched(bench)
        key = await bench.start("caller")
        await bench.turn(c.schedule_nexus("pay"))
        await bench.await_event(key, "NEXUS_OPERATION_COMPLETED")
        assert [task.request.endpoint for task in asked] == ["pay"]

    with_history(main)
