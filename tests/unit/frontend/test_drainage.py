"""Versions that drain are looked at in time, and are drained when nothing that is pinned to them runs any more."""

from __future__ import annotations

from perdure.frontend.drainage import Drainage
from perdure.kernel.clock import SECOND_NS, VirtualClock
from perdure.kernel.deployments import changes
from perdure.kernel.deployments.directory import Deployments
from perdure.kernel.deployments.records import DRAINED, DRAINING, Deployment, Version, VersionId, VersionQueue
from perdure.kernel.entropy import Entropy
from perdure.kernel.ids import NamespaceId
from perdure.kernel.limits import Limits
from perdure.kernel.runtime import Runtime
from tests.support.fakes import MemoryDeployments

NAMESPACE = NamespaceId("n")
LIMITS = Limits(drainage_grace_ns=60 * SECOND_NS, drainage_interval_ns=20 * SECOND_NS)


class Counting:
    def __init__(self) -> None:
        self.running = 1
        self.asked = 0

    async def count(self, namespace_id: NamespaceId, query: object) -> tuple[int, list[object]]:
        self.asked += 1
        return self.running, []


async def test_a_version_is_drained_when_nothing_runs_on_it_any_more() -> None:
    clock, visibility = VirtualClock(), Counting()
    runtime = Runtime(clock, Entropy(1))
    deployments = Deployments(MemoryDeployments(), runtime, LIMITS)
    drainage = Drainage(runtime, LIMITS, deployments, visibility)  # type: ignore[arg-type]
    await deployments.register(NAMESPACE, VersionId("it's", "1"), VersionQueue("main", 1))

    async def set_current(build_id: str) -> None:
        def set_to(deployment: Deployment) -> Deployment:
            return changes.set_current(
                deployment,
                build_id,
                identity="me",
                token=b"",
                create=False,
                is_missing=lambda current, proposed: False,
                now_ns=clock.now_ns(),
                limits=LIMITS,
            )

        await deployments.change(NAMESPACE, "it's", set_to)

    def version() -> Version:
        return deployments.of(NAMESPACE)["it's"].versions["1"]

    async def look(after_s: int) -> tuple[int, int]:
        clock.advance(after_s * SECOND_NS)
        await drainage.look()
        return version().drainage, visibility.asked

    await set_current("1")
    assert await look(100) == (0, 0)
    await set_current("")
    assert await look(59) == (DRAINING, 0)
    assert await look(1) == (DRAINING, 1)
    assert version().drainage_checked_at_ns == clock.now_ns() > version().drainage_changed_at_ns
    assert await look(19) == (DRAINING, 1)
    visibility.running = 0
    assert await look(1) == (DRAINED, 2)
    assert await look(100) == (DRAINED, 2)
    await set_current("1")
    assert version().drainage == 0
