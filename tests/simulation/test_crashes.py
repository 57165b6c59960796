"""Whatever crashes, and whenever: nothing acknowledged is lost or done twice.

A failing seed is the bug report: `pytest tests/simulation -k 'seed17'`.
"""

from __future__ import annotations

import asyncio
from collections import Counter

import msgspec
import pytest
from temporalio.api.enums.v1 import ActivityExecutionStatus, EventType
from temporalio.api.workflowservice.v1 import DescribeActivityExecutionRequest

from perdure.history.fold import evolve
from perdure.history.kinds.workflow import LoadedExecution
from perdure.history.state.execution import Execution
from perdure.kernel.clock import VirtualClock
from perdure.kernel.ids import ExecutionKey, RunId, ShardId, WorkflowId
from tests.simulation import actors
from tests.simulation.actors import ACTIVITIES, Promises
from tests.simulation.cluster import NAMESPACE, Cluster
from tests.support import virtual_time

WORKFLOWS = 6
STANDALONE = 3
CRASHES = 10
#: What no event records, and a fold over the history alone therefore cannot know.
_NOT_IN_EVENTS = {"requests", "signal_request_ids", "cancel_request_id", "state_transitions", "history_size"}


@pytest.mark.parametrize("seed", range(20), ids=lambda seed: f"seed{seed}")
def test_nothing_acknowledged_is_lost_or_done_twice(seed: int) -> None:
    clock = VirtualClock()
    virtual_time.run(clock, _simulate(seed, clock))


async def _simulate(seed: int, clock: VirtualClock) -> None:
    cluster = Cluster(seed, clock)
    await cluster.start()
    promises = Promises()
    workers = [asyncio.create_task(actors.workflow_worker(cluster)) for _ in range(3)]
    workers += [asyncio.create_task(actors.activity_worker(cluster, promises)) for _ in range(3)]
    clients = [asyncio.create_task(actors.client(cluster, promises, f"w{n}")) for n in range(WORKFLOWS)]
    standalone = [(f"{kind}-{n}", kind) for n in range(STANDALONE) for kind in ACTIVITIES]
    clients += [asyncio.create_task(actors.activity_client(cluster, promises, *each)) for each in standalone]
    for _ in range(CRASHES):
        await asyncio.sleep(cluster.chance.uniform(0, 4))
        await cluster.crash(zombie=cluster.chance.random() < 0.3)
    # From here on nothing goes wrong any more, and everything must come to its end.
    async with asyncio.timeout(900):
        await asyncio.gather(*clients)
        for workflow_id in promises.started:
            _check(workflow_id, promises, await actors.outcome(cluster, workflow_id))
            await _check_state(cluster, workflow_id, promises.started[workflow_id])
        for activity_id, kind in standalone:
            await _check_standalone(cluster, promises, activity_id, kind)
    for worker in workers:
        worker.cancel()
    await asyncio.wait(workers)
    await cluster.close()


def _check(workflow_id: str, promises: Promises, events: list[object]) -> None:
    assert [event.event_id for event in events] == list(range(1, len(events) + 1)), "a gap in the history"
    kinds = Counter(event.event_type for event in events)
    assert kinds[EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED] == 1
    assert events[-1].event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED
    signals = Counter(
        event.workflow_execution_signaled_event_attributes.signal_name
        for event in events
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
    )
    for owner, name in promises.signaled:
        if owner == workflow_id:
            assert signals[name] == 1, f"{name} was acknowledged and is there {signals[name]} times"
    assert kinds[EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED] == len(ACTIVITIES)
    assert kinds[EventType.EVENT_TYPE_TIMER_FIRED] == 1
    assert promises.handed_out[workflow_id, "once"] <= 1, "an activity that may run once was handed out twice"


async def _check_standalone(cluster: Cluster, promises: Promises, activity_id: str, kind: str) -> None:
    request = DescribeActivityExecutionRequest(activity_id=activity_id, include_outcome=True)
    described = await actors.insist(cluster, "DescribeActivityExecution", request)
    assert described.outcome == promises.ended[activity_id], "an outcome that was told has changed"
    if kind == "once":
        assert promises.handed_out[activity_id, kind] <= 1, "an activity that may run once was handed out twice"
    else:
        assert described.info.status == ActivityExecutionStatus.ACTIVITY_EXECUTION_STATUS_COMPLETED


async def _check_state(cluster: Cluster, workflow_id: str, run_id: str) -> None:
    """The state that the shard holds is the fold over the history."""
    shard = cluster.history.engine.shards[ShardId(0)]
    loaded = await shard.find(LoadedExecution, ExecutionKey(NAMESPACE.id, WorkflowId(workflow_id), RunId(run_id)))
    assert loaded is not None
    events = await actors.outcome(cluster, workflow_id)
    folded = Execution(*loaded.key[:3])
    for event in events:
        evolve(folded, event)
    for name in Execution.__struct_fields__:
        if name not in _NOT_IN_EVENTS:
            assert getattr(folded, name) == getattr(loaded.state, name), (
                f"{name} differs from the fold over the history"
            )
    assert msgspec.structs.asdict(folded).keys() == msgspec.structs.asdict(loaded.state).keys()
