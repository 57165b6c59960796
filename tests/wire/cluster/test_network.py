"""A cluster under load whose network is cut between two of its roles, in every way, and heals again."""

from __future__ import annotations

import asyncio
import random
from functools import partial

import grpc.aio
import pytest

from perdure.infra.local.cluster import LocalCluster
from perdure.infra.local.proxy import Cut
from tests.support.cuts import Network, network
from tests.wire.cluster.probes import NAMESPACE, Probes
from tests.wire.cluster.test_faults import LEASE_S, connected, register, under_load

pytestmark = pytest.mark.timeout(240)

PROCESSES = ("gateway", "history", "history", "matching", "matching")
CUTS = {
    ("gateway", "history"): (Cut.REFUSED, Cut.SILENT),
    ("gateway", "matching"): (Cut.REFUSED, Cut.SILENT, Cut.UNANSWERED),
    ("history", "matching"): (Cut.SILENT, Cut.UNHEARD, Cut.REFUSED),
}
WORKFLOWS = 20
#: Silence is longer than a peer is believed to be there without a sign of life.
SILENT_S, REFUSED_S = 3.0, 1.0


async def cut(network: Network, roles: tuple[str, str], how: Cut, probes: Probes) -> None:
    loop = asyncio.get_running_loop()
    with network.cut(roles, how):
        until_s = loop.time() + (REFUSED_S if how is Cut.REFUSED else SILENT_S)
        while loop.time() < until_s:
            served = await probes.all_served()
            assert not (served and "gateway" in roles), "nothing was cut"
    await probes.recover()


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
