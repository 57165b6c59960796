"""A cluster under load whose network is cut between two of its roles, in every way, and heals again."""

from __future__ import annotations

import asyncio
import itertools
import random
from functools import partial
from typing import Any, cast

import grpc
import grpc.aio
import pytest
from temporalio.api.common.v1 import WorkflowType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    StartWorkflowExecutionRequest,
    WorkflowServiceStub,
)

from perdure.infra.local.cluster import LocalCluster
from perdure.infra.local.proxy import Cut
from tests.support.cuts import Network, network
from tests.wire.cluster.test_faults import LEASE_S, connected, register, under_load

pytestmark = pytest.mark.timeout(240)

PROCESSES = ("gateway", "history", "history", "matching", "matching")
CUTS = {
    ("gateway", "history"): (Cut.REFUSED, Cut.SILENT, Cut.UNHEARD),
    ("gateway", "matching"): (Cut.REFUSED, Cut.SILENT, Cut.UNANSWERED),
    ("history", "matching"): tuple(Cut),
}
WORKFLOWS = 20
NAMESPACE = "probes"
#: Longer than a silent peer is believed to be there.
CUT_S = 3.0
CALL_S_MAX = 2.0
#: How soon calls succeed again when the network has healed.
HEALED_S_MAX = 5.0
AT_ONCE = 8
IN_VAIN = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}


class Probes:
    """Calls that nobody repeats, to workflows of any shard and to task queues of any owner."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._service: Any = WorkflowServiceStub(cast(Any, channel))
        self._numbers = itertools.count()

    async def all_served(self) -> bool:
        """Whether some calls at the same time are. Those that are not fail as they should."""
        return all(await asyncio.gather(*(self._is_served() for _ in range(AT_ONCE))))

    async def _is_served(self) -> bool:
        name = f"probe-{next(self._numbers)}"
        start = StartWorkflowExecutionRequest(
            namespace=NAMESPACE,
            workflow_id=name,
            workflow_type=WorkflowType(name="Probe"),
            task_queue=TaskQueue(name=name),
            request_id=name,
        )
        describe = DescribeTaskQueueRequest(namespace=NAMESPACE, task_queue=TaskQueue(name=name))
        try:
            await self._service.StartWorkflowExecution(start, timeout=CALL_S_MAX)
            await self._service.DescribeTaskQueue(describe, timeout=CALL_S_MAX)
        except grpc.aio.AioRpcError as error:
            assert error.code() in IN_VAIN, error
            return False
        return True


async def cut(network: Network, roles: tuple[str, str], how: Cut, probes: Probes) -> None:
    loop = asyncio.get_running_loop()
    with network.cut(roles, how):
        until_s = loop.time() + CUT_S
        while loop.time() < until_s:
            served = await probes.all_served()
            assert not (served and "gateway" in roles), "nothing was cut"
    healed_at_s = loop.time()
    while not await probes.all_served():
        assert loop.time() - healed_at_s < HEALED_S_MAX


@pytest.mark.parametrize("roles", CUTS, ids="-".join)
async def test_two_roles_are_cut_off_from_each_other(roles: tuple[str, str]) -> None:
    environment = {"PERDURE_LEASE_S": str(LEASE_S), "PERDURE_LOG_LEVEL": "warn"}
    async with LocalCluster(environment=environment) as cluster, network(cluster) as between:
        for role in PROCESSES:
            await between.start(role)
        gateway = cluster.with_role("gateway")[0].address
        async with connected(cluster) as client, grpc.aio.insecure_channel(gateway) as channel:
            await register(client, NAMESPACE)
            probes = Probes(channel)
            cuts = [partial(cut, between, roles, how, probes) for how in CUTS[roles]]
            await under_load(client, random.Random("-".join(roles)), cuts, WORKFLOWS)
