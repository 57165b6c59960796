"""What a process knows of worker deployments, beside others that change them."""

from __future__ import annotations

import pytest

from perdure.kernel.clock import VirtualClock
from perdure.kernel.deployments import directory
from perdure.kernel.deployments.directory import Deployments
from perdure.kernel.deployments.records import VersionId, VersionQueue
from perdure.kernel.entropy import Entropy
from perdure.kernel.ids import NamespaceId
from perdure.kernel.limits import Limits
from perdure.kernel.runtime import Runtime
from tests.support.fakes import MemoryDeployments

NAMESPACE = NamespaceId("n")
VERSION, QUEUE = VersionId("shop", "1"), VersionQueue("main", 1)


async def test_others_know_a_change_when_they_have_caught_up() -> None:
    store, runtime, told = MemoryDeployments(), Runtime(VirtualClock(), Entropy(1)), []
    ours = Deployments(store, runtime, Limits(), lambda: told.append("changed"))
    theirs = Deployments(store, runtime, Limits())
    heard: list[NamespaceId] = []
    theirs.listen(heard.append)

    await ours.register(NAMESPACE, VERSION, QUEUE)
    assert told == ["changed"]
    assert ours.has(NAMESPACE, VERSION, QUEUE), "who writes knows at once"
    assert not theirs.has(NAMESPACE, VERSION, QUEUE)
    await theirs.catch_up()
    assert theirs.has(NAMESPACE, VERSION, QUEUE)
    assert heard == [NAMESPACE]
    await theirs.catch_up()
    assert heard == [NAMESPACE], "nothing is new"

    await ours.register(NAMESPACE, VERSION, QUEUE)
    assert told == ["changed"], "nothing is new"


async def test_queues_that_are_made_up_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "_ROUTINGS_MAX", 10)
    deployments = Deployments(MemoryDeployments(), Runtime(VirtualClock(), Entropy(1)), Limits())
    await deployments.register(NAMESPACE, VERSION, QUEUE)
    for number in range(100):
        deployments.routing(NAMESPACE, VersionQueue(f"made up {number}", 1))
        assert len(deployments._routings) <= 10
