"""Whatever crashes, and whenever: a server that is alone loses nothing acknowledged and does nothing twice.

A failing seed is the bug report: `pytest tests/simulation -k 'seed17'`.
"""

from __future__ import annotations

import asyncio

import pytest

from perdure.kernel.clock import VirtualClock
from perdure.kernel.metering.actions import START, START_CHILD, START_STANDALONE_ACTIVITY
from tests.simulation import actors, checks
from tests.simulation.actors import Promises
from tests.simulation.cluster import NAMESPACE, Cluster
from tests.simulation.workflows import ACTIVITIES
from tests.support import virtual_time
from tests.support.usage import check_sqlite

WORKFLOWS = 6
STANDALONE = 3
CRASHES = 10


@pytest.mark.parametrize("seed", range(20), ids=lambda seed: f"seed{seed}")
def test_nothing_acknowledged_is_lost_or_done_twice(seed: int) -> None:
    clock = VirtualClock()
    virtual_time.run(clock, _simulate(seed, clock))


async def _simulate(seed: int, clock: VirtualClock) -> None:
    cluster = Cluster(seed, clock)
    await cluster.start()
    promises = Promises(updates=1)
    workers = [asyncio.create_task(actors.workflow_worker(cluster, promises)) for _ in range(3)]
    workers += [asyncio.create_task(actors.activity_worker(cluster, promises)) for _ in range(3)]
    clients = [asyncio.create_task(actors.client(cluster, promises, f"w{n}")) for n in range(WORKFLOWS)]
    clients.append(asyncio.create_task(actors.doomed_client(cluster, promises, "doomed")))
    standalone = [(f"{kind}-{n}", kind) for n in range(STANDALONE) for kind in ACTIVITIES]
    clients += [asyncio.create_task(actors.activity_client(cluster, promises, *each)) for each in standalone]
    for _ in range(CRASHES):
        await asyncio.sleep(cluster.chance.uniform(0, 4))
        await cluster.crash(zombie=cluster.chance.random() < 0.3)
    # From here on nothing goes wrong any more, and everything must come to its end.
    async with asyncio.timeout(900):
        await asyncio.gather(*clients)
        for workflow_id in promises.started:
            events = await actors.outcome(cluster, workflow_id)
            if workflow_id == "doomed":
                checks.check_any(workflow_id, events)
            else:
                checks.check_busy(workflow_id, promises, events)
            await checks.check_state(cluster.history.engine, NAMESPACE.id, workflow_id, events)
        for activity_id, kind in standalone:
            await checks.check_standalone(cluster, promises, activity_id, kind)
    for worker in workers:
        worker.cancel()
    await asyncio.wait(workers)
    usage = check_sqlite(cluster.database)
    # What a client had to say twice is not counted twice. The doomed workflow may have got as far as its child.
    assert usage[START] - 2 * WORKFLOWS in (1, 2)
    assert usage[START_CHILD] - WORKFLOWS in (0, 1)
    assert usage[START_STANDALONE_ACTIVITY] == len(standalone)
    await cluster.close()
